"""Runs the loop: reconciles what is due and polls the source, by workers or step by step."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from controllers.loop.reconciler import Reconciler, Result
from controllers.revision.snapshot import Snapshot
from controllers.runtime.backoff import Backoff
from controllers.runtime.looks import Looks
from controllers.runtime.queue import WorkQueue
from controllers.runtime.round import Cost, Round
from controllers.runtime.trouble import Trouble
from framework.api.meta import Ref
from framework.panics import panics_told
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.snapshot import same_meaning
from framework.planning.reports.convergence import EnvironmentHealth, health_of_all, moves
from framework.planning.reports.health import Health, together

log = logging.getLogger(__name__)

SHORTEST_REQUEUE = timedelta(milliseconds=50)
LONGEST_REST = 1.0
"""Seconds until the next look at whether to go on."""
LONGEST_POLL = 10.0
"""Seconds to which the wait between two looks at the source grows while they fail, unless it is longer anyway."""
WOKEN_AT_ONCE = 32
"""Of those that wait for room, so many are looked at when something is given back: the first in order."""


@dataclass
class Activity:
    """What was done since the newest commit was taken up: looks, and changing calls by name."""

    looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def changing(self) -> int:
        return self.calls.total()


class RevisionSource(Protocol):
    """Where it is told what is in force."""

    @property
    def loaded(self) -> Snapshot | None: ...

    @property
    def desired(self) -> Mapping[Ref, Desired[Any]]:
        """What ``loaded`` asks for; nothing before the first."""
        ...

    @property
    def rules(self) -> Rules: ...

    @property
    def problem(self) -> Exception | None:
        """What is wrong with the newest commit."""
        ...

    @property
    def unreachable(self) -> str:
        """Why nobody can tell what the newest commit is; empty where somebody can."""
        ...

    def poll(self) -> tuple[Ref, ...] | None:
        """Whom to look at because of what took effect; None where nothing did. May raise anything."""
        ...


class Manager:
    """One environment's controller. ``run`` returns when ``until`` says so, or after ``stop``, and for no other reason:
    what fails is told and tried again, whatever it raises."""

    def __init__(
        self,
        reconciler: Reconciler,
        source: RevisionSource,
        backoff: Backoff,
        *,
        workers: int,
        poll: timedelta,
        resync: timedelta | None,
        jitter: Callable[[], float] = lambda: 1.0,
        listen: Callable[[Result], None] = lambda result: None,
        first: Callable[[], None] = lambda: None,
        looks: Looks | None = None,
        rest: float = LONGEST_REST,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``first`` is done at each turn before anything else; ``rest`` is how many seconds pass until the next one at
        most. ``steady`` gives seconds: whatever waits here waits by it."""
        self._first = first
        self._reconciler, self._source, self._backoff = reconciler, source, backoff
        self._workers, self._poll, self._listen = workers, poll, listen
        self._jitter, self._rest = jitter, rest
        self._steady, self._next_poll = steady, steady()
        self._queue = WorkQueue(steady)
        self._stop, self._woken = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._unseen: set[Ref] = set()
        self._waiting: set[Ref] = set()
        self._alone: dict[Ref, Health] = {}
        """Of all that is on record, by the last look."""
        self._moving: set[Ref] = set()
        """Those of them that move whatever becomes of others."""
        self._round = Round(resync, steady()) if resync is not None else None
        self._cost = Cost()
        self._weighed = -1
        self._lookout = Trouble(log, "what git asks for could not be looked at")
        self._preparing = Trouble(log, "nothing is looked at yet")
        self._trouble = Trouble(log, "a turn of the loop failed")
        self.activity = Activity()
        self.looks = looks or Looks(steady)
        self.failure: Exception | None = None
        """Of the last look at the source, where that failed."""
        self.failures = 0
        """Looks at the source in a row that failed, or found that it cannot be read."""

    def stop(self) -> None:
        """Let workers finish what they are at, then return from ``run``."""
        self._stop.set()
        self._woken.set()

    def wake(self) -> None:
        """Look at the source now: somebody says that it has changed."""
        self._woken.set()

    def run(self, until: Callable[[Manager], bool] = lambda manager: False) -> None:
        """Work until ``until`` holds or ``stop`` is called."""
        threads = [
            threading.Thread(target=self._work, name=f"worker-{index}", daemon=True) for index in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            while not self._stop.is_set() and not self._turn(until):
                self._woken.wait(max(0.0, min(self._rest, self._next_poll - self._steady())))
        finally:
            self._stop.set()
            self._queue.close()
            for thread in threads:
                thread.join()

    def step(self) -> timedelta | None:
        """One turn, and then every look that is due, one after the other. How long until the next one is; None where
        none will be unless the source asks for it."""
        self._turn(lambda manager: False)
        while (ref := self._queue.take(timedelta(0))) is not None:
            self._look(ref)
        return self._queue.next_in()

    def _turn(self, until: Callable[[Manager], bool]) -> bool:
        """What is done beside the looks; whether it is over."""
        self._do_first()
        if self._woken.is_set() or self._steady() >= self._next_poll:
            self._woken.clear()
            self._look_at_source()
            self._next_poll = self._steady() + self._interval()
        return self._look_around(until)

    def _do_first(self) -> None:
        try:
            with panics_told():
                self._first()
        except Exception as error:
            self._preparing.came_up(error)
        else:
            self._preparing.over()

    def _look_around(self, until: Callable[[Manager], bool]) -> bool:
        """Have a part of the round looked at, and say whether it is over."""
        try:
            with panics_told():
                self._resync_if_due()
                over = until(self)
        except Exception as error:
            self._trouble.came_up(error)
            return False
        self._trouble.over()
        return over

    def all_seen(self) -> bool:
        """Whether every resource was looked at since the newest commit was taken up."""
        with self._lock:
            return self._source.loaded is not None and not self._unseen

    def settled(self) -> bool:
        """Whether nothing moves any more."""
        with self._lock:
            looks, busy = self.activity.looks, bool(self._unseen or self._moving)
        if self._source.loaded is None or busy or looks == self._weighed:
            return False
        self._weighed = looks
        return self.environment_health().settled

    def environment_health(self) -> EnvironmentHealth:
        """How far things are by the last look at each. What was not looked at since the newest commit moves."""
        desired = self._source.desired
        with self._lock:
            unseen, alone = frozenset(self._unseen), dict(self._alone)
        refs = (*desired, *sorted((alone.keys() | unseen) - desired.keys()))
        return health_of_all(together({ref: None if ref in unseen else alone.get(ref) for ref in refs}))

    def _interval(self) -> float:
        """Seconds to the next poll: up to a fifth less than asked for, so that many controllers do not poll in step;
        longer after each that failed."""
        poll = self._poll.total_seconds()
        return min(poll * 2.0 ** min(self.failures, 20), max(poll, LONGEST_POLL)) * (0.8 + 0.2 * self._jitter())

    def _look_at_source(self) -> None:
        try:
            with panics_told():
                work = self._source.poll()
        except Exception as error:
            self.failure = error
            self.failures += 1
            if error is not self._source.problem:  # which is told as a refusal
                self._lookout.came_up(error)
            return
        self.failure = None
        self.failures = self.failures + 1 if self._source.unreachable else 0
        self._lookout.over()
        if work is None:
            return
        with self._lock:
            self._unseen.update(work)
            self.activity, self._weighed = Activity(), -1
        for ref in work:
            self._queue.add(ref)

    def _resync_if_due(self) -> None:
        """Look at everything now and then, because what was changed by hand tells nobody. A few at each turn; what was
        looked at for another reason in the meantime need not be."""
        if self._round is not None and self._source.loaded is not None:
            for ref in self._round.due(self._source.loaded.desired, self._steady(), self._cost.mean):
                if not self.looks.within(ref, self._round.interval / 2):
                    self._queue.add(ref)

    @property
    def resync(self) -> timedelta:
        """In which it means to come by everything."""
        return timedelta(seconds=self._round.interval) if self._round is not None else timedelta(0)

    def _work(self) -> None:
        while not self._stop.is_set():
            ref = self._queue.take(timedelta(seconds=1))
            if ref is not None:
                self._look(ref)

    def _look(self, ref: Ref) -> None:
        try:
            with panics_told():
                self._one(ref)
        except Exception:
            log.exception("%s: the worker failed", ref)
            self._queue.add(ref, self._backoff.failed(ref))
        finally:
            self._queue.done(ref)

    def _one(self, ref: Ref) -> None:
        desired = self._source.desired.get(ref)
        started = time.thread_time()
        result = self._reconciler.reconcile(ref, desired)
        took = time.thread_time() - started
        if result.change is not None or not result.retry:  # else nobody could write down what was found
            self.looks.saw(ref)
        woken = self._woken_by(ref, result)
        with self._lock:
            if same_meaning(self._source.desired.get(ref), desired):
                self._unseen.discard(ref)
            self.activity.looks += 1
            self._place(ref, result)
            if not result.wrote and not result.calls:  # what a look costs that finds nothing to do
                self._cost.add(took)
            for action in result.change.actions if result.change else ():
                self.activity.calls[type(action).__name__] += 1
        if result.retry:
            self._queue.add(ref, self._backoff.failed(ref))
        else:
            self._backoff.succeeded(ref)
            if result.requeue_after is not None:
                self._queue.add(ref, max(result.requeue_after, SHORTEST_REQUEUE))
        for other in woken:
            self._queue.add(other)
        self._listen(result)

    def _place(self, ref: Ref, result: Result) -> None:
        if result.health is not None:
            self._alone[ref] = result.health
        elif not result.retry:
            self._alone.pop(ref, None)
        alone = self._alone.get(ref)
        (self._moving.add if alone is not None and moves(alone) else self._moving.discard)(ref)

    def _woken_by(self, ref: Ref, result: Result) -> tuple[Ref, ...]:
        """Who may go on now: what builds on it, and, where it gave something back or waits no more, what waits for
        room."""
        with self._lock:
            made_room = result.made_room or (ref in self._waiting and not result.lacks_room)
            if result.lacks_room:
                self._waiting.add(ref)
            else:
                self._waiting.discard(ref)
            waiting = heapq.nsmallest(WOKEN_AT_ONCE, self._waiting, self._source.rules.place) if made_room else ()
            self._unseen.update(waiting)
        below = self._source.loaded.downstream.get(ref, ()) if result.wrote and self._source.loaded else ()
        return (*below, *waiting)
