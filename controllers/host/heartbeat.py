"""What a controller at work knows and does, put together for those who ask for the status."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from controllers.commands.project import Project
from controllers.loop.manager import Manager
from controllers.revision import acceptance
from controllers.revision.source import SourceController
from controllers.runtime.looks import Ages, Looks
from controllers.runtime.pulse import SECONDS
from framework.api.meta import Ref
from framework.ports import Heartbeat, Outage
from framework.process import identity


def looks_of(project: Project) -> Looks:
    """For a controller that begins. What the one before it looked at does not have to be looked at anew to be known."""
    left, now = project.ports.state.heartbeat(), project.clock()
    if left is None:
        return Looks(time.monotonic, project.settings.resync)
    late = {Ref(*name.split("/", 1)): _age(at, now) for name, at in left.late.items() if "/" in name}
    return Looks(time.monotonic, project.settings.resync, Ages(_age(left.seen, now), late))


def _age(at: datetime | None, now: datetime) -> float | None:
    """None also for what is dated after now: a clock was set, and nobody knows when that was."""
    return None if at is None or at > now else (now - at).total_seconds()


@dataclass
class Beats:
    """Writes the heartbeat of one controller; called by one thread at a time."""

    project: Project
    manager: Manager
    source: SourceController
    token: Callable[[], int]
    mirror: Callable[[], Outage | None] = lambda: None
    """Why the mirror lags behind."""
    started: datetime = field(init=False)
    _outages: dict[str, Outage] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.started = self.project.clock()

    def __call__(self, last: bool) -> None:
        """Raises what the state store raises."""
        now, source, resync = self.project.clock(), self.source, self.manager.resync
        ages = self.manager.looks.ages(source.desired, resync)
        problem, failure = source.problem, self.manager.failure
        heartbeat = Heartbeat(
            holder=self.project.settings.holder,
            process=identity(),
            started=self.started,
            time=now,
            every=SECONDS,
            ended=now if last else None,
            resync=resync.total_seconds(),
            round=ages.round,
            seen=_before(now, ages.rest),
            late={str(ref): _before(now, age) for ref, age in ages.late.items()},
            commit=source.loaded.commit if source.loaded else "",
            newest=source.newest,
            note=f"refused: {acceptance.first_of(problem.problems)}" if problem else source.note,
            source=self._outage("source", source.unreachable, now),
            cluster=self._outage("cluster", self.project.cluster.trouble(), now),
            loop=self._outage("loop", str(failure) if failure else "", now),
            mirror=self.mirror(),
        )
        self.project.ports.state.beat(heartbeat, self.token())

    def _outage(self, name: str, message: str, now: datetime) -> Outage | None:
        """Since it came up, however its message changes."""
        known = self._outages.pop(name, None)
        if not message:
            return None
        found = Outage(since=known.since if known else now, message=message)
        self._outages[name] = found
        return found


def _before(now: datetime, age: float | None) -> datetime | None:
    return None if age is None else now - timedelta(seconds=age)
