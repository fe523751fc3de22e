"""Coming by everything once in an interval, a little at each turn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from framework.api.meta import Ref


class Round:
    """Each turn gives the share of the resources that the time since the last one is of the interval. Every one comes
    up once in an interval, and no turn costs more than its share, however many there are. ``now`` is in seconds by a
    clock that nobody sets."""

    def __init__(self, interval: timedelta, now: float) -> None:
        self._interval, self._last = interval.total_seconds(), now
        self._refs: tuple[Ref, ...] = ()
        self._of: Mapping[Ref, Any] | None = None
        self._owed = 0.0
        self._next = 0

    def due(self, resources: Mapping[Ref, Any], now: float) -> tuple[Ref, ...]:
        """Whose turn it is. ``resources`` may be another mapping each time; the place in the round is kept."""
        if resources is not self._of:
            self._of, self._refs = resources, tuple(resources)
        elapsed, self._last = now - self._last, now
        if not self._refs or elapsed <= 0:
            return ()
        self._owed += len(self._refs) * min(elapsed / self._interval, 1.0)
        count = min(int(self._owed), len(self._refs))
        self._owed -= count
        start = self._next % len(self._refs)
        self._next = (start + count) % len(self._refs)
        return (*self._refs[start : start + count], *self._refs[: max(0, start + count - len(self._refs))])
