"""Whether anything is still under way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.reports.health import Health, Motion, healths
from framework.ports import Record


class Conclusion(StrEnum):
    """An environment in one word, for whoever waits for it no longer."""

    CONVERGED = "Converged"
    """Everything is as git asks."""
    STALLED = "Stalled"
    """Nothing moves any more, and something is not as git asks."""
    HELD = "Held"
    """Nothing moves until a person does something."""
    STARTED = "Started"
    """Work goes on; nobody was asked to wait for it, or not that long."""


@dataclass(frozen=True)
class EnvironmentHealth:
    """How far an environment is from what git asks for: its resources by their motion."""

    ready: tuple[Ref, ...] = ()
    moving: tuple[Ref, ...] = ()
    stalled: tuple[Ref, ...] = ()
    blocked: tuple[Ref, ...] = ()
    held: tuple[Ref, ...] = ()
    orphaned: tuple[Ref, ...] = ()

    def items(self) -> Iterator[tuple[Motion, tuple[Ref, ...]]]:
        return ((motion, getattr(self, motion.value)) for motion in Motion)

    @property
    def open(self) -> tuple[Ref, ...]:
        """All that are not as git asks, but those that are to stay."""
        return (*self.stalled, *self.blocked, *self.held, *self.moving)

    @property
    def settled(self) -> bool:
        return not self.moving

    @property
    def converged(self) -> bool:
        return not self.open

    def conclusion(self, *, withheld: bool = False, doubted: bool = False) -> Conclusion:
        """``withheld``: the newest commit waits; ``doubted``: nobody knows whether that is so still."""
        if self.converged:
            return Conclusion.HELD if withheld else Conclusion.STARTED if doubted else Conclusion.CONVERGED
        if self.moving:
            return Conclusion.STARTED
        # What is blocked where nothing is stalled waits for what a person is awaited for.
        return Conclusion.STALLED if self.stalled else Conclusion.HELD


@dataclass(frozen=True)
class Withheld:
    """A newest commit that is not what is in force, though nothing is wrong with it."""

    commit: str
    subject: str
    reason: str
    message: str


def environment_health(
    desired: Mapping[Ref, Desired[Any]], records: Sequence[Record], unreadable: Mapping[Ref, str] | None = None
) -> EnvironmentHealth:
    """Sort every resource, the vanished ones (recorded, but not asked for) included, by its motion. ``unreadable``:
    there is a record, and what is wrong with it.

    ``desired`` must be in dependency order, so that what blocks a resource is known before the resource is looked at.
    """
    return health_of_all(healths(desired, records, unreadable))


def health_of_all(found: Mapping[Ref, Health | None]) -> EnvironmentHealth:
    """Sort resources by their health; None for one that nobody has looked at yet, and so is about to move."""
    by_motion: dict[Motion, list[Ref]] = {motion: [] for motion in Motion}
    for ref, health in found.items():
        by_motion[Motion.MOVING if health is None else health.motion].append(ref)
    return EnvironmentHealth(**{motion.value: tuple(refs) for motion, refs in by_motion.items()})


def moves(alone: Health) -> bool:
    """Whether it moves, whatever becomes of others. One that waits for another may not."""
    return not alone.waits_for and alone.motion is Motion.MOVING
