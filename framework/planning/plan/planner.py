"""From what git asks and what was observed to what is to be done, and to the whole plan of it. Pure; a pass calls the
one, ``mlopsctl plan`` both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from framework.api.hashes import text_hash
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Desired, Plan, Refusal, Status
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.snapshot import Snapshot
from framework.planning.plan.estimate import Known, forecast
from framework.planning.plan.explained import explained
from framework.planning.plan.heirs import handing_over
from framework.planning.plan.outcomes import unsupported

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True)
class Inputs:
    """Everything that decides about one resource."""

    ref: Ref
    kind: Kind
    desired: Desired[Any] | None
    observed: Any
    status: Status | None
    heir: Ref | None = None
    """Who takes over from a resource that git no longer has, as long as that one does not serve."""


def plan_resource(inputs: Inputs, now: datetime) -> Change:
    """The change of one resource now. Fields that this version does not execute hold the whole resource back."""
    if inputs.desired is not None:
        fields = inputs.kind.unsupported(inputs.desired.spec)
        if fields:
            return unsupported(inputs.desired, dict(inputs.kind.categories), fields, inputs.status, now)
    change = inputs.kind.plan(inputs.desired, inputs.observed, inputs.status, now)
    return handing_over(change, inputs.status, inputs.heir, now) if inputs.heir is not None else change


@dataclass(frozen=True)
class Looked:
    """What came of a look at what runs: what a pass would do now, upstreams first and removals last."""

    changes: tuple[Change, ...]
    digest: str
    """Names everything that was observed."""

    @classmethod
    def at(cls, inputs: Iterable[Inputs], changes: Sequence[Change]) -> Looked:
        """``changes`` follow from ``inputs``."""
        observed = [item.observed for item in inputs]
        return cls(tuple(changes), text_hash(_ANY.dump_json(observed)))


@dataclass(frozen=True)
class Compared:
    """What git changes from ``before``, which is None where nothing was in force, to ``after``."""

    before: Snapshot[Any] | None
    after: Snapshot[Any]
    changes: tuple[Change, ...]
    environment: Change | None = None
    """Of the Environment itself."""


def build_plan(
    name: str,
    git: Compared,
    looked: Looked | None,
    kinds: Mapping[str, Kind],
    known: Known,
    created: datetime,
    *,
    refusals: tuple[Refusal, ...] = (),
    unseen: tuple[str, ...] = (),
) -> Plan:
    """The plan of the environment ``name``: what is to be done, or, where nobody ``looked`` at what runs, what git
    changes; what of git it comes from, what it comes to, and why it may not be."""
    before, after = git.before, git.after
    changes = git.changes if looked is None else explained(looked.changes, git.changes)
    return Plan(
        environment=name,
        commit=after.commit,
        snapshot_digest=after.digest,
        observation_digest="" if looked is None else looked.digest,
        changes=(*([git.environment] if git.environment is not None else []), *changes),
        created=created,
        base=before.commit if before is not None else "",
        forecast=forecast(changes, before.desired if before is not None else {}, after.desired, kinds, known),
        refusals=refusals,
        unseen=unseen,
    )


def unread_plan(
    name: str, commit: str, base: str | None, refusals: tuple[Refusal, ...], created: datetime, *, live: bool
) -> Plan:
    """Of a commit that is refused before it is read: nothing is known of what it would change. ``live``: it was held
    against what is in force, and not against another commit."""
    seen = Looked.at((), ()).digest if live else ""
    return Plan(name, commit, "", seen, (), created, base or "", refusals=refusals)
