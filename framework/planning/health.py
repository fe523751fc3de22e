"""How one resource stands: what git asks for beside what is recorded of it. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from framework.api.conditions import Condition
from framework.planning.admission import ORPHANED
from framework.planning.changes import Desired, Status

SHORT_COMMIT = 7
"""Characters of a commit SHA that are shown."""


class Sync(StrEnum):
    """How what runs relates to what git asks. ``Synced`` is said only when nothing speaks against it."""

    SYNCED = "Synced"
    """What git asks is in service, and no work goes on."""
    PROGRESSING = "Progressing"
    """Work towards what git asks goes on, or waits."""
    STALLED = "Stalled"
    """What git asks was tried and given up, until something changes."""
    OUT_OF_SYNC = "OutOfSync"
    """Git asks for something that no pass has taken up yet."""
    UNKNOWN = "Unknown"
    """The record cannot be read, or says nothing."""


class Health(NamedTuple):
    """``since`` is when the condition that decided last flipped; None where no condition did."""

    sync: Sync
    reason: str
    message: str
    since: datetime | None = None


def recorded_health(desired: Desired[Any] | None, status: Status) -> Health:
    """By the record alone. A verdict on an older spec says nothing about the one that git asks for now."""
    conditions = status.conditions

    def by(sync: Sync, condition: Condition) -> Health:
        return Health(sync, condition.reason, condition.message, condition.since)

    if desired is not None and (status.digest, status.identity) != (desired.digest, desired.identity):
        return Health(
            Sync.OUT_OF_SYNC,
            "NotTakenUp",
            f"git asks for {desired.identity} of commit {desired.commit[:SHORT_COMMIT]}; the last pass saw "
            f"{status.identity} of {status.commit[:SHORT_COMMIT]}",
        )
    if desired is None and conditions.stalled.status and conditions.stalled.reason == ORPHANED:
        return by(Sync.OUT_OF_SYNC, conditions.stalled)
    if conditions.stalled.status:
        return by(Sync.STALLED, conditions.stalled)
    if conditions.reconciling.status:
        return by(Sync.PROGRESSING, conditions.reconciling)
    if desired is None:
        return Health(Sync.OUT_OF_SYNC, "RemovedFromGit", "git no longer has it, and it is not pruned yet")
    if conditions.ready.status:
        return by(Sync.SYNCED, conditions.ready)
    return by(Sync.UNKNOWN, conditions.ready)
