"""A Ray of our own that was lost is started again, beside the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from controllers.runtime.trouble import Trouble
from framework.planning.grammar.reasons import RAY_LOST, RAY_STARTED, Reason

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0
"""Seconds from a start that failed to the next, which doubles with each."""


class Mortal(Protocol):
    """What may be lost, and started again."""

    def lost(self) -> str:
        """Why it does not run though it should, "" where it does; looked at often."""
        ...

    def start(self) -> None:
        """Takes its time. Raises what keeps it from starting."""
        ...


class Revival:
    """``tell`` writes an event, from reason and message. Used by one thread."""

    def __init__(
        self, cluster: Mortal, tell: Callable[[Reason, str], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster, self._tell, self._monotonic = cluster, tell, monotonic
        self._trouble = Trouble(log, "Ray was lost, and does not start again")
        self._next = monotonic()
        self._since: float | None = None
        self._start: _Start | None = None
        self._failed = 0

    def look(self) -> None:
        """Start it where it is lost. Returns at once. Raises what ``tell`` raises, and is then as it was before."""
        if self._start is not None and self._start.is_alive():
            return
        now = self._monotonic()
        if self._start is not None:
            self._heed(self._start, now)
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        why = self._cluster.lost()
        if not why:
            self._since = None
            return
        if self._since is None:
            self._tell(RAY_LOST, f"Ray was lost, and is started again; {why}")
            log.warning("Ray was lost, and is started again; %s", why)
            self._since = now
        self._start = _Start(self._cluster)
        self._start.start()

    def _heed(self, start: _Start, now: float) -> None:
        """What became of a start."""
        if start.error is None:
            took = now - (self._since if self._since is not None else now)
            self._tell(RAY_STARTED, f"Ray runs again, {took:.0f} s after it was found lost")
            log.warning("Ray runs again")
            self._failed, self._since = 0, None
            self._trouble.over()
        else:
            self._trouble.came_up(start.error)
            self._next = now + min(FIRST_WAIT * 2.0 ** min(self._failed, 20), LONGEST_WAIT)
            self._failed += 1
        self._start = None


class _Start(threading.Thread):
    def __init__(self, cluster: Mortal) -> None:
        super().__init__(name="start of Ray", daemon=True)
        self._cluster = cluster
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._cluster.start()
        except Exception as error:
            self.error = error
