"""From what git asks and what was observed to what is to be done. Pure; controllers and ``mlopsctl plan`` call it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from framework.api.hashes import text_hash
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Desired, Plan, Status
from framework.planning.grammar.kind import Kind
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


def plan_all(environment: str, commit: str, snapshot_digest: str, resources: Iterable[Inputs], now: datetime) -> Plan:
    """Plan every resource, in the order given (upstreams first, removals last)."""
    inputs = tuple(resources)
    return Plan(
        environment=environment,
        commit=commit,
        snapshot_digest=snapshot_digest,
        observation_digest=digest_of([item.observed for item in inputs]),
        changes=tuple(plan_resource(item, now) for item in inputs),
        created=now,
    )


def digest_of(value: Any) -> str:
    """10 hex characters that name any value made of dataclasses, models and JSON."""
    return text_hash(_ANY.dump_json(value))
