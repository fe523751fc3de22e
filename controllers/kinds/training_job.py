"""What is looked at before a TrainingJob is planned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from controllers.kinds import models
from controllers.kinds.observer import Observer
from controllers.kinds.tables import published_view
from framework.api.aliases import is_version
from framework.api.errors import DamagedError, MlopsError
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import FeatureViewState, Published
from framework.kinds.model_deployment.observed import DeploymentState
from framework.kinds.model_monitor.observed import MonitorState
from framework.kinds.training_job import build
from framework.kinds.training_job.aliases import meanings
from framework.kinds.training_job.champion import Champion
from framework.kinds.training_job.observed import OpenEpisode, Surroundings, TrainingJobObserved, TrainingJobState
from framework.kinds.training_job.plan import built_by, run_name
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import CodeRef, CommitInfo, Ports, RunPhase, RunState
from framework.specs.rules.code import ManyDigests


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> TrainingJobObserved:
    """Where its aliases point, and what it would need to train."""
    found = _build(ref, desired, status, ports)
    if desired is None or not (desired.spec.aliases or state_of(status, TrainingJobState).aliases):
        return found
    named = {word for word in meanings(desired.spec).values() if is_version(word)}
    return replace(
        found,
        named={version: ports.registry.get(ref.name, version) for version in sorted(named)},
        moved_by=_commit(desired.commit, ports),
    )


def _commit(commit: str, ports: Ports) -> CommitInfo | None:
    """None where it cannot be read now."""
    try:
        return ports.source.info(commit)
    except MlopsError:
        return None


def _build(ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports) -> TrainingJobObserved:
    """What it would learn from and the run only while the registry has no build of this identity; the champion only
    when a run is about to start: it may be judged against it, and must not learn something else unasked."""
    absent = RunState(RunPhase.ABSENT)
    if desired is None:
        return TrainingJobObserved(ref, ports.storage, (), absent, used_by=users(ref.name, ports))
    versions = tuple(ports.registry.builds(ref.name, desired.identity))
    if versions:
        around = surroundings(desired, ports) if desired.spec.retrain is not None else None
        return TrainingJobObserved(ref, ports.storage, versions, absent, surroundings=around)
    begun, run = _under_way(desired, status, ports)
    if run.phase in (RunPhase.PENDING, RunPhase.RUNNING, RunPhase.SUCCEEDED):
        files = code_files(desired.code, ports) if run.phase is RunPhase.SUCCEEDED else {}
        return TrainingJobObserved(ref, ports.storage, (), run, build=begun, files=files)
    views = {item.name: published_view(item, identity, ports) for item, identity in desired.upstream.items()}
    ready = {name: view for name, view in views.items() if view is not None}
    if len(ready) < len(views):
        return TrainingJobObserved(ref, ports.storage, (), absent, views)
    name = build.wanted(desired, ready)
    equal = ports.registry.get(ref.name, name)
    if equal is not None:
        return TrainingJobObserved(ref, ports.storage, (), absent, views, name, equal)
    if name != begun:
        run = ports.runs.observe(ports.storage, run_name(ref.name, name))
    starts = run.phase in (RunPhase.ABSENT, RunPhase.FAILED)
    return TrainingJobObserved(
        ref, ports.storage, (), run, views, name,
        champion=champion(ref.name, ports, desired.spec.evaluation.deployment) if starts else None,
        files=code_files(desired.code, ports) if run.phase is RunPhase.SUCCEEDED else {},
    )  # fmt: skip


def surroundings(desired: Desired[Any], ports: Ports) -> Surroundings:
    """What decides about the triggers of a job whose model is there."""
    views = {item.name: _rests(item, identity, ports) for item, identity in desired.upstream.items()}
    found = {name: _open_episode(name, ports) for name in desired.spec.retrain.onDrift}
    return Surroundings(
        views={name: view for name, view in views.items() if view is not None},
        waits_for=tuple(f"FeatureView/{name}" for name, view in views.items() if view is None),
        episodes={name: episode for name, episode in found.items() if episode is not None},
        pinned=ports.state.pin() is not None,
        unwritable=ports.writer.followed().problem if desired.spec.retrain.mode == "direct" else "",
    )


def _rests(view: Ref, identity: str, ports: Ports) -> Published | None:
    """What a view holds; None where it is not ready, or other rows are on their way."""
    state = state_of(status_of(ports.state.load(view)), FeatureViewState)
    found = state.published
    return found if state.run is None and found is not None and found.identity == identity else None


def _open_episode(monitor: str, ports: Ports) -> OpenEpisode | None:
    """Of drift; None also where nobody can read what the monitor saw."""
    try:
        state = state_of(status_of(ports.state.load(Ref("ModelMonitor", monitor))), MonitorState)
    except DamagedError:
        return None
    found = state.episodes.get("drift")
    return OpenEpisode(found.id, found.title) if found is not None else None


def code_files(code: CodeRef | None, ports: Ports) -> dict[str, str]:
    """Git's names of the files that count as ``code``, by path; none where its commit cannot be read now."""
    if code is None:
        return {}
    source = ports.source
    try:
        names: Mapping[str, str | None] = (
            source.tree_digests(code.commit, code.files)
            if isinstance(source, ManyDigests)
            else {path: source.tree_digest(code.commit, path) for path in code.files}
        )
    except MlopsError:
        return {}  # what it was is told where it is known, and nothing waits for it
    return {path: name for path, name in names.items() if name is not None}


def _under_way(desired: Desired[Any], status: Status | None, ports: Ports) -> tuple[str, RunState]:
    """The build that was begun for what git still asks for: data that comes meanwhile does not begin it anew."""
    begun = state_of(status, TrainingJobState).run
    if status is None or begun is None or status.identity != desired.identity:
        return "", RunState(RunPhase.ABSENT)
    return built_by(desired.ref.name, begun), ports.runs.observe(ports.storage, begun)


def champion(training: str, ports: Ports, deployment: str | None = None) -> Champion | None:
    """The version of this training job that serves as the stable one of ``deployment``, or else of any."""
    for ref in _may_serve(training, ports):
        if deployment is not None and ref.name != deployment:
            continue
        try:
            state = _deployment(ref, ports)
        except DamagedError:
            continue
        if state is not None and state.stable is not None and state.stable.training == training:
            model = ports.registry.get(training, state.stable.version)
            return Champion(model, ref.name) if model is not None else None
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


OBSERVER = Observer(observe, left=models.left, traces=models.traces)
