"""The work queue: which resources are due. One resource is never worked on twice at the same time."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from framework.api.meta import Ref

_Due = tuple[float, int]
"""When, and after how many others it was added."""


class WorkQueue:
    """Deduplicating queue with delays. ``add`` during work on the same resource makes it due again afterwards. Of what
    is due at the same time, what was added first goes first.

    ``monotonic`` gives seconds: no delay depends on a clock that somebody may set.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._due: dict[Ref, _Due] = {}
        self._heap: list[tuple[_Due, Ref]] = []
        self._added = 0
        self._working: set[Ref] = set()
        self._changed = threading.Condition()
        self._closed = False

    def add(self, ref: Ref, after: timedelta = timedelta(0)) -> None:
        """Make ``ref`` due ``after`` from now, or earlier if it is due earlier already."""
        when = self._now() + after.total_seconds()
        with self._changed:
            if ref not in self._due or when < self._due[ref][0]:
                self._added += 1
                self._due[ref] = when, self._added
                heapq.heappush(self._heap, (self._due[ref], ref))
                self._changed.notify()

    def take(self, timeout: timedelta) -> Ref | None:
        """The next due resource, None when nothing is due within ``timeout`` or the queue was closed."""
        deadline = self._now() + timeout.total_seconds()
        with self._changed:
            while not self._closed:
                ref, wait = self._next(deadline)
                if ref is not None:
                    del self._due[ref]
                    self._working.add(ref)
                    if self._heap:
                        self._changed.notify()  # whoever waits watches for the next one from now on
                    return ref
                if wait <= 0:
                    return None
                self._changed.wait(wait)
            return None

    def done(self, ref: Ref) -> None:
        """Work on ``ref`` has ended."""
        with self._changed:
            self._working.discard(ref)
            if ref in self._due:
                heapq.heappush(self._heap, (self._due[ref], ref))
                self._changed.notify()

    def next_in(self) -> timedelta | None:
        """How long until something is due; None where nothing will be."""
        with self._changed:
            first = self._first()
            return None if first is None else timedelta(seconds=max(0.0, first[0] - self._now()))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _next(self, deadline: float) -> tuple[Ref | None, float]:
        """Who is due, or nobody and the seconds until somebody may be."""
        now, first = self._now(), self._first()
        if first is None:
            return None, deadline - now
        when, ref = first
        if when > now:
            return None, min(when, deadline) - now
        heapq.heappop(self._heap)
        return ref, 0.0

    def _first(self) -> tuple[float, Ref] | None:
        """Who is due first of all that nobody works on."""
        while self._heap:
            due, ref = self._heap[0]
            if self._due.get(ref) == due and ref not in self._working:
                return due[0], ref
            heapq.heappop(self._heap)  # out of date, or pushed again by done()
        return None
