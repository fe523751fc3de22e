"""The ways to run the loop: once and with an exit code, for as long as wanted, or by watching another do it."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import psutil

from controllers.manager import Manager
from controllers.project import Project
from controllers.reconciler import Result
from controllers.runtime.backoff import Backoff
from controllers.runtime.leadership import Leadership
from controllers.source import SourceController
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.changes import Status
from framework.planning.settled import Standing, standing
from framework.render.terminal import LONGEST_MESSAGE, one_line


class Word(StrEnum):
    CONVERGED = "Converged"
    """Everything is as git asks."""
    STALLED = "Stalled"
    """Nothing moves any more, and something is not as git asks."""
    HELD = "Held"
    """Nothing moves until a person does something."""
    STARTED = "Started"
    """Work goes on; nobody was asked to wait for it, or not that long."""


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

    def document(self) -> dict[str, object]:
        return {
            "format": 1,
            "outcome": self.word.value,
            "environment": self.environment,
            "commit": self.commit,
            "seconds": round(self.seconds, 3),
            "looks": self.looks,
            "followed": self.followed,
            "changing_calls": dict(sorted(self.calls.items())),
            "resources": {
                word: [str(ref) for ref in getattr(self.standing, word)]
                for word in ("ready", "moving", "stalled", "blocked", "held")
            },
            "reasons": {str(ref): message for ref, message in self.reasons},
        }

    def json(self) -> str:
        return json.dumps(self.document(), indent=2)

    def text(self) -> str:
        """A sentence for each thing that is not as git asks, and one that sums up."""
        lines = [f"{ref!s:34}  {one_line(message, LONGEST_MESSAGE)}" for ref, message in self.reasons]
        return "\n".join([*lines, self._summary()])

    def _summary(self) -> str:
        commit, total = self.commit[:7], self.calls.total()
        if self.word is Word.CONVERGED and total == 0 and not self.followed:
            count = len(self.standing.ready)
            seen = f"{self.looks} looks, 0 changing calls, {self.seconds:.1f} s"
            return f"Nothing to do: {count} resources match commit {commit} ({seen})."
        done = ", ".join(f"{count} {name}" for name, count in sorted(self.calls.items())) or (
            "those of the controller that was followed" if self.followed else "none"
        )
        counts = ", ".join(
            f"{len(refs)} {word}"
            for word in ("ready", "moving", "stalled", "blocked", "held")
            if (refs := getattr(self.standing, word))
        )
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
        manager, source = _manager(project, leadership, resync=None, poll=timedelta(milliseconds=100), listen=listen)

        def enough(manager: Manager) -> bool:
            if source.refused or project.clock() - started > timeout:
                return True
            return manager.standing().settled if wait else manager.all_seen()

        manager.run(enough)
        for error in source.refused.values():
            raise error
        assert source.loaded is not None
        return _result(project, source.loaded.commit, started, manager.standing(), manager)
    finally:
        leadership.release()


def serve(project: Project, stop: threading.Event, listen: Callable[[Result], None]) -> None:
    """The long-running controller: follow the source and repair what drifts, until ``stop``. Waits for the lease."""
    leadership = project.leadership()
    while not leadership.acquire():
        if stop.wait(project.settings.poll.total_seconds()):
            return
    try:
        settings = project.settings
        manager, _ = _manager(project, leadership, resync=settings.resync, poll=settings.poll, listen=listen)
        manager.run(lambda manager: stop.is_set() or _orphaned(settings.keeper))
    finally:
        leadership.release()


def _orphaned(keeper: int | None) -> bool:
    return keeper is not None and not psutil.pid_exists(keeper)


def follow(project: Project, *, wait: bool, timeout: timedelta, stop: threading.Event) -> PassResult:
    """Watch the controller that holds the lease bring the newest commit about. Changes nothing itself."""
    started = project.clock()
    loaded = project.read(project.ports.source.resolve(project.settings.revision))
    while True:
        newest = next(iter(project.ports.state.revisions(1)), None)
        taken = newest is not None and newest.commit == loaded.commit
        if taken and newest is not None and not newest.accepted:
            raise ConfigurationError(f"the controller refuses commit {loaded.commit[:7]}: {'; '.join(newest.problems)}")
        found = standing(loaded.desired, project.ports.state.records())
        over = project.clock() - started > timeout
        if over or (taken and (found.settled or not wait)) or stop.wait(0.2):
            return _result(project, loaded.commit, started, found, None)


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
        project.reconciler(token),
        source,
        Backoff(jitter.random),
        project.clock,
        workers=project.settings.workers,
        poll=poll,
        resync=resync,
        listen=listen,
    )
    return manager, source


def _result(project: Project, commit: str, started: datetime, found: Standing, manager: Manager | None) -> PassResult:
    if found.converged:
        word = Word.CONVERGED
    elif found.moving:
        word = Word.STARTED
    elif found.stalled or found.blocked:
        word = Word.STALLED
    else:
        word = Word.HELD
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
        reasons=tuple(
            (ref, statuses[ref].conditions.ready.message or statuses[ref].conditions.ready.reason)
            for ref in (*found.stalled, *found.blocked, *found.held, *found.moving)
            if ref in statuses
        ),
    )
