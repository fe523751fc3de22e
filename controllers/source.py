"""New commit -> snapshot -> which resources to look at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from framework.api.errors import Problem, SpecError
from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.changes import Desired
from framework.ports import Event, Ports, Revision

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A commit that was read and found valid. ``desired`` is in dependency order."""

    commit: str
    subject: str
    digest: str
    desired: Mapping[Ref, Desired[Any]]
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)


Read = Callable[[str], Loaded]
"""Reads one commit. Raises SpecError with every problem in it."""


@dataclass
class SourceController:
    """Keeps the last good snapshot in force. A bad commit changes nothing, and newer commits are still looked at."""

    ports: Ports
    read: Read
    revision: str
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str
    allow_prune: bool = False
    loaded: Loaded | None = None
    refused: dict[str, SpecError] = field(default_factory=dict)

    @property
    def desired(self) -> Mapping[Ref, Desired[Any]]:
        return self.loaded.desired if self.loaded else {}

    def poll(self) -> tuple[Ref, ...] | None:
        """Look at the newest commit; the refs to work on if it is a new one, else None.

        Raises:
            SpecError: the newest commit is wrong and nothing earlier was accepted.
        """
        commit = self.ports.source.resolve(self.revision)
        if commit in self.refused or (self.loaded is not None and commit == self.loaded.commit):
            return None
        try:
            loaded = self.read(commit)
            self._guard_prune(loaded)
        except SpecError as error:
            self._refuse(commit, error)
            if self.loaded is None:
                return self._fall_back(error)
            return None
        self._accept(loaded)
        return self._work(loaded)

    def _work(self, loaded: Loaded) -> tuple[Ref, ...]:
        """Everything asked for, and what is recorded but no longer asked for."""
        vanished = sorted(record.ref for record in self.ports.state.records() if record.ref not in loaded.desired)
        self.loaded = loaded
        return (*loaded.desired, *vanished)

    def _accept(self, loaded: Loaded) -> None:
        newest = next(iter(self.ports.state.revisions(1)), None)
        if newest is not None and newest.commit == loaded.commit and newest.accepted:
            return  # the same commit after a restart: nothing new to write down
        revision = Revision(
            commit=loaded.commit, digest=loaded.digest, accepted=True, time=self.clock(), subject=loaded.subject
        )
        self.ports.state.save_revision(revision, self.token())
        self._event(loaded.commit, "RevisionAccepted", loaded.subject)

    def _refuse(self, commit: str, error: SpecError) -> None:
        self.refused[commit] = error
        problems = tuple(str(problem) for problem in error.problems)
        log.error("commit %s is refused:\n%s", commit[:7], error)
        known = any(item.commit == commit and not item.accepted for item in self.ports.state.revisions(1))
        if not known:
            revision = Revision(commit=commit, digest="", accepted=False, time=self.clock(), problems=problems)
            self.ports.state.save_revision(revision, self.token())
            self._event(commit, "RevisionRefused", f"{len(problems)} problems; the first: {problems[0]}")

    def _fall_back(self, error: SpecError) -> tuple[Ref, ...]:
        """After a restart onto a bad commit, the last accepted one is still in force."""
        for revision in self.ports.state.revisions():
            if revision.accepted:
                return self._work(self.read(revision.commit))
        raise error

    def _guard_prune(self, loaded: Loaded) -> None:
        recorded = [record.ref for record in self.ports.state.records()]
        vanished = [ref for ref in recorded if ref not in loaded.desired]
        if not self.allow_prune and len(recorded) > 1 and 2 * len(vanished) > len(recorded):
            message = (
                f"this commit would remove {len(vanished)} of {len(recorded)} resources "
                f"({', '.join(map(str, vanished[:3]))}, ...); "
                "if that is meant, reconcile it once with --allow-prune"
            )
            raise SpecError([Problem(file=f"commit {loaded.commit[:7]}", line=0, column=0, path="", message=message)])

    def _event(self, commit: str, reason: str, message: str) -> None:
        event = Event(time=self.clock(), commit=commit, ref=None, reason=reason, message=message, actor=self.actor)
        self.ports.state.append_events([event], self.token())
