"""Who looks at an environment, when each resource was looked at last, and whether Ray answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from framework.api.meta import Ref
from framework.ports import Heartbeat, Outage

MISSED_BEATS = 4
"""So many heartbeats may fail to come, because a machine or a store is slow, before a controller counts as gone."""
ROUNDS = 3
"""What was not looked at for so many rounds is not known any more."""


class Presence(StrEnum):
    """What is known of the controller of an environment."""

    NEVER = "NeverSeen"
    AT_WORK = "AtWork"
    ENDED = "Ended"
    """It stopped in order."""
    DIED = "Died"
    """Its process on this machine is gone, and it did not say that it would end."""
    SILENT = "Silent"
    """It has said nothing for too long, or says it at times that cannot be."""


@dataclass(frozen=True)
class Oversight:
    """What can be told at ``now``. ``heartbeat`` is the last that a controller wrote, ``here`` whether its process is,
    or was, on this machine, ``cluster`` why Ray does not answer, None where it does."""

    now: datetime
    presence: Presence
    heartbeat: Heartbeat | None = None
    here: bool = False
    cluster: Outage | None = None

    @property
    def bound(self) -> timedelta:
        """How long ago a resource may have been looked at and still count as known."""
        beat = self.heartbeat
        if beat is None:
            return timedelta(0)
        return timedelta(seconds=ROUNDS * max(beat.resync, beat.round)) + _patience(beat)

    def looked_at(self, ref: Ref) -> datetime | None:
        """None where nobody is known to have looked at it."""
        beat = self.heartbeat
        return None if beat is None else beat.late.get(str(ref), beat.seen)

    def knows(self, ref: Ref) -> bool:
        """Whether somebody who is at work, or has just ended in order, looked at it lately."""
        seen = self.looked_at(ref)
        looking = self.presence in {Presence.AT_WORK, Presence.ENDED}
        return looking and seen is not None and abs(self.now - seen) <= self.bound

    @property
    def absence(self) -> str:
        """A clause that says that nobody works on the environment; empty while somebody does."""
        beat = self.heartbeat
        if beat is None or self.presence is Presence.ENDED:
            return "no controller runs"
        match self.presence:
            case Presence.DIED:
                return f"the controller of pid {beat.process.get('pid')} died"
            case Presence.SILENT:
                return f"nothing was heard of the controller {beat.holder} since {stamp(beat.time)}"
            case _:
                return ""


def oversee(heartbeat: Heartbeat | None, *, gone: bool, here: bool, probe: Outage | None, now: datetime) -> Oversight:
    """``gone``: the process that wrote ``heartbeat`` has ended for certain; ``here``: it ran on this machine;
    ``probe``: why Ray does not answer whoever asks now.

    A controller elsewhere may well reach a Ray that we do not, or run one of its own: while it is at work its word
    counts, else ours does.
    """
    presence = _presence(heartbeat, gone, now)
    known = heartbeat.cluster if heartbeat is not None else None
    if presence is Presence.AT_WORK and not here:
        cluster = known
    else:
        cluster = probe if probe is None or known is None else probe.model_copy(update={"since": known.since})
    return Oversight(now, presence, heartbeat, here, cluster)


def _presence(heartbeat: Heartbeat | None, gone: bool, now: datetime) -> Presence:
    if heartbeat is None:
        return Presence.NEVER
    if heartbeat.ended is not None:
        return Presence.ENDED
    if gone:
        return Presence.DIED
    return Presence.AT_WORK if abs(now - heartbeat.time) <= _patience(heartbeat) else Presence.SILENT


def _patience(heartbeat: Heartbeat) -> timedelta:
    return timedelta(seconds=MISSED_BEATS * heartbeat.every)


def stamp(moment: datetime) -> str:
    """A moment for a sentence that is read at any time."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
