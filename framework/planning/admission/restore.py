"""What comes back when an earlier commit takes effect again, and what of it would have to be built anew. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.ports import CommitInfo, Pin


class Way(StrEnum):
    """How a resource gets to where the earlier commit has it."""

    SAME = "Same"
    """It is there already."""
    RETURNS = "Returns"
    """What was built for it is still there: only pointers move."""
    SETTINGS = "Settings"
    """Nothing is built: traffic, sizes, descriptions."""
    WAITS = "Waits"
    """It takes what an upstream has to build first."""
    BUILDS = "Builds"
    """What was built for it is gone and is built again."""
    BLOCKED = "Blocked"
    """It will not come back: what was built for it was turned down."""
    GOES = "Goes"
    """The earlier commit does not have it."""


@dataclass(frozen=True)
class Kept:
    """What is left of what a resource built at the earlier commit. ``cost`` is that of building it again, ``version``
    that of a model that is there."""

    there: bool
    what: str
    cost: Category = Category.NOOP
    blocked: bool = False
    version: str = ""


@dataclass(frozen=True)
class Return:
    """One resource. ``before`` and ``after`` are its identities, None where it is not asked for."""

    ref: Ref
    way: Way
    message: str
    cost: Category = Category.NOOP
    before: str | None = None
    after: str | None = None


def changing(now: Mapping[Ref, Desired[Any]], then: Mapping[Ref, Desired[Any]]) -> tuple[Ref, ...]:
    """What of ``then`` is not so ``now``, in dependency order."""
    return tuple(ref for ref, asked in then.items() if ref not in now or now[ref].digest != asked.digest)


def restore(
    now: Mapping[Ref, Desired[Any]], then: Mapping[Ref, Desired[Any]], kept: Mapping[Ref, Kept]
) -> tuple[Return, ...]:
    """Every resource in dependency order, what goes last, in reverse order.

    ``now`` is what is in force, ``then`` the earlier commit, both upstreams first; ``kept`` covers
    ``changing(now, then)``.
    """
    found = []
    missing: set[Ref] = set()
    changed = frozenset(changing(now, then))
    for ref, asked in then.items():
        before = now[ref].identity if ref in now else None
        way, message, cost = Way.SAME, "as it is", Category.NOOP
        if ref in changed:
            left = kept[ref]
            above = [upstream for upstream in asked.upstream if upstream in missing]
            way, message, cost = _way(left, above, built=before != asked.identity)
            if way in (Way.BUILDS, Way.WAITS, Way.BLOCKED):
                missing.add(ref)
        found.append(Return(ref, way, message, cost, before, asked.identity))
    gone = [ref for ref in now if ref not in then]
    found += [Return(ref, Way.GOES, "is not part of that commit", before=now[ref].identity) for ref in reversed(gone)]
    return tuple(found)


def _way(left: Kept, missing: list[Ref], *, built: bool) -> tuple[Way, str, Category]:
    if left.blocked:
        return Way.BLOCKED, left.what, Category.NOOP
    if left.there:
        return (Way.RETURNS if built else Way.SETTINGS), left.what, Category.NOOP
    if left.cost is Category.NOOP:
        waits = f"waits for {', '.join(map(str, missing))}" if missing else left.what
        return Way.WAITS, waits, Category.NOOP
    return Way.BUILDS, left.what, left.cost


@dataclass(frozen=True)
class Prospect:
    """What rolling back would do. ``commit`` would be in force instead of ``over``, the newest; ``returns`` compares
    with what is in force now."""

    environment: str
    commit: CommitInfo
    over: CommitInfo
    returns: tuple[Return, ...]
    same: bool = False
    """Whether the newest commit asks for exactly what ``commit`` asks for."""
    accepted: bool = True
    """Whether ``commit`` was ever in force here."""
    standing: Pin | None = None
    """A rollback that stands already, this one or another."""

    @property
    def pinned(self) -> bool:
        """Whether it was rolled back so already."""
        pin = self.standing
        return pin is not None and (pin.commit, pin.over) == (self.commit.sha, self.over.sha)

    @property
    def retrained(self) -> tuple[Return, ...]:
        """Those that only training brings back."""
        return tuple(item for item in self.returns if item.cost >= Category.RETRAIN)
