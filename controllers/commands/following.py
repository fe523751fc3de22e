"""Watching the controller that holds the lease bring the newest commit about, for as long as there is one.

Records say what was, not what is: that a commit is in service is believed only of a controller that shows signs of
life.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from controllers.commands.outcome import outcome
from controllers.commands.project import Project
from controllers.revision import acceptance
from controllers.revision.permits import Permit, said, say
from controllers.revision.snapshot import Snapshot
from controllers.runtime.leadership import Leadership
from controllers.runtime.trouble import Trouble
from framework.api.errors import ConfigurationError, TransientError
from framework.api.meta import Ref
from framework.planning.reports.convergence import EnvironmentHealth, environment_health
from framework.planning.reports.oversight import oversee
from framework.process import dead, machine
from framework.render.outcome import PassResult

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
TAKEN_UP_SECONDS = 60.0
"""Whoever does not wait for the work still hears whether it has begun, within so long."""


def follow(
    project: Project,
    *,
    wait: bool,
    timeout: timedelta,
    stop: threading.Event,
    leadership: Leadership | None = None,
    permits: Collection[Permit] = (),
    actor: str = "",
) -> PassResult | None:
    """How the newest commit came out. None where the controller at work is gone: ``leadership`` then holds the lease.
    Changes nothing itself; where the controller refuses the commit for what ``permits`` allow, it is told so, as a word
    of ``actor``.

    Raises:
        SpecError: the newest commit is wrong.
        ConfigurationError: the controller refuses the newest commit.
    """
    started, watch = time.monotonic(), leadership or project.leadership()
    patience = timeout.total_seconds() if wait else min(timeout.total_seconds(), TAKEN_UP_SECONDS)
    newest = project.read(project.ports.source.resolve(project.settings.revision))
    trouble, since, unsaid = Trouble(log, "following"), None, frozenset(permits)
    while True:
        late = time.monotonic() - started > patience or stop.is_set()
        try:
            if watch.acquire():
                return None
            unanswered = said(project.ports.state, newest.commit)  # before the look: it may be answered meanwhile
            seen = _look(project, newest)
            if seen.refused:
                needed = acceptance.lifted_by(seen.refused) & unsaid
                say(project.ports.state, needed, newest.commit, actor, project.clock())
                unsaid -= needed
                if not (needed or unanswered):
                    why = "; ".join(seen.refused)
                    raise ConfigurationError(f"the controller refuses commit {newest.commit[:7]}: {why}")
            if since is None and seen.taken_up:
                since = watch.signs_of_life
            doubt = seen.doubt(since is not None and watch.signs_of_life > since)
            over = seen.taken_up and (not wait or (seen.health.settled and not doubt))
            if over or late:
                return outcome(
                    project.settings.environment, seen.in_force.commit, time.monotonic() - started, seen.health,
                    project.ports.state.recorded(), note=seen.note, doubt=doubt, taken_up=seen.taken_up,
                )  # fmt: skip
            trouble.over()
        except TransientError as error:
            if late:
                raise
            trouble.came_up(error)
        stop.wait(LOOK_SECONDS)


@dataclass(frozen=True)
class _Seen:
    """``note``: why the newest commit is not ``in_force``, where nothing is wrong with it."""

    taken_up: bool
    refused: tuple[str, ...]
    in_force: Snapshot
    health: EnvironmentHealth
    note: str
    ray: bool
    unseen: Ref | None
    """One of those that git asks for at which nobody is known to have looked lately."""

    def doubt(self, alive: bool) -> str:
        """Why the records may tell of what is no more; "" where they do not."""
        if not self.taken_up:
            return "the controller has not looked at the newest commit yet"
        if not self.ray:
            return "Ray does not run"
        if not alive:
            return "the controller has shown no sign of life since it took the commit up"
        return f"the controller has not looked at {self.unseen} lately" if self.unseen is not None else ""


def _look(project: Project, newest: Snapshot) -> _Seen:
    state = project.ports.state
    revision = next(iter(state.revisions(1)), None)
    known = revision if revision is not None and revision.commit == newest.commit else None
    held = project.withheld(newest)
    in_force = newest if held is None else project.in_force(newest) or newest
    recorded = state.recorded()
    found = environment_health(in_force.desired, recorded.readable, recorded.unreadable)
    return _Seen(
        taken_up=held is not None or (known is not None and known.accepted),
        refused=known.problems if known is not None and not (known.accepted or known.damaged) else (),
        in_force=in_force,
        health=found,
        note=held.message if held else "",
        ray=_ray(project),
        unseen=_unseen(project, in_force),
    )


def _unseen(project: Project, in_force: Snapshot) -> Ref | None:
    heartbeat = project.ports.state.heartbeat()
    if heartbeat is None:
        return None  # it has only begun, or is of a version that says nothing
    gone, now = dead(heartbeat.process), project.clock()
    oversight = oversee(heartbeat, gone=gone, here=False, probe=None, now=now)
    return next((ref for ref in in_force.desired if not oversight.knows(ref)), None)


def _ray(project: Project) -> bool:
    """Whether the cluster runs, as far as can be seen from here: the embedded one of another machine cannot."""
    lease = project.ports.state.lease()
    return lease is None or lease.note.get("machine") != machine() or project.cluster.running()
