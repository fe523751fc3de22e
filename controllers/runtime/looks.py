"""When each resource was looked at last, told in few words however many there are."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from framework.api.meta import Ref

MOST_LATE = 20
"""So many are named one by one."""
LATE_ROUNDS = 2.0
"""Whoever was not looked at for so many rounds is late."""


@dataclass(frozen=True)
class Ages:
    """Seconds since the last look: ``rest`` at most for everything but ``late``, None where it never came. ``round`` is
    what the last round over everything took."""

    rest: float | None
    late: dict[Ref, float | None] = field(default_factory=dict)
    round: float = 0.0


class Looks:
    """Thread-safe. ``clock`` gives seconds that no set clock moves; ``interval`` is how long a round is meant to take.
    ``before`` are the ages that another controller left: they count for what was not looked at since."""

    def __init__(
        self, clock: Callable[[], float], interval: timedelta = timedelta(0), before: Ages | None = None
    ) -> None:
        self._clock, self._interval = clock, interval.total_seconds()
        self._before, self._began = before or Ages(None), clock()
        self._lock = threading.Lock()
        self._at: dict[Ref, float] = {}
        self._mark, self._round = self._began, 0.0

    def saw(self, ref: Ref) -> None:
        with self._lock:
            self._at[ref] = self._clock()

    def within(self, ref: Ref, seconds: float) -> bool:
        """Whether it was looked at so lately."""
        with self._lock:
            at = self._at.get(ref)
        return at is not None and self._clock() - at < seconds

    def ages(self, refs: Iterable[Ref], interval: timedelta | None = None) -> Ages:
        """Of ``refs``; whatever else was looked at is forgotten. ``interval``: how long a round is meant to take now,
        where there is so much that it takes longer."""
        now, wanted = self._clock(), frozenset(refs)
        with self._lock:
            self._at = {ref: at for ref, at in self._at.items() if ref in wanted}
            known = dict(self._at)
        if wanted and len(known) == len(wanted) and min(known.values()) >= self._mark:
            self._mark, self._round = now, now - self._mark
        ages = ((self._age(ref, known.get(ref), now), ref) for ref in wanted)
        oldest = heapq.nsmallest(MOST_LATE + 1, ages, key=_oldest_first)
        meant = self._interval if interval is None else interval.total_seconds()
        bound = LATE_ROUNDS * max(meant, self._round)
        late = {ref: age for age, ref in oldest[:MOST_LATE] if age is None or age > bound}
        return Ages(oldest[len(late)][0] if len(late) < len(oldest) else 0.0, late, self._round)

    def _age(self, ref: Ref, at: float | None, now: float) -> float | None:
        if at is not None:
            return now - at
        left = self._before.late.get(ref, self._before.rest)
        return None if left is None else left + now - self._began


def _oldest_first(item: tuple[float | None, Ref]) -> tuple[float, Ref]:
    age, ref = item
    return (float("-inf") if age is None else -age, ref)
