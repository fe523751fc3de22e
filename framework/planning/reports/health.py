"""How one resource stands: what git asks for beside what is recorded of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError

from framework.api.conditions import DEGRADED, Condition, Conditions
from framework.api.meta import Ref, problem_of
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.reasons import AWAITS_PERSON, ORPHANED, SUSPENDED, UNREADABLE_RECORD, WAITING_FOR_ROOM
from framework.planning.grammar.remembered import status_of, way_out
from framework.planning.reports.oversight import Oversight, stamp
from framework.ports import Outage, Record

SHORT_COMMIT = 7
"""Characters of a commit SHA that are shown."""


class Sync(StrEnum):
    """How what runs relates to what git asks. ``Synced`` is said only when nothing speaks against it."""

    SYNCED = "Synced"
    """What git asks is in service, and no work goes on."""
    PROGRESSING = "Progressing"
    """Work towards what git asks goes on, or waits for something that will come by itself."""
    BLOCKED = "Blocked"
    """It waits for another resource that is stalled, held or blocked itself: nothing progresses."""
    HELD = "Held"
    """It waits for a person: nothing progresses."""
    STALLED = "Stalled"
    """What git asks was tried and given up, until something changes."""
    DEGRADED = "Degraded"
    """What git asks is in service, and does not do its work."""
    OUT_OF_SYNC = "OutOfSync"
    """Git asks for something that no pass has taken up yet."""
    UNKNOWN = "Unknown"
    """Nobody can tell: nobody looked lately, Ray does not answer, or the record cannot be read."""


STUCK = frozenset({Sync.STALLED, Sync.BLOCKED, Sync.HELD, Sync.UNKNOWN})
"""Whoever waits for one of these waits in vain until somebody does something."""


class Motion(StrEnum):
    """Whether a resource still moves, for whoever waits until everything is as git asks."""

    READY = "ready"
    """As git asks."""
    MOVING = "moving"
    """Work is under way, or about to be."""
    STALLED = "stalled"
    """Given up until something changes, or not to be read."""
    BLOCKED = "blocked"
    """It waits for one that does not move by itself."""
    HELD = "held"
    """It waits for a person."""
    ORPHANED = "orphaned"
    """Git no longer asks for it, and it is to stay."""


_MOTION = {
    Sync.SYNCED: Motion.READY,
    Sync.PROGRESSING: Motion.MOVING,
    Sync.OUT_OF_SYNC: Motion.MOVING,
    Sync.BLOCKED: Motion.BLOCKED,
    Sync.HELD: Motion.HELD,
    Sync.STALLED: Motion.STALLED,
    Sync.DEGRADED: Motion.STALLED,
    Sync.UNKNOWN: Motion.STALLED,
}


class Health(NamedTuple):
    """``since`` is when the resource came into this state, as far as its conditions tell; None where they do not.
    ``status`` is what is recorded, None where that cannot be read. ``waits_for``: whether it waits in vain is known
    once the health of these is."""

    sync: Sync
    reason: str
    message: str
    since: datetime | None = None
    status: Status | None = None
    waits_for: tuple[Ref, ...] = ()

    @property
    def motion(self) -> Motion:
        """What has to be looked at again is about to move."""
        stays = self.sync is Sync.OUT_OF_SYNC and self.reason == ORPHANED
        return Motion.ORPHANED if stays else _MOTION[self.sync]


GOING = Health(Sync.OUT_OF_SYNC, "RemovedFromGit", "git no longer has it, and it is not pruned yet")


def healths(
    desired: Mapping[Ref, Desired[Any]], records: Iterable[Record], unreadable: Mapping[Ref, str] | None = None
) -> dict[Ref, Health | None]:
    """By the records alone, in the order of ``desired``, which must be dependency order, and then what git no longer
    has. None for what was never looked at. ``unreadable``: there is a record, and what is wrong with it."""
    recorded, damaged = {record.ref: record for record in records}, unreadable or {}
    alone: dict[Ref, Health | None] = {}
    for ref in (*desired, *sorted({*recorded, *damaged} - desired.keys())):
        record = recorded.get(ref)
        alone[ref] = None if record is None else _of(desired.get(ref), record)
        if ref in damaged:
            alone[ref] = unknown(ref, damaged[ref])
    return together(alone)


def together(alone: Mapping[Ref, Health | None]) -> dict[Ref, Health | None]:
    """How each stands beside the others. ``alone``, in dependency order, is by the status of each alone."""
    found = _one_after_the_other(alone, {})
    if any(health is not None and health.reason == WAITING_FOR_ROOM for health in found.values()):
        # Who is in the way of one may come later in dependency order.
        stuck = {ref: health for ref, health in found.items() if health is not None and health.sync in STUCK}
        found = _one_after_the_other(alone, stuck)
    return found


def _one_after_the_other(alone: Mapping[Ref, Health | None], known: Mapping[Ref, Health]) -> dict[Ref, Health | None]:
    """``known`` are some that are stuck, whatever their place."""
    found: dict[Ref, Health | None] = {}
    stuck = dict(known)
    for ref, own in alone.items():
        health = None if own is None else _beside(own, stuck)
        if health is not None and health.sync in STUCK:
            stuck[ref] = health
        found[ref] = health
    return found


def _beside(health: Health, stuck: Mapping[Ref, Health]) -> Health:
    """Any one that it is made from holds it up; room is there as soon as any one makes some."""
    in_vain = [stuck[ref] for ref in health.waits_for if ref in stuck]
    if in_vain and (health.reason != WAITING_FOR_ROOM or len(in_vain) == len(health.waits_for)):
        both = [item.since for item in (health, *in_vain) if item.since is not None]
        return health._replace(sync=Sync.BLOCKED, since=max(both, default=None))
    return health


def _of(desired: Desired[Any] | None, record: Record) -> Health:
    try:
        status = status_of(record)
    except ValidationError as error:
        return unknown(record.ref, problem_of(error))
    return health_of(desired, status)._replace(status=status)


def unknown(ref: Ref, problem: str) -> Health:
    """Of a resource whose record cannot be read."""
    return Health(Sync.UNKNOWN, UNREADABLE_RECORD, way_out(ref, problem))


def health_of(desired: Desired[Any] | None, status: Status) -> Health:
    """By its status alone. A verdict on an older spec says nothing about the one that git asks for now.

    ``desired`` is None where git no longer has it.
    """
    conditions = status.conditions
    if desired is None:
        return _vanished(conditions)
    if not status.digest:  # what was forgotten is to be looked at anew
        return _by(Sync.OUT_OF_SYNC, conditions.reconciling, conditions.reconciling.since)
    if (status.digest, status.identity) != (desired.digest, desired.identity):
        told = (
            f"git asks for {desired.identity} of commit {desired.commit[:SHORT_COMMIT]}; the last pass saw "
            f"{status.identity} of {status.commit[:SHORT_COMMIT]}"
        )
        return Health(Sync.OUT_OF_SYNC, "NotTakenUp", told)
    if conditions.stalled.status:
        return _by(Sync.STALLED, conditions.stalled, conditions.stalled.since)
    if conditions.reconciling.status:
        return _under_way(conditions.reconciling, status.waits_for)
    if conditions.ready.status:
        return _by(Sync.SYNCED, conditions.ready, max(item.since for item in conditions.all()))
    if conditions.ready.reason == DEGRADED:
        return _by(Sync.DEGRADED, conditions.ready, conditions.ready.since)
    return _by(Sync.UNKNOWN, conditions.ready, conditions.ready.since)


def as_known(health: Health, ref: Ref, needs_ray: bool, oversight: Oversight) -> Health:
    """What can still be said of a resource that was recorded to be well, or to get there: nothing, unless somebody
    looked at it lately and, where it is served on Ray, Ray answers."""
    silent, unseen = needs_ray and oversight.cluster is not None, not oversight.knows(ref)
    if health.sync not in _CLAIMS or not (unseen or (silent and health.sync is Sync.SYNCED)):
        return health
    seen, outage = oversight.looked_at(ref), oversight.cluster if silent else None
    since = outage.since if outage is not None and outage.since < oversight.now else seen
    told = [
        *([f"Ray {_silence(outage, oversight)}: {outage.message}"] if outage else []),
        f"last looked at {stamp(seen)}, when it was {health.sync}" if seen else "it is not known when it was looked at",
        *([oversight.absence or "the controller has not come by since"] if unseen else []),
    ]
    reason = "RayUnavailable" if outage else "NotLookedAt"
    return Health(Sync.UNKNOWN, reason, "; ".join(told), since, health.status)


def _silence(outage: Outage, oversight: Oversight) -> str:
    if outage.since < oversight.now:
        return f"has not answered since {stamp(outage.since)}"
    return "does not answer"  # that is all that whoever asks only now can tell


_CLAIMS = frozenset({Sync.SYNCED, Sync.PROGRESSING})
"""Words that are true only as long as somebody looks."""


def _under_way(reconciling: Condition, waits_for: tuple[Ref, ...]) -> Health:
    if reconciling.reason in AWAITS_PERSON or (reconciling.reason == WAITING_FOR_ROOM and not waits_for):
        return _by(Sync.HELD, reconciling, reconciling.reason_since or reconciling.since)
    return _by(Sync.PROGRESSING, reconciling, reconciling.since)._replace(waits_for=waits_for)


def _vanished(conditions: Conditions) -> Health:
    """What an older look said about work towards something else no longer counts; that it must stay, or goes, does."""
    stalled, reconciling = conditions.stalled, conditions.reconciling
    if stalled.status and stalled.reason == ORPHANED:
        return _by(Sync.OUT_OF_SYNC, stalled, stalled.since)
    if reconciling.status and reconciling.reason == SUSPENDED:
        return _by(Sync.HELD, reconciling, reconciling.reason_since or reconciling.since)
    if reconciling.status:
        return _by(Sync.PROGRESSING, reconciling, reconciling.since)
    return GOING


def _by(sync: Sync, condition: Condition, since: datetime) -> Health:
    return Health(sync, condition.reason, condition.message, since)
