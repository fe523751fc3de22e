"""Coming by everything once in an interval, a little at each turn, for no more than a share of a core."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from framework.api.meta import Ref

SHARE = 0.1
"""Of one core: so much may go into looks that nothing but the time asks for."""
_WEIGHT = 0.02
"""Of one more look among those before, in what a look costs."""


class Cost:
    """What a look costs lately, in seconds of CPU: a mean in which the older looks count less and less."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def add(self, seconds: float) -> None:
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)

    @property
    def mean(self) -> float:
        """0 before the first."""
        return self._mean or 0.0


class Round:
    """Each turn gives the share of the resources that the time since the last one is of the interval. Every one comes
    up once in an interval, and no turn costs more than its share, however many there are. Where the interval is too
    short for all looks within :data:`SHARE` of a core, it is as long as that takes. ``now`` is in seconds by a clock
    that nobody sets, ``cost`` in seconds of CPU for one look."""

    def __init__(self, interval: timedelta, now: float) -> None:
        self._shortest, self._last = interval.total_seconds(), now
        self.interval = self._shortest
        """Seconds in which everything comes up once, as of the last turn."""
        self._refs: tuple[Ref, ...] = ()
        self._of: Mapping[Ref, Any] | None = None
        self._owed = 0.0
        self._next = 0

    def due(self, resources: Mapping[Ref, Any], now: float, cost: float = 0.0) -> tuple[Ref, ...]:
        """Whose turn it is. ``resources`` may be another mapping each time; the place in the round is kept."""
        if resources is not self._of:
            self._of, self._refs = resources, tuple(resources)
        self.interval = max(self._shortest, len(self._refs) * cost / SHARE)
        elapsed, self._last = now - self._last, now
        if not self._refs or elapsed <= 0:
            return ()
        self._owed += len(self._refs) * min(elapsed / self.interval, 1.0)
        count = min(int(self._owed), len(self._refs))
        self._owed -= count
        start = self._next % len(self._refs)
        self._next = (start + count) % len(self._refs)
        return (*self._refs[start : start + count], *self._refs[: max(0, start + count - len(self._refs))])
