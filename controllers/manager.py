"""Runs the loop: workers that reconcile what is due, and a poll of the source."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.reconciler import Reconciler, Result
from controllers.runtime.backoff import Backoff
from controllers.runtime.queue import WorkQueue
from controllers.source import SourceController
from framework.api.errors import ConflictError, SpecError, TransientError
from framework.api.meta import Ref
from framework.planning.settled import Standing, standing

log = logging.getLogger(__name__)

SHORTEST_REQUEUE = timedelta(milliseconds=50)


@dataclass
class Activity:
    """What was done since the newest commit was taken up: looks, and changing calls by name."""

    looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def changing(self) -> int:
        return self.calls.total()


class Manager:
    """One environment's controller. ``run`` returns when ``until`` says so, or after ``stop``."""

    def __init__(
        self,
        reconciler: Reconciler,
        source: SourceController,
        backoff: Backoff,
        clock: Callable[[], datetime],
        *,
        workers: int,
        poll: timedelta,
        resync: timedelta | None,
        listen: Callable[[Result], None] = lambda result: None,
    ) -> None:
        self._reconciler, self._source, self._backoff, self._clock = reconciler, source, backoff, clock
        self._workers, self._poll, self._resync, self._listen = workers, poll, resync, listen
        self._queue = WorkQueue(clock)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._unseen: set[Ref] = set()
        self._resynced = clock()
        self.activity = Activity()

    def stop(self) -> None:
        """Let workers finish what they are at, then return from ``run``."""
        self._stop.set()

    def run(self, until: Callable[[Manager], bool] = lambda manager: False) -> None:
        """Work until ``until`` holds or ``stop`` is called.

        Raises:
            SpecError: the newest commit is wrong and no earlier one was accepted.
        """
        threads = [
            threading.Thread(target=self._work, name=f"worker-{index}", daemon=True) for index in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._stop.is_set():
                self._look_at_source()
                self._resync_if_due()
                if until(self):
                    break
                self._stop.wait(self._poll.total_seconds())
        finally:
            self._stop.set()
            self._queue.close()
            for thread in threads:
                thread.join()

    def all_seen(self) -> bool:
        """Whether every resource was looked at since the newest commit was taken up."""
        with self._lock:
            return self._source.loaded is not None and not self._unseen

    def standing(self) -> Standing:
        """How far things are; resources that were not looked at since the newest commit count as moving."""
        with self._lock:
            unseen = frozenset(self._unseen)
        found = standing(self._source.desired, self._reconciler.ports.state.records())
        if not unseen or self._source.loaded is None:
            return found
        return Standing(
            ready=tuple(ref for ref in found.ready if ref not in unseen),
            moving=(*found.moving, *sorted(unseen - set(found.moving))),
            stalled=tuple(ref for ref in found.stalled if ref not in unseen),
            blocked=tuple(ref for ref in found.blocked if ref not in unseen),
            held=tuple(ref for ref in found.held if ref not in unseen),
        )

    def _look_at_source(self) -> None:
        try:
            work = self._source.poll()
        except SpecError:
            raise
        except (TransientError, ConflictError) as error:
            log.warning("the source could not be read: %s", error)
            return
        if work is None:
            return
        with self._lock:
            self._unseen = set(work)
            self.activity = Activity()
        for ref in work:
            self._queue.add(ref)

    def _resync_if_due(self) -> None:
        """Look at everything now and then, because what was changed by hand tells nobody."""
        now = self._clock()
        if self._resync is not None and now - self._resynced >= self._resync:
            self._resynced = now
            for ref in self._source.desired:
                self._queue.add(ref)

    def _work(self) -> None:
        while not self._stop.is_set():
            ref = self._queue.take(timedelta(seconds=1))
            if ref is None:
                continue
            try:
                self._one(ref)
            except Exception:
                log.exception("%s: the worker failed", ref)
                self._queue.add(ref, self._backoff.failed(ref))
            finally:
                self._queue.done(ref)

    def _one(self, ref: Ref) -> None:
        desired = self._source.desired.get(ref)
        if desired is None and self._needed_by(ref):
            self._queue.add(ref, timedelta(seconds=0.5))
            return
        result = self._reconciler.reconcile(ref, desired)
        with self._lock:
            if self._source.desired.get(ref) is desired:
                self._unseen.discard(ref)
            self.activity.looks += 1
            for action in result.change.actions if result.change else ():
                self.activity.calls[type(action).__name__] += 1
        if result.retry:
            self._queue.add(ref, self._backoff.failed(ref))
        else:
            self._backoff.succeeded(ref)
            if result.requeue_after is not None:
                self._queue.add(ref, max(result.requeue_after, SHORTEST_REQUEUE))
        if result.news:
            for other, asked in self._source.desired.items():
                if ref in asked.upstream:
                    self._queue.add(other)
        self._listen(result)

    def _needed_by(self, ref: Ref) -> bool:
        """Removal goes in reverse order: what still depends on ``ref`` goes first."""
        return any(ref in record.upstream for record in self._reconciler.ports.state.records() if record.ref != ref)
