"""The three conditions of a resource, with one meaning each.

Ready       what git last asked for (or, while that is on its way, the last good version) is in service, and works.
Reconciling work towards what git asks for is going on or waits for something.
Stalled     no further attempt is made until git, the data or the operator changes something.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from framework.api.meta import Stored
from framework.api.printing import Told

DEGRADED = "Degraded"
"""The reason of what is not Ready although git's wish is in place and nothing is under way: it does not do its work."""


class ConditionType(StrEnum):
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"


class Condition(Stored):
    """``reason`` is a CamelCase constant for machines, ``message`` a sentence with the numbers for people."""

    type: ConditionType
    status: bool
    reason: str
    message: Told = ""
    since: datetime
    reason_since: datetime | None = None
    """When the reason became what it is; None in what older versions stored."""


class Conditions(Stored):
    """Exactly one condition of each type."""

    ready: Condition
    reconciling: Condition
    stalled: Condition

    def all(self) -> tuple[Condition, Condition, Condition]:
        return (self.ready, self.reconciling, self.stalled)


def transition(
    previous: Conditions | None,
    now: datetime,
    *,
    ready: bool,
    reconciling: bool = False,
    stalled: bool = False,
    reason: str,
    message: str = "",
) -> Conditions:
    """The next conditions; ``since`` moves only where a status flips, ``reason_since`` where the reason changes, too.

    Raises:
        ValueError: Reconciling and Stalled together, which would mean two things at once.
    """
    if reconciling and stalled:
        raise ValueError("a resource is either Reconciling or Stalled, never both")

    def one(kind: ConditionType, status: bool, old: Condition | None) -> Condition:
        same = old is not None and old.status == status
        since = old.since if old is not None and same else now
        told = old.reason_since or old.since if old is not None and same and old.reason == reason else now
        return Condition(type=kind, status=status, reason=reason, message=message, since=since, reason_since=told)

    return Conditions(
        ready=one(ConditionType.READY, ready, previous.ready if previous else None),
        reconciling=one(ConditionType.RECONCILING, reconciling, previous.reconciling if previous else None),
        stalled=one(ConditionType.STALLED, stalled, previous.stalled if previous else None),
    )


def violations(conditions: Conditions) -> Sequence[str]:
    """Invariants that must hold in every stored status; empty when they do. Every test may call it."""
    found: list[str] = []
    if conditions.reconciling.status and conditions.stalled.status:
        found.append("Reconciling and Stalled are both true")
    explained = conditions.reconciling.status or conditions.stalled.status or conditions.ready.reason == DEGRADED
    if not (conditions.ready.status or explained):
        found.append("not Ready, and neither Reconciling nor Stalled says why")
    found.extend(f"{condition.type} has no reason" for condition in conditions.all() if not condition.reason)
    return found
