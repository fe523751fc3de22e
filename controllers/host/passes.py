"""The ways to run the loop: once and with an exit code, for as long as wanted, or by watching another do it."""

from __future__ import annotations

import gc
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import psutil

from controllers.commands.following import follow
from controllers.commands.outcome import outcome
from controllers.commands.project import Project
from controllers.host.heartbeat import Beats, looks_of
from controllers.host.mirroring import Mirroring
from controllers.loop.manager import LONGEST_POLL, LONGEST_REST, Manager
from controllers.loop.reconciler import Result
from controllers.loop.timekeeping import Timekeeper
from controllers.revision.source import SourceController
from controllers.runtime.backoff import Backoff
from controllers.runtime.beside import Beside
from controllers.runtime.clock import WatchedClock
from controllers.runtime.door import Door
from controllers.runtime.leadership import Leadership
from controllers.runtime.pulse import Pulse
from controllers.runtime.revival import Revival
from controllers.runtime.trouble import Trouble
from controllers.runtime.webhook import WebhookReceiver
from framework.api.errors import ConfigurationError, ConflictError, DamagedError, SpecError, TransientError
from framework.api.meta import Ref
from framework.panics import panics_told
from framework.ports import Recorded
from framework.render.outcome import PassResult

__all__ = ["follow", "lead", "serve"]

log = logging.getLogger(__name__)

POLL, REST = timedelta(seconds=1.0), 0.1
"""Of one pass: between two looks at git, and seconds until it sees that it is over."""
FOR_A_MIRROR, FAREWELL = 30.0, 5.0
"""Seconds for which a mirror that answers is waited for, at the end of one pass and at that of a controller."""
PATIENCE = 5
"""Looks at git in a row that may fail before one pass gives up, where waiting does not help by itself."""


def lead(
    project: Project,
    *,
    wait: bool,
    timeout: timedelta,
    listen: Callable[[Result], None],
    leadership: Leadership | None = None,
    stop: threading.Event | None = None,
) -> PassResult:
    """Reconcile the newest commit and give the lease back. ``leadership`` holds it already; None: it is taken here.

    Raises:
        SpecError: the newest commit is wrong. What was accepted before stays in force.
        ConfigurationError: another controller took the lease, before or meanwhile.
        Exception: what git asks for could not be looked at, time and again, whatever that raised.
    """
    started = time.monotonic()
    if leadership is None:
        leadership = project.leadership()
        if not leadership.acquire():
            raise ConfigurationError("another controller holds the lease of this environment")
    try:
        manager, source = _manager(project, leadership, poll=POLL, rest=REST, listen=listen)
        held, revival = leadership, Revival(project.cluster, source.tell)

        def enough(manager: Manager) -> bool:
            late = time.monotonic() - started > timeout.total_seconds() or (stop is not None and stop.is_set())
            if late or not held.held or _hopeless(manager):
                return True
            if source.problem or (source.waiting and source.loaded is None):
                return True
            if (manager.settled() if wait else manager.all_seen()) and not project.cluster.lost():
                return True
            revival.look()
            return False

        with _beside(project, leadership, manager, source, FOR_A_MIRROR):
            manager.run(enough)
        if not leadership.held:
            raise ConfigurationError("another controller took the lease of this environment meanwhile")
        if source.problem is not None:
            raise source.problem
        if manager.failure is not None and (source.loaded is None or _hopeless(manager)):
            raise manager.failure
        found = manager.environment_health()
        return outcome(
            project.settings.environment, source.loaded.commit if source.loaded else "", time.monotonic() - started,
            found, _recorded(project, found.open),
            looks=manager.activity.looks, calls=manager.activity.calls, note=source.note,
        )  # fmt: skip
    finally:
        leadership.release()


def _recorded(project: Project, refs: Iterable[Ref]) -> Recorded:
    """Of all records those of ``refs``."""
    found, unreadable = [], {}
    for ref in refs:
        try:
            record = project.ports.state.load(ref)
        except DamagedError as error:
            unreadable[ref] = error.problem
        else:
            found += [record] if record is not None else []
    return Recorded(tuple(found), unreadable)


def _hopeless(manager: Manager) -> bool:
    """Whether nothing that one pass could wait for is going to let it see what git asks for."""
    passing = isinstance(manager.failure, TransientError | ConflictError)
    return manager.failure is not None and manager.failures >= PATIENCE and not passing


