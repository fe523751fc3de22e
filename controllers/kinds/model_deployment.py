"""What is looked at before a ModelDeployment is planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from controllers.kinds import models
from controllers.kinds.observer import Observer, Specs
from controllers.kinds.trail import LineagePart, Trail, code
from framework.api import layout
from framework.api.aliases import LATEST
from framework.api.errors import ConfigurationError, DamagedError, TerminalError, TransientError
from framework.api.meta import Ref
from framework.kinds.model_deployment import online
from framework.kinds.model_deployment.forms import in_form
from framework.kinds.model_deployment.named_version import wanted
from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState, ServedVersion
from framework.kinds.model_deployment.spec import ModelRef
from framework.kinds.model_deployment.target import served, terms
from framework.kinds.model_deployment.transitions import returns_at_once
from framework.kinds.model_deployment.words import subject
from framework.kinds.training_job.observed import TrainingJobState
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.planning.reports.lineage import Edge, Node, Sort
from framework.ports import Log, ModelVersion, OnlinePlace, Ports, Record, RouteState, Word
from framework.rollout.state import CanaryPhase


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> DeploymentObserved:
    """The version that git asks for, the apps that run and the traffic table in force. What concerns a rollout is
    looked up only where there is one, or a version that was turned away."""
    target, reason = (None, "removed from git") if desired is None else resolve(desired, ports)
    apps = ports.serving.apps(ref.name)
    route = ports.serving.route(ref.name, layout.traffic_folder(ports.storage, ref.name))
    state = state_of(status, DeploymentState)
    online_place, online_reason = _online(desired, ports)
    spoken_of = bool(state.rollout or state.quarantined or state.heard)
    return DeploymentObserved(
        ref=ref,
        target=target,
        target_reason=reason,
        apps=apps,
        route=route,
        found=_serving(desired, route.spec.stable, ports) if desired and route and state.stable is None else None,
        job=job_digest(desired, ports) if desired is not None and spoken_of else "",
        word=_word(ref, ports) if spoken_of else None,
        held=_held(ref, _path(desired, status), route, ports),
        online=online_place,
        online_reason=online_reason,
    )


def _online(desired: Desired[Any] | None, ports: Ports) -> tuple[OnlinePlace | None, str]:
    """Where the views that it looks up are, or None and what is waited for; None without a word where it looks nothing
    up."""
    names = desired.spec.serving.onlineFeatures if desired is not None else ()
    place = ports.online.place()
    if not names or place is None:
        return None, ""
    try:
        lacking = [name for name in names if ports.online.describe(name) is None]
    except (TransientError, TerminalError) as error:
        return None, f"waits for the online store: {error}"
    told = ", ".join(f"FeatureView/{name}" for name in lacking)
    return (None, f"waits for {told} to be online") if lacking else (place, "")


def _serving(desired: Desired[Any], app: str, ports: Ports) -> ServedVersion | None:
    """The version that ``app`` serves, where nobody remembers it: one of the models that the spec may mean."""
    known = ports.registry.versions(desired.spec.model.training)
    formed = (in_form(model, desired.spec.serving.form)[0] for model in known)
    versions = (served(desired, model, place=ports.online.place()) for model in formed if model is not None)
    return next((version for version in versions if version.app == app), None)


def _path(desired: Desired[Any] | None, status: Status | None) -> str | None:
    """Where it is to be served, or was when git last asked for it."""
    if desired is not None:
        path: str = desired.spec.serving.route
        return path
    return (status.spec.get("serving") or {}).get("route") if status else None


def _held(ref: Ref, path: str | None, route: RouteState | None, ports: Ports) -> RouteState | None:
    """Another deployment that is served there. Where the own router is, nobody else can be."""
    if path is None or (route is not None and route.spec.route == path):
        return None
    there = ports.serving.routed(path)
    return there if there is not None and there.spec.deployment != ref.name else None


def _word(ref: Ref, ports: Ports) -> Word | None:
    """What an operator says about the rollout."""
    return next((word for word in ports.state.words() if word.subject == subject(ref.name)), None)


def job_digest(desired: Desired[Any], ports: Ports) -> str:
    """What git was last seen to say of the training job; empty where nobody looked at it yet, or it cannot be read."""
    try:
        status = status_of(ports.state.load(Ref("TrainingJob", desired.spec.model.training)))
    except DamagedError:
        return ""
    return status.digest if status else ""


def resolve(desired: Desired[Any], ports: Ports) -> tuple[ModelVersion | None, str]:
    """The model version that the spec means now, in the form that it asks for, or None and why."""
    found, reason = _meant(desired, ports)
    if found is None:
        return None, reason
    unfit = online.unfit(found, desired.spec.serving)
    return (None, unfit) if unfit else in_form(found, desired.spec.serving.form)


def _meant(desired: Desired[Any], ports: Ports) -> tuple[ModelVersion | None, str]:
    """The model version, or None and why.

    ``latest`` is the newest build of the training job's current identity that passed its gates. Until there is one what
    serves goes on serving, so an older version never comes back by itself.
    """
    model: ModelRef = desired.spec.model
    job = Ref("TrainingJob", model.training)
    named = wanted(desired, model)
    if named != LATEST:
        pinned = ports.registry.get(model.training, named)
        told = f"version {named}{'' if named == model.version else f', which its alias {model.version} stands for,'}"
        if pinned is None:
            return None, f"{job} has no {told.rstrip(',')}"
        return (pinned, "") if pinned.deployable else (None, f"{told} failed its gates")
    identity = desired.upstream.get(job, "")
    try:
        status = status_of(ports.state.load(job))
    except DamagedError as error:
        trained = next((item for item in ports.registry.builds(model.training, identity) if item.deployable), None)
        return (trained, "") if trained is not None else (None, f"waits for {job}: {error}")
    if status is None:
        return None, f"waits for {job}"
    state = state_of(status, TrainingJobState)
    if status.identity != identity:
        return None, f"waits for {job}, which has yet to take up what git asks for"
    version = state.build_of(identity)
    if version is None:
        return None, f"waits for {job}: {status.conditions.ready.message or status.conditions.ready.reason}"
    if not state.deployable:
        return None, status.conditions.ready.message
    return ports.registry.get(model.training, version), f"version {version} is not in the registry"


def _left(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    """Whether it would serve again what it served then, and how it would get there."""
    model, problem = model_then(asked, specs, ports)
    if model is None:
        return problem
    try:
        state = _remembered(asked.ref, ports)
    except DamagedError as error:
        return Kept(False, f"{error}; nothing is done about it until it can be", blocked=True)
    version, canary = served(asked, model), asked.spec.strategy.canary
    rejected = state.rejected(version.identity)
    if state.stable is not None and state.stable.identity == version.identity:
        return Kept(True, f"{version.label} serves")
    if rejected is not None and rejected.stands(terms(asked, job_digest(asked, ports))):
        message = (
            f"{version.label} was turned down here ({rejected.reason}) and is not tried again "
            f"before: mlopsctl rollout retry {asked.ref.name}"
        )
        return Kept(False, message, blocked=True)
    if canary is not None and returns_at_once(state, canary, version.identity):
        return Kept(True, f"{version.label} served before: it takes over as soon as it runs, without analysis")
    return Kept(True, f"{version.label} is rolled out like a new version")


def model_then(asked: Desired[Any], specs: Specs, ports: Ports) -> tuple[ModelVersion | None, Kept]:
    """The model that a deployment would serve at a commit that asked for ``specs``, or why there is none."""
    training, version = asked.spec.model.training, wanted(asked, asked.spec.model)
    follows = version == LATEST
    job = Ref("TrainingJob", training)
    if follows:
        left = models.left(specs[job], specs, ports)
        if not left.there:
            return None, Kept(False, f"waits for {job}")
        version = left.version
    model = ports.registry.get(training, version)
    if model is None or (not follows and not model.deployable):
        why = "is not in the registry" if model is None else "failed its gates"
        return None, Kept(False, f"{training}@{version} {why}", blocked=True)
    formed, problem = in_form(model, asked.spec.serving.form)
    return formed, Kept(formed is not None, problem, blocked=formed is None)


def _remembered(ref: Ref, ports: Ports) -> DeploymentState:
    """Raises DamagedError where the record cannot be read."""
    return state_of(status_of(ports.state.load(ref)), DeploymentState)


def _logs(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    """Of every replica, and of the router."""
    try:
        found = ports.serving.logs(ref.name, lines)
    except TransientError as error:
        raise ConfigurationError(f"{error}; what replicas write is kept by Ray, for as long as it runs") from error
    roles = _roles(_remembered(ref, ports))
    return [replace(log, source=f"{log.source}{roles.get(log.source, '')}") for log in found]


def _roles(state: DeploymentState) -> Mapping[str, str]:
    """What apps are to the deployment now, for people."""
    roles = {item.app: " (retired)" for item in state.retiring}
    if state.rollout is not None:
        roles[state.rollout.version.app] = " (candidate)"
    if state.stable is not None:
        roles[state.stable.app] = " (stable)"
    return roles


def _traces(record: Record, trail: Trail) -> Iterator[LineagePart]:
    """The apps that answer, with their shares of the traffic, and the models in them."""
    state, asked = trail.state(record.ref, DeploymentState), trail.asked.get(record.ref)
    route = {"route": asked.spec.serving.route} if asked else {}
    share, rollout = 100, state.rollout
    if rollout is not None:
        stepping = rollout.canary.phase is CanaryPhase.STEPPING
        candidate = rollout.canary.weight if stepping and state.stable is not None else 0
        share -= candidate
        yield from _app(record.ref, rollout.version, {"role": "candidate", "weight": candidate, **route}, trail)
    if state.stable is not None:
        since = {"since": state.stable_since.isoformat()} if state.stable_since else {}
        yield from _app(record.ref, state.stable, {"role": "stable", "weight": share, **route, **since}, trail)


def _app(ref: Ref, version: ServedVersion, facts: Mapping[str, Any], trail: Trail) -> Iterator[LineagePart]:
    app = Node(Sort.SERVICE, version.app, {"deployment": ref.name, **facts, "commit": version.commit}, ref)
    yield app
    yield Edge(f"{Sort.MODEL}:{version.label}", app.id)
    yield from models.of_version(version.training, version.version, trail)
    yield from trail.commit(version.commit, app.id, "deployed at")
    asked = trail.asked.get(ref)
    now = asked.code if asked is not None else None
    if now is not None and version.code is not None and now.digest == version.code.digest:
        yield from code(now, app.id)


OBSERVER = Observer(observe, left=_left, logs=_logs, traces=_traces)
