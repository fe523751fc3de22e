"""What is looked at before a TrainingJob is planned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from controllers.kinds.upstream import published_view
from framework.api.errors import DamagedError
from framework.api.meta import Ref
from framework.kinds.model_deployment.observed import DeploymentState
from framework.kinds.training_job.gates import compares
from framework.kinds.training_job.observed import TrainingJobObserved
from framework.kinds.training_job.plan import run_name
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import ModelVersion, Ports, RunPhase, RunState


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> TrainingJobObserved:
    """The run only while the registry has no version of this identity; the champion only when a run is about to start
    that is judged against it."""
    if desired is None:
        absent = RunState(RunPhase.ABSENT)
        return TrainingJobObserved(ref, ports.storage, None, absent, used_by=users(ref.name, ports))
    version = ports.registry.get(ref.name, desired.identity)
    if version is not None:
        return TrainingJobObserved(ref, ports.storage, version, RunState(RunPhase.ABSENT))
    run = ports.runs.observe(ports.storage, run_name(ref.name, desired.identity))
    views = {}
    for item, identity in desired.upstream.items():
        published = published_view(item, identity, ports)
        views[item.name] = published.model_dump(mode="json") if published else None
    starts = run.phase in (RunPhase.ABSENT, RunPhase.FAILED) and all(views.values())
    live = champion(ref.name, ports) if starts and compares(desired.spec.evaluation) else None
    return TrainingJobObserved(ref, ports.storage, None, run, views, live)


def champion(training: str, ports: Ports) -> ModelVersion | None:
    """The version of this training job that serves as some deployment's stable one."""
    for ref in _may_serve(training, ports):
        try:
            state = _deployment(ref, ports)
        except DamagedError:
            continue
        if state is not None and state.stable is not None and state.stable.training == training:
            return ports.registry.get(training, state.stable.version)
    return None


def users(training: str, ports: Ports) -> tuple[Ref, ...]:
    """Deployments that serve a version of this training job, or are about to; also those of which nobody knows, because
    their record cannot be read."""
    return tuple(ref for ref in _may_serve(training, ports) if _serves(ref, training, ports))


def _may_serve(training: str, ports: Ports) -> tuple[Ref, ...]:
    """At least all deployments that do."""
    if ports.users is not None:
        found: Iterable[Ref] = ports.users(Ref("TrainingJob", training))
    else:
        recorded = ports.state.recorded()
        found = (*(record.ref for record in recorded.readable), *recorded.unreadable)
    return tuple(ref for ref in found if ref.kind == "ModelDeployment")


def _serves(ref: Ref, training: str, ports: Ports) -> bool:
    try:
        state = _deployment(ref, ports)
    except DamagedError:
        return True
    return state is not None and any(version.training == training for version in state.members)


def _deployment(ref: Ref, ports: Ports) -> DeploymentState | None:
    """What is remembered of a deployment. Raises DamagedError where that cannot be read."""
    status = status_of(ports.state.load(ref))
    return None if status is None else state_of(status, DeploymentState)
