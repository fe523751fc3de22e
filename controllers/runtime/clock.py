"""The wall clock, watched: when somebody or something sets it, that is seen."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

TOLERANCE = timedelta(seconds=5)
"""Less is told by nobody and harms nothing; clocks are brought into line by fractions of a second all the time."""

_AT_ONCE = 0.1
"""Seconds within which both clocks must have been read."""
_TRIES = 10


def uptime() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@cache
def boot() -> str:
    """Names the start of the machine from which ``uptime`` counts; where the system does not say, a name of this
    process's own, which no other knows."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return uuid.uuid4().hex


class WatchedClock:
    """Gives the time, and notes that ``wall`` moved against ``steady`` since it was last asked."""

    def __init__(self, wall: Callable[[], datetime], steady: Callable[[], float] = uptime) -> None:
        self._wall, self._steady = wall, steady
        self._lock = threading.Lock()
        self._last = self._both()
        self.jumps = 0
        """How often it was set."""

    def __call__(self) -> datetime:
        return self.reading()[0]

    def reading(self) -> tuple[datetime, float]:
        """The time, and the seconds of the steady clock at that moment."""
        with self._lock:
            (before, then), (now, seconds) = self._last, self._both()
            self._last = now, seconds
            if abs(now - before - timedelta(seconds=seconds - then)) > TOLERANCE:
                self.jumps += 1
            return now, seconds

    def _both(self) -> tuple[datetime, float]:
        """Both clocks as of one moment: a process may be held up between the two."""
        for _ in range(_TRIES):
            before = self._steady()
            now = self._wall()
            after = self._steady()
            if after - before < _AT_ONCE:
                break
        return now, after
