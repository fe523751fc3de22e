"""Why a resource is not what git asks: the chain of reasons, down to the first cause. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from framework.api.meta import Ref
from framework.planning.reports.health import Health, Sync
from framework.planning.reports.oversight import Oversight
from framework.planning.reports.overview import StatusRow

_MISSING = Health(Sync.UNKNOWN, "Missing", "neither git nor a record has it")


@dataclass(frozen=True)
class Explanation:
    """One resource in the chain. ``causes`` are the upstreams that are not Synced themselves.

    ``repeated``: it was explained further up in the tree, so its causes are not repeated here. ``note``, of the one
    that was asked about: that nobody is at work on the environment.
    """

    ref: Ref
    health: Health
    age: timedelta | None
    causes: tuple[Explanation, ...] = ()
    repeated: bool = False
    note: str = ""


def why(ref: Ref, found: Sequence[StatusRow], oversight: Oversight | None = None) -> Explanation:
    """The tree of what ``ref`` waits for. It has no causes when ``ref`` is Synced, or held up by itself alone.
    ``found`` are the rows of all resources.

    Raises:
        LookupError: neither git nor a record knows ``ref``.
    """
    known = {row.ref: row for row in found}
    if ref not in known:
        raise LookupError(f"{ref} is neither in git nor on record")
    explained: set[Ref] = set()

    def blocking(current: Ref) -> set[Ref]:
        """Upstreams of a resource that is not as git asks that are not so themselves. What nobody knows waits for
        somebody who looks, and for nothing above it."""
        if current not in known or known[current].sync in {Sync.SYNCED, Sync.UNKNOWN}:
            return set()
        return {item for item in known[current].upstream if item not in known or known[item].sync is not Sync.SYNCED}

    def explain(current: Ref) -> Explanation:
        row = known.get(current)
        if row is None:
            return Explanation(current, _MISSING, None)
        repeated = current in explained
        explained.add(current)
        causes = () if repeated else tuple(explain(item) for item in sorted(_nearest(blocking(current), blocking)))
        return Explanation(row.ref, row.health, row.age, causes, repeated)

    return replace(explain(ref), note=oversight.absence if oversight else "")


def _nearest(refs: set[Ref], blocking: Callable[[Ref], set[Ref]]) -> set[Ref]:
    """``refs`` without those that one of the others waits for: they show up below it."""
    deeper: set[Ref] = set()
    frontier = list(refs)
    while frontier:
        found = blocking(frontier.pop()) - deeper
        deeper |= found
        frontier += found
    return refs - deeper
