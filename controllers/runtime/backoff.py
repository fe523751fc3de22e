"""How long to wait after the n-th failure in a row."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

from framework.api.meta import Ref


class Backoff:
    """Doubles from ``first`` to ``longest``; ``jitter`` (0..1, from the caller) spreads it over the upper half."""

    def __init__(
        self,
        jitter: Callable[[], float],
        first: timedelta = timedelta(seconds=0.5),
        longest: timedelta = timedelta(minutes=1),
    ) -> None:
        self._jitter, self._first, self._longest = jitter, first, longest
        self._failures: dict[Ref, int] = {}
        self._lock = threading.Lock()

    def failed(self, ref: Ref) -> timedelta:
        """Count one more failure and say how long to wait."""
        with self._lock:
            count = self._failures.get(ref, 0)
            self._failures[ref] = count + 1
        full: timedelta = min(self._first * 2 ** min(count, 20), self._longest)
        return full * (0.5 + 0.5 * self._jitter())

    def succeeded(self, ref: Ref) -> None:
        with self._lock:
            self._failures.pop(ref, None)
