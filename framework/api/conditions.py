"""The three conditions of a resource, with one meaning each.

Ready       what git last asked for (or, while that is on its way, the last good version) is in service.
Reconciling work towards what git asks for is going on or waits for something.
Stalled     no further attempt is made until git, the data or the operator changes something.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from framework.api.meta import Stored
from framework.api.printing import Told


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
    """The next conditions; ``since`` moves only where a status flips.

    Raises:
        ValueError: Reconciling and Stalled together, which would mean two things at once.
    """
    if reconciling and stalled:
        raise ValueError("a resource is either Reconciling or Stalled, never both")

    def one(kind: ConditionType, status: bool, old: Condition | None) -> Condition:
        since = old.since if old is not None and old.status == status else now
        return Condition(type=kind, status=status, reason=reason, message=message, since=since)

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
    if not (conditions.ready.status or conditions.reconciling.status or conditions.stalled.status):
        found.append("not Ready, and neither Reconciling nor Stalled says why")
    found.extend(f"{condition.type} has no reason" for condition in conditions.all() if not condition.reason)
    return found