def serve(project: Project, stop: threading.Event, listen: Callable[[Result], None]) -> None:
    """The long-running controller: follow the source and repair what drifts, until ``stop``. Waits for the lease, and
    starts over without anything that it kept in memory when it loses it. No failure ends it: each is told and tried
    again."""
    settings, leadership, trouble, failed = (
        project.settings,
        project.leadership(),
        Trouble(log, "the controller starts over"),
        0,
    )

    def over() -> bool:
        return stop.is_set() or _orphaned(settings.keeper)

    while not over():
        try:
            with panics_told():
                if leadership.acquire():
                    _serve(project, leadership, over, listen)
        except Exception as error:
            trouble.came_up(error)
            failed += 1
        else:
            trouble.over()
            failed = 0
        if leadership.over:
            leadership = project.leadership()
            gc.collect()  # who led refers to itself, and Python looks for such seldom here
        stop.wait(min(settings.poll.total_seconds() * 2.0 ** min(failed, 20), LONGEST_POLL))


def _serve(
    project: Project, leadership: Leadership, stopped: Callable[[], bool], listen: Callable[[Result], None]
) -> None:
    """Lead until the lease is lost."""
    settings = project.settings
    try:
        manager, source = _manager(project, leadership, poll=settings.poll, listen=listen)
        refusals, door = _Refusals(source), Door(lambda: _webhook(project, manager))
        revival = Revival(project.cluster, source.tell)

        def over(manager: Manager) -> bool:
            if stopped() or not leadership.held:
                return True
            door.keep_open()
            refusals.tell()
            revival.look()
            return False

        with door, _beside(project, leadership, manager, source, FAREWELL):
            manager.run(over)
    finally:
        leadership.release()


def _webhook(project: Project, manager: Manager) -> WebhookReceiver | None:
    """Where a forge may say that something was pushed."""
    address = project.settings.webhook

    def knocked() -> None:
        project.hurry()
        manager.wake()

    return None if address is None else WebhookReceiver(address.host, address.port, address.secret, knocked)


@dataclass
class _Refusals:
    """Logs each refused commit once. A single pass raises what is wrong instead."""

    source: SourceController
    told: SpecError | None = None

    def tell(self) -> None:
        problem = self.source.problem
        if problem is not None and problem is not self.told:
            log.warning("commit %s is refused:\n%s", self.source.newest[:7], problem)
        self.told = problem


def _orphaned(keeper: int | None) -> bool:
    return keeper is not None and not psutil.pid_exists(keeper)


def _manager(
    project: Project,
    leadership: Leadership,
    *,
    poll: timedelta,
    rest: float = LONGEST_REST,
    listen: Callable[[Result], None],
) -> tuple[Manager, SourceController]:
    def token() -> int:
        return leadership.token

    clock = WatchedClock(project.clock, project.steady)
    project = replace(project, clock=clock)
    keeper = Timekeeper(project.ports.state, project.kinds, clock, token, project.settings.holder)
    source = project.source_controller(token)
    jitter = random.Random()  # noqa: S311  spreads retries over time; nothing secret about it
    manager = Manager(
        replace(project.reconciler(token), rules=lambda: source.rules, era=lambda: keeper.era),
        source,
        Backoff(jitter.random),
        workers=project.settings.workers,
        poll=poll,
        resync=project.settings.resync,
        jitter=jitter.random,
        listen=listen,
        first=keeper.look,
        looks=looks_of(project),
        rest=rest,
    )
    return manager, source


@contextmanager
def _beside(
    project: Project, leadership: Leadership, manager: Manager, source: SourceController, patience: float
) -> Iterator[None]:
    """What goes on beside the loop: the heartbeat, and the mirror, which is waited for at the end while it answers."""

    def address() -> str | None:
        return source.loaded.environment.tracking if source.loaded is not None else None

    def wait() -> float:
        return patience if mirroring.outage is None else 0.0

    mirroring = Mirroring(project, address, lambda: leadership.token, lambda: leadership.held and not beside.left)
    beside = Beside(mirroring, wait, Trouble(log, "nobody knows what to mirror"))
    beats = Beats(project, manager, source, lambda: leadership.token, lambda: mirroring.outage)
    with Pulse(beats), beside:
        yield
