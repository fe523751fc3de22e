"""Rollouts as people meet them: where one stands, and what an operator may say about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from controllers.commands.project import Project
from controllers.kinds.model_deployment import resolve
from framework.api import layout
from framework.api.errors import ConfigurationError, TransientError
from framework.api.fields import format_duration
from framework.api.meta import Ref
from framework.kinds.model_deployment import words
from framework.kinds.model_deployment.naming import named
from framework.kinds.model_deployment.observed import DeploymentState, Quarantine
from framework.kinds.model_deployment.target import served
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import RouteState, Word
from framework.render.rollout import Failing, RolloutReport, Side, TurnedAway
from framework.rollout.analysis.window import together
from framework.rollout.state import CanaryPhase
from framework.rollout.strategies import Canary, Step

KIND = "ModelDeployment"


@dataclass(frozen=True)
class OngoingRollout:
    """One deployment's rollout: what is remembered, and what git asks for (None where it no longer does)."""

    ref: Ref
    status: Status
    state: DeploymentState
    desired: Desired[Any] | None
    word: Word | None
    """What an operator said and no controller has acted upon yet."""
    route: RouteState | None = None
    """What the routers count; None where there are none, or Ray does not run."""

    @property
    def canary(self) -> Canary | None:
        found: Canary | None = self.desired.spec.strategy.canary if self.desired else None
        return found


@dataclass(frozen=True)
class Rollouts:
    project: Project

    def ongoing(self, name: str) -> OngoingRollout:
        """
        Raises:
            ConfigurationError: nothing is on record under that name.
        """
        project, ref = self.project, Ref(KIND, name.removeprefix(f"{KIND}/"))
        record = project.ports.state.load(ref)
        newest = project.newest()
        desired = (project.in_force(newest) or newest).desired
        if record is None:
            known = ", ".join(sorted(other.name for other in desired if other.kind == KIND)) or "none"
            raise ConfigurationError(f"{ref} is not on record; git has these deployments: {known}")
        status = status_of(record)
        said = next((word for word in project.ports.state.words() if word.subject == words.subject(ref.name)), None)
        state = state_of(status, DeploymentState)
        return OngoingRollout(ref, status, state, desired.get(ref), said, self._route(ref))

    def _route(self, ref: Ref) -> RouteState | None:
        ports = self.project.ports
        if not self.project.cluster.running():
            return None
        try:
            return ports.serving.route(ref.name, layout.traffic_folder(ports.storage, ref.name))
        except TransientError:  # what is on record can be shown without
            return None

    def say(
        self, name: str, verb: str, actor: str, message: str = "", *, fully: bool = False
    ) -> tuple[OngoingRollout, str]:
        """Say ``verb`` about the rollout; the next look of a controller acts on it. Where it stands, and the version
        that it is about.

        Raises:
            ConfigurationError: there is nothing that the word could do.
        """
        at = self.ongoing(name)
        identity, label = self._turned_away(at) if verb == words.RETRY else _candidate(at)
        if verb == words.PROMOTE and not fully:
            _waiting(at)
        data = {"identity": identity, "message": message, **({words.FULLY: True} if fully else {})}
        word = Word(subject=words.subject(at.ref.name), verb=verb, actor=actor, time=self.project.clock(), data=data)
        self.project.ports.state.say(word)
        return at, label

    def _turned_away(self, at: OngoingRollout) -> tuple[str, str]:
        target = resolve(at.desired, self.project.ports)[0] if at.desired else None
        wanted = served(at.desired, target) if at.desired and target else None
        entry = at.state.rejected(wanted.identity) if wanted else None
        if entry is None:
            raise ConfigurationError(f"what git asks for {at.ref} was not turned away{_others(at.state.quarantined)}")
        return entry.identity, entry.label


def _candidate(at: OngoingRollout) -> tuple[str, str]:
    rollout = at.state.rollout
    if rollout is None:
        reason = at.status.conditions.ready
        raise ConfigurationError(f"{at.ref} has no rollout under way ({reason.reason}: {reason.message})")
    return rollout.version.identity, named(rollout.version, at.state.stable)


def _waiting(at: OngoingRollout) -> None:
    assert at.state.rollout is not None
    canary = at.state.rollout.canary
    if canary.phase is CanaryPhase.STARTING or canary.step_since is None:
        raise ConfigurationError(
            f"the candidate of {at.ref} waits in no step now ({canary.reason}: {canary.message}); "
            "--full promotes it as soon as it runs, whatever step it is in"
        )


def _others(entries: tuple[Quarantine, ...]) -> str:
    labels = ", ".join(dict.fromkeys(entry.label for entry in entries))
    return f"; turned away before: {labels}, which git does not ask for now" if labels else ""


def report(at: OngoingRollout) -> RolloutReport:
    """``at`` as people read it."""
    state, rollout, ready = at.state, at.state.rollout, at.status.conditions.ready
    stable, candidate = state.stable, rollout.version if rollout else None
    steps = at.canary.steps if at.canary and rollout else ()
    started = rollout is not None and rollout.canary.phase is not CanaryPhase.STARTING
    return RolloutReport(
        ref=str(at.ref),
        reason=ready.reason,
        message=ready.message,
        stable=Side(named(stable, candidate), stable.app, state.stable_since) if stable else None,
        candidate=Side(named(candidate, stable), candidate.app, rollout.canary.since)
        if rollout and candidate
        else None,
        weight=rollout.canary.weight if rollout else 0,
        steps=tuple(_in_words(step) for step in steps),
        step=rollout.canary.step if rollout and started else None,
        verdicts=tuple((item.outcome.value, item.message) for item in rollout.canary.verdicts) if rollout else (),
        failures=tuple(_failures(at)),
        turned_away=tuple(
            TurnedAway(entry.label, entry.reason, entry.message, entry.time) for entry in reversed(state.quarantined)
        ),
        said=at.word,
    )


def _failures(at: OngoingRollout) -> Iterator[Failing]:
    """How the versions in service and on their way there fail, whether that is often enough to be told or not."""
    replicas = at.route.replicas if at.route else ()
    for version in at.state.members:
        counters = [item.versions[version.app] for item in replicas if version.app in item.versions]
        for failure in together(failure for item in counters for failure in item.failures):
            yield Failing(version.app, failure.text, failure.count, failure.last)


def _in_words(step: Step) -> str:
    if step.setWeight is not None:
        return f"{step.setWeight} % of the traffic"
    if step.analyze is not None:
        return f"analyze for {format_duration(step.analyze.for_)}"
    assert step.pause is not None
    return f"pause for {format_duration(step.pause.for_)}" if step.pause.for_ else "pause until a person goes on"
