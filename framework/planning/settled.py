"""Whether anything is still under way. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.api.meta import Ref
from framework.planning.admission import EXCEEDED, ORPHANED, SUSPENDED
from framework.planning.changes import Desired, Status
from framework.ports import Record

HELD = frozenset({"Paused", SUSPENDED, EXCEEDED})
"""Reasons for which a person is awaited: nothing moves by itself."""


@dataclass(frozen=True)
class Standing:
    """How far an environment is from what git asks for.

    ``moving``: work is under way. ``stalled``: given up until something changes. ``blocked``: waits for a stalled one.
    ``held``: waits for a person. ``ready``: as git asks. ``orphaned``: git no longer asks for it, and it is to stay.
    """

    ready: tuple[Ref, ...] = ()
    moving: tuple[Ref, ...] = ()
    stalled: tuple[Ref, ...] = ()
    blocked: tuple[Ref, ...] = ()
    held: tuple[Ref, ...] = ()
    orphaned: tuple[Ref, ...] = ()

    @property
    def settled(self) -> bool:
        return not self.moving

    @property
    def converged(self) -> bool:
        return not (self.moving or self.stalled or self.blocked or self.held)


@dataclass(frozen=True)
class Withheld:
    """A newest commit that is not what is in force, though nothing is wrong with it."""

    commit: str
    subject: str
    reason: str
    message: str


def standing(desired: Mapping[Ref, Desired[Any]], records: Sequence[Record]) -> Standing:
    """Sort every resource, the vanished ones (recorded, but not asked for) included, by how it stands.

    ``desired`` must be in dependency order, so that what blocks a resource is known before the resource is looked at.
    """
    statuses = {record.ref: Status.model_validate(record.status) for record in records}
    found: dict[str, list[Ref]] = {"ready": [], "moving": [], "stalled": [], "blocked": [], "held": [], "orphaned": []}
    stuck: set[Ref] = set()
    for ref, asked in desired.items():
        word = _word(asked, statuses.get(ref), stuck)
        if word in {"stalled", "blocked", "held"}:
            stuck.add(ref)
        found[word].append(ref)
    for ref in sorted(set(statuses) - set(desired)):
        found[_vanished(statuses[ref])].append(ref)
    return Standing(**{word: tuple(refs) for word, refs in found.items()})


def _vanished(status: Status) -> str:
    """What an older look said about work towards something else no longer counts; that it must stay does."""
    conditions = status.conditions
    if conditions.stalled.status and conditions.stalled.reason == ORPHANED:
        return "orphaned"
    return "held" if conditions.reconciling.status and conditions.reconciling.reason == SUSPENDED else "moving"


def _word(asked: Desired[Any], status: Status | None, stuck: Collection[Ref]) -> str:
    if status is None or status.digest != asked.digest or status.identity != asked.identity:
        return "moving"
    conditions = status.conditions
    if conditions.stalled.status:
        return "stalled"
    if conditions.reconciling.status:
        if conditions.reconciling.reason in HELD:
            return "held"
        return "blocked" if any(ref in stuck for ref in asked.upstream) else "moving"
    return "ready" if conditions.ready.status else "stalled"
