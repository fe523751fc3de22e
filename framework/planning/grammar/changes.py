"""What a kind's plan function is given and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from math import isfinite
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from framework.api.categories import Category
from framework.api.conditions import Conditions
from framework.api.meta import Metadata, Ref, Stored
from framework.planning.grammar.actions import Action
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.forecast import Forecast
from framework.planning.grammar.reasons import Reason
from framework.ports import CodeRef, Json, SourceData

SpecT = TypeVar("SpecT", bound=BaseModel)


@dataclass(frozen=True)
class Desired(Generic[SpecT]):
    """A resource as git asks for it at one commit, with everything its fingerprint is made of."""

    ref: Ref
    metadata: Metadata
    spec: SpecT
    commit: str
    identity: str
    """10 hex characters: spec fields that rebuild + user code + upstream identities + meanings + workload version."""
    digest: str
    """10 hex characters over everything a user wrote, labels included: equal means nothing changed at all."""
    environment: str
    storage: str
    root: str
    """The project's folder: relative data paths start here."""
    upstream: Mapping[Ref, str] = field(default_factory=dict)
    """Identity by upstream resource."""
    code: CodeRef | None = None
    file: str = ""
    meanings: Mapping[str, str] = field(default_factory=dict)
    """By the dotted path of a word that an upstream explains: what it says that the word means."""
    recipe: str = ""
    """10 hex characters: what ``identity`` is made of, less the upstreams and what only asks for the same anew. The
    same recipe over the same data makes the same, whatever names that data had."""
    connections: Mapping[str, Json] = field(default_factory=dict)
    """Databases by the names that the Environment gives them, each {url, passwordFrom}."""
    data: SourceData = field(default_factory=SourceData)
    """Files that it reads of which the commit says what they hold: those that git tracks, and those that it points
    to."""


class Status(Stored):
    """What a record remembers. ``state`` is the kind's own model as JSON, ``spec`` the last planned spec, for diffs."""

    commit: str
    identity: str
    digest: str
    conditions: Conditions
    state: dict[str, Any] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    summary: str = ""
    """One line for the status table, e.g. ``1,234 rows, version 3`` or ``10 % on 3f2a..., analyzing``."""
    waits_for: tuple[Ref, ...] = ()
    """The resources that have to come first: while one of them is stuck, nothing progresses here either."""


class Verb(StrEnum):
    NOOP = "NoOp"
    CREATE = "Create"
    UPDATE = "Update"
    REPLACE = "Replace"
    DELETE = "Delete"
    WAIT = "Wait"


@dataclass(frozen=True)
class FieldDiff:
    """One field. ``before`` is None for a new field, ``after`` None for a removed one."""

    path: str
    before: Json
    after: Json
    category: Category


@dataclass(frozen=True)
class NewEvent:
    """An event to record once the change was executed.

    ``decided``: what ``meanwhile`` of its change says already, so it is told with that, before anything is done.
    """

    reason: Reason
    message: str
    data: Mapping[str, Json] = field(default_factory=dict)
    decided: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Change:
    """What to do about one resource now. ``status`` None means: forget the record (the resource is gone)."""

    ref: Ref
    verb: Verb
    category: Category
    reason: str
    status: Status | None
    diffs: tuple[FieldDiff, ...] = ()
    actions: tuple[Action, ...] = ()
    inventory: frozenset[str] = frozenset()
    """Everything the resource owns once this change is executed; what is in the record but not here was pruned."""
    requeue_after: timedelta | None = None
    events: tuple[NewEvent, ...] = ()
    waits_for: tuple[Ref, ...] = ()
    causes: tuple[Ref, ...] = ()
    """Upstreams whose change made this one necessary."""
    meanwhile: Mapping[str, Any] | None = field(default=None, compare=False)
    """The state to remember while the actions are under way, and if nobody ever learns what became of them; None: the
    one before."""
    proviso: str = field(default="", compare=False)
    """What ``reason`` ends in where it costs nothing unless that holds."""
    takes: Mapping[str, tuple[float, float]] = field(default_factory=dict, compare=False)
    """CPUs and GPUs of items that were found to be as they are asked for."""

    @property
    def only_noted(self) -> bool:
        """Whether it is remembered and nothing else: what is built, served and routed stays as it is."""
        return self.verb is Verb.UPDATE and self.category <= Category.METADATA and not self.actions


@dataclass(frozen=True)
class Refusal:
    """Why a commit may not take effect: a policy, a breaking change that nobody acknowledged, who signed it. ``ref`` is
    what may not be so; the Environment where it is the commit as a whole."""

    ref: Ref
    reason: str
    message: str


@dataclass(frozen=True)
class Plan:
    """All changes in dependency order. Equal inputs give byte-equal JSON."""

    environment: str
    commit: str
    snapshot_digest: str
    observation_digest: str
    """Over everything that was observed; empty where no live state was looked at."""
    changes: tuple[Change, ...]
    created: datetime
    base: str = ""
    """The commit it was compared with: the one in force, or the base of a plan that looks at nothing live."""
    forecast: Forecast | None = None
    refusals: tuple[Refusal, ...] = ()
    unseen: tuple[str, ...] = ()
    """What a controller goes by when it takes a commit up or refuses it, and was not looked at here."""

    @property
    def read(self) -> bool:
        """Whether the commit was read: not where it may not even be."""
        return bool(self.snapshot_digest)

    @cached_property
    def digest(self) -> str:
        """10 hex characters over what would be done: two plans of one digest ask for the same, whenever they were made.

        The commit does not count (``snapshot_digest`` does), nor what was observed, nor what is only said about it.
        """
        return short_hash(
            {
                "environment": self.environment,
                "snapshot": self.snapshot_digest,
                "changes": [_essence(change) for change in self.changes if change.verb is not Verb.NOOP],
            }
        )


def _essence(change: Change) -> Json:
    return [
        str(change.ref),
        change.verb.value,
        change.category.label,
        [[diff.path, _written(diff.before), _written(diff.after), diff.category.label] for diff in change.diffs],
        [action.key for action in change.actions],
    ]


def _written(value: Json) -> Json:
    """The form that a value has in JSON, which knows no infinities."""
    match value:
        case float() if not isfinite(value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
        case Mapping():
            return {key: _written(item) for key, item in value.items()}
        case list() | tuple():
            return [_written(item) for item in value]
        case _:
            return value
