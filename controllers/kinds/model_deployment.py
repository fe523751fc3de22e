"""What is looked at before a ModelDeployment is planned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from framework.api import layout
from framework.api.errors import DamagedError
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentObserved, DeploymentState, ServedVersion
from framework.kinds.model_deployment.spec import ModelRef
from framework.kinds.model_deployment.target import served
from framework.kinds.model_deployment.words import subject
from framework.kinds.training_job.observed import TrainingJobState
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import ModelVersion, Ports, RouteState, Word


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> DeploymentObserved:
    """The version that git asks for, the apps that run and the traffic table in force. What concerns a rollout is
    looked up only where there is one, or a version that was turned away."""
    target, reason = (None, "removed from git") if desired is None else resolve(desired, ports)
    apps = ports.serving.apps(ref.name)
    route = ports.serving.route(ref.name, layout.traffic_folder(ports.storage, ref.name))
    state = state_of(status, DeploymentState)
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
    )


def _serving(desired: Desired[Any], app: str, ports: Ports) -> ServedVersion | None:
    """The version that ``app`` serves, where nobody remembers it: one of the models that the spec may mean."""
    versions = (served(desired, model) for model in ports.registry.versions(desired.spec.model.training))
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
    """The model version that the spec means now, or None and why.

    ``latest`` is the newest build of the training job's current identity that passed its gates. Until there is one what
    serves goes on serving, so an older version never comes back by itself.
    """
    model: ModelRef = desired.spec.model
    job = Ref("TrainingJob", model.training)
    if model.version != "latest":
        pinned = ports.registry.get(model.training, model.version)
        if pinned is None:
            return None, f"{job} has no version {model.version}"
        return (pinned, "") if pinned.deployable else (None, f"version {model.version} failed its gates")
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
