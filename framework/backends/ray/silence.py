"""How long nothing was heard of a run. Times of day alone do not tell: clocks are set."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

CONFIRMED_SECONDS = 15.0
"""A run that lives reports every second; whose last report looks old is watched for so long first."""
_REMEMBERED = 10_000

_NEVER, _EVER = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


class Silence:
    """Runs that have not reported for ``limit``. Thread-safe."""

    def __init__(
        self, limit: timedelta, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._clock, self._monotonic = limit, clock, monotonic
        self._lock = threading.Lock()
        self._heard: dict[str, tuple[Mapping[str, Any] | None, float]] = {}

    def since(self, run: str, report: Mapping[str, Any] | None) -> datetime:
        """Before when ``run``, whose newest report this is, must have reported last to be taken for lost."""
        now = self._monotonic()
        with self._lock:
            if len(self._heard) >= _REMEMBERED:
                self._heard.clear()
            last, heard = self._heard.setdefault(run, (report, now))
            if last != report:
                self._heard[run], heard = (report, now), now
        if now - heard >= self._limit.total_seconds():
            return _NEVER
        return self._clock() - self._limit if now - heard >= CONFIRMED_SECONDS else _EVER
