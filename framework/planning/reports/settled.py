"""Whether anything is still under way. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.reasons import ORPHANED
from framework.planning.reports.health import Health, Stand, Sync, healths
from framework.ports import Record


@dataclass(frozen=True)
class Standing:
    """How far an environment is from what git asks for.

    ``moving``: work is under way. ``stalled``: given up until something changes, or not to be read. ``blocked``: waits
    for one that does not move by itself. ``held``: waits for a person. ``ready``: as git asks. ``orphaned``: git no
    longer asks for it, and it is to stay.
    """

    ready: tuple[Ref, ...] = ()
    moving: tuple[Ref, ...] = ()
    stalled: tuple[Ref, ...] = ()
    blocked: tuple[Ref, ...] = ()
    held: tuple[Ref, ...] = ()
    orphaned: tuple[Ref, ...] = ()

    @property
    def open(self) -> tuple[Ref, ...]:
        """All that are not as git asks, but those that are to stay."""
        return (*self.stalled, *self.blocked, *self.held, *self.moving)

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


def standing(
    desired: Mapping[Ref, Desired[Any]], records: Sequence[Record], unreadable: Mapping[Ref, str] | None = None
) -> Standing:
    """Sort every resource, the vanished ones (recorded, but not asked for) included, by how it stands. ``unreadable``:
    there is a record, and what is wrong with it.

    ``desired`` must be in dependency order, so that what blocks a resource is known before the resource is looked at.
    """
    return standing_of(healths(desired, records, unreadable))


def standing_of(found: Mapping[Ref, Health | None]) -> Standing:
    """Sort resources by their health; None for one that nobody has looked at yet."""
    words: dict[str, list[Ref]] = {"ready": [], "moving": [], "stalled": [], "blocked": [], "held": [], "orphaned": []}
    for ref, health in found.items():
        words[_word(health)].append(ref)
    return Standing(**{word: tuple(refs) for word, refs in words.items()})


def moves(alone: Stand) -> bool:
    """Whether it moves, whatever becomes of others. One that waits for another may not."""
    return not alone.waits_for and _word(alone.health) == "moving"


def _word(health: Health | None) -> str:
    """What nobody looked at yet, or what has to be looked at again, is about to move."""
    if health is None:
        return "moving"
    if health.sync is Sync.OUT_OF_SYNC:
        return "orphaned" if health.reason == ORPHANED else "moving"
    return _WORDS[health.sync]


_WORDS = {
    Sync.SYNCED: "ready",
    Sync.PROGRESSING: "moving",
    Sync.BLOCKED: "blocked",
    Sync.HELD: "held",
    Sync.STALLED: "stalled",
    Sync.DEGRADED: "stalled",
    Sync.UNKNOWN: "stalled",
}
