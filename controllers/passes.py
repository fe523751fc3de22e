"""The ways to run the loop: once and with an exit code, for as long as wanted, or by watching another do it."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

import psutil

from controllers.heartbeat import Beats, looks_of
from controllers.manager import Manager
from controllers.project import Project
from controllers.reconciler import Result
from controllers.runtime.backoff import Backoff
from controllers.runtime.leadership import Leadership
from controllers.runtime.pulse import Pulse
from controllers.runtime.webhook import Webhook
from controllers.source import SourceController
from framework.api.errors import ConfigurationError, SpecError
from framework.api.meta import Ref
from framework.planning.changes import Status
from framework.planning.settled import Standing, standing
from framework.render.terminal import LONGEST_MESSAGE, one_line

log = logging.getLogger(__name__)


class Word(StrEnum):
    CONVERGED = "Converged"
    """Everything is as git asks."""
    STALLED = "Stalled"
    """Nothing moves any more, and something is not as git asks."""
    HELD = "Held"
    """Nothing moves until a person does something."""
    STARTED = "Started"
    """Work goes on; nobody was asked to wait for it, or not that long."""


WORDS = ("ready", "moving", "stalled", "blocked", "held", "orphaned")
"""Of a Standing, as a result tells them."""


@dataclass(frozen=True)
class PassResult:
    """How a pass ended. ``calls`` are the calls that changed anything, by action."""

    word: Word
    environment: str
    commit: str
    seconds: float
    standing: Standing
    looks: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    reasons: tuple[tuple[Ref, str], ...] = ()
    followed: bool = False
    """Another process did the work, so its calls are not counted here."""
    note: str = ""
    """Why the newest commit is not what is in force, where nothing is wrong with it."""

    def document(self) -> dict[str, object]:
        return {
            "format": 1,
            "outcome": self.word.value,
            "environment": self.environment,
            "commit": self.commit,
            "seconds": round(self.seconds, 3),
            "looks": self.looks,
            "followed": self.followed,
            "note": self.note,
            "changing_calls": dict(sorted(self.calls.items())),
            "resources": {word: [str(ref) for ref in getattr(self.standing, word)] for word in WORDS},
            "reasons": {str(ref): message for ref, message in self.reasons},
        }

    def json(self) -> str:
        return json.dumps(self.document(), indent=2)

    def text(self) -> str:
        """A sentence for each thing that is not as git asks, and one that sums up."""
        lines = [f"{ref!s:34}  {one_line(message, LONGEST_MESSAGE)}" for ref, message in self.reasons]
        return "\n".join([*lines, *([self.note] if self.note else []), self._summary()])

    def _summary(self) -> str:
        if not self.commit:
            return f"{self.word.value}: no commit is in force yet, and nothing was changed."
        commit, total = self.commit[:7], self.calls.total()
        if self.word is Word.CONVERGED and total == 0 and not self.followed:
            count = len(self.standing.ready)
            seen = f"{self.looks} looks, 0 changing calls, {self.seconds:.1f} s"
            return f"Nothing to do: {count} resources match commit {commit} ({seen})."
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items())) or (
            "those of the controller that was followed" if self.followed else "none"
        )
        counts = ", ".join(f"{len(refs)} {word}" for word in WORDS if (refs := getattr(self.standing, word)))
        return f"{self.word.value} at commit {commit} in {self.seconds:.1f} s: {counts}; changing calls: {done}."


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
        manager, source = _manager(project, leadership, poll=timedelta(milliseconds=100), listen=listen)

        def enough(manager: Manager) -> bool:
            if not leadership.held:
                raise ConfigurationError("another controller took the lease of this environment meanwhile")
            if source.problem or project.clock() - started > timeout or (source.waiting and source.loaded is None):
                return True
            return manager.settled() if wait else manager.all_seen()

        with _pulse(project, leadership, manager, source):
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
    settings = project.settings
    while not stop.is_set() and not _orphaned(settings.keeper):
        leadership = project.leadership()
        if not leadership.acquire():
            stop.wait(settings.poll.total_seconds())
            continue
        try:
            manager, source = _manager(project, leadership, poll=settings.poll, listen=listen)
            refusals = _Refusals(source)

            def over(manager: Manager, leadership: Leadership = leadership, refusals: _Refusals = refusals) -> bool:
                refusals.tell()
                return stop.is_set() or _orphaned(settings.keeper) or not leadership.held

            with _door(project, manager.wake), _pulse(project, leadership, manager, source):
                manager.run(over)
        finally:
            leadership.release()


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
        project.clock,
        workers=project.settings.workers,
        poll=poll,
        resync=project.settings.resync,
        jitter=jitter.random,
        listen=listen,
        looks=looks_of(project),
    )
    return manager, source


def _pulse(project: Project, leadership: Leadership, manager: Manager, source: SourceController) -> Pulse:
    return Pulse(Beats(project, manager, source, lambda: leadership.token))


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
