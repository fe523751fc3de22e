"""The ways to run the loop: once and with an exit code, for as long as wanted, or by watching another do it."""

from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psutil

from controllers.manager import Manager
from controllers.outcome import PassResult, Word
from controllers.project import Project
from controllers.reconciler import Result
from controllers.runtime.backoff import Backoff
from controllers.runtime.leadership import Leadership
from controllers.runtime.webhook import Webhook
from controllers.source import SourceController
from framework.api.errors import ConfigurationError, SpecError
from framework.planning.changes import Status
from framework.planning.settled import Standing, standing

__all__ = ["PassResult", "Word", "follow", "lead", "serve"]

log = logging.getLogger(__name__)


def lead(project: Project, *, wait: bool, timeout: timedelta, listen: Callable[[Result], None]) -> PassResult:
    """Take the lease, reconcile the newest commit, give the lease back.

    Raises:
        SpecError: the newest commit is wrong. What was accepted before stays in force.
        ConfigurationError: another controller took the lease meanwhile.
    """
    started = project.clock()
    leadership = project.leadership()
    if not leadership.acquire():
        raise ConfigurationError("another controller holds the lease of this environment")
    try:
        manager, source = _manager(project, leadership, resync=None, poll=timedelta(milliseconds=100), listen=listen)

        def enough(manager: Manager) -> bool:
            if not leadership.held:
                raise ConfigurationError("another controller took the lease of this environment meanwhile")
            if source.problem or project.clock() - started > timeout or (source.waiting and source.loaded is None):
                return True
            return manager.settled() if wait else manager.all_seen()

        manager.run(enough)
        if source.problem is not None:
            raise source.problem
        commit = source.loaded.commit if source.loaded else ""
        return _result(project, commit, started, manager.standing(), manager, source.note)
    finally:
        leadership.release()


def serve(project: Project, stop: threading.Event, listen: Callable[[Result], None]) -> None:
    """The long-running controller: follow the source and repair what drifts, until ``stop``. Waits for the lease, and
    starts over without anything that it kept in memory when it loses it."""
    settings, leadership = project.settings, project.leadership()
    while not stop.is_set() and not _orphaned(settings.keeper):
        if not leadership.acquire():
            stop.wait(settings.poll.total_seconds())
            continue
        try:
            manager, source = _manager(project, leadership, resync=settings.resync, poll=settings.poll, listen=listen)
            refusals = _Refusals(source)

            def over(manager: Manager, leadership: Leadership = leadership, refusals: _Refusals = refusals) -> bool:
                refusals.tell()
                return stop.is_set() or _orphaned(settings.keeper) or not leadership.held

            with _door(project, manager.wake):
                manager.run(over)
        finally:
            leadership.release()
            leadership = project.leadership()


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


@contextmanager
def _door(project: Project, wake: Callable[[], None]) -> Iterator[None]:
    """Open while this controller leads: a forge may say that something was pushed."""
    address = project.settings.webhook
    if address is None:
        yield
        return

    def knocked() -> None:
        project.hurry()
        wake()

    webhook = Webhook(address.host, address.port, address.secret, knocked)
    webhook.start()
    try:
        yield
    finally:
        webhook.stop()


def _orphaned(keeper: int | None) -> bool:
    return keeper is not None and not psutil.pid_exists(keeper)


def follow(project: Project, *, wait: bool, timeout: timedelta, stop: threading.Event) -> PassResult:
    """Watch the controller that holds the lease bring the newest commit about. Changes nothing itself."""
    started = project.clock()
    newest = project.read(project.ports.source.resolve(project.settings.revision))
    while True:
        revision = next(iter(project.ports.state.revisions(1)), None)
        if revision is not None and revision.commit == newest.commit and not revision.accepted:
            raise ConfigurationError(
                f"the controller refuses commit {newest.commit[:7]}: {'; '.join(revision.problems)}"
            )
        held = project.withheld(newest)
        taken = held is not None or (revision is not None and revision.commit == newest.commit)
        loaded = (project.in_force(newest) or newest) if held is not None else newest
        found = standing(loaded.desired, project.ports.state.records())
        over = project.clock() - started > timeout
        if over or (taken and (found.settled or not wait)) or stop.wait(0.2):
            return _result(project, loaded.commit, started, found, None, held.message if held else "")


def _manager(
    project: Project,
    leadership: Leadership,
    *,
    resync: timedelta | None,
    poll: timedelta,
    listen: Callable[[Result], None],
) -> tuple[Manager, SourceController]:
    def token() -> int:
        return leadership.token

    source = project.source_controller(token)
    jitter = random.Random()  # noqa: S311  spreads retries over time; nothing secret about it
    manager = Manager(
        replace(project.reconciler(token), rules=lambda: source.rules),
        source,
        Backoff(jitter.random),
        workers=project.settings.workers,
        poll=poll,
        resync=resync,
        jitter=jitter.random,
        listen=listen,
    )
    return manager, source


def _result(
    project: Project, commit: str, started: datetime, found: Standing, manager: Manager | None, note: str
) -> PassResult:
    if found.converged:
        word = Word.HELD if note else Word.CONVERGED
    elif found.moving:
        word = Word.STARTED
    elif found.stalled:
        word = Word.STALLED
    else:
        word = Word.HELD  # what is blocked then waits for what a person is awaited for
    statuses = {record.ref: Status.model_validate(record.status) for record in project.ports.state.records()}
    return PassResult(
        word=word,
        environment=project.settings.environment,
        commit=commit,
        seconds=(project.clock() - started).total_seconds(),
        standing=found,
        looks=manager.activity.looks if manager else 0,
        calls=Counter(manager.activity.calls) if manager else Counter(),
        followed=manager is None,
        note=note,
        reasons=tuple(
            (ref, statuses[ref].conditions.ready.message or statuses[ref].conditions.ready.reason)
            for ref in (*found.stalled, *found.blocked, *found.held, *found.moving)
            if ref in statuses
        ),
    )
