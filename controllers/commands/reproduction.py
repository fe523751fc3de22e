"""Trains a registered version again, in a run of its own name, and compares. Nothing is registered; what serves, what
is on record and the lease are left alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from controllers.commands.models import model_named
from controllers.commands.training import JOB, job_named, jobs_of
from controllers.revision.snapshot import Read, Snapshot
from framework.api import layout
from framework.api.errors import ConfigurationError, MlopsError, TransientError
from framework.api.meta import Ref
from framework.kinds.training_job.champion import kept_views
from framework.kinds.training_job.plan import WORKLOAD
from framework.kinds.training_job.recipe import KeptRecipe, kept_code, kept_recipe, kept_spec
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.reports.reproduction import Reproduction, reproduction
from framework.ports import (
    CodeRef,
    Json,
    ModelVersion,
    Ports,
    ReadTable,
    ReadView,
    RunPhase,
    RunSpec,
    RunState,
    TableState,
    TrainRequest,
)

PATIENCE = 30
"""Looks in a row at which the cluster may not answer, or not know the run, before it is given up."""
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Rerun:
    """A version, and the run that trains it again."""

    model: ModelVersion
    run: RunSpec

    @property
    def label(self) -> str:
        return f"{self.model.training}@{self.model.version}"


def rerun_of(ports: Ports, read: Read, name: str, now: datetime) -> Rerun:
    """What ``NAME[@VERSION]`` means, with all that training it again takes. Starts nothing.

    Raises:
        ConfigurationError: no such version, or something that it was trained with is gone; names that.
        MlopsError: what is on record cannot be read.
    """
    model = model_named(ports, name).model
    label, kept = f"{model.training}@{model.version}", kept_recipe(model)
    read_views = kept_views(model)
    needs_commit = kept is None or len(read_views) < len(model.read)
    loaded = _commit(model, label, read) if needs_commit else None
    spec, code = _recipe(model, label, kept, loaded)
    views = {view: _view(view, table, read_views.get(view), loaded, label, ports) for view, table in model.read.items()}
    if not views:
        raise ConfigurationError(f"what {label} was trained on is not recorded")
    return Rerun(model, _run(model, spec, code, views, ports.storage, now))


def _commit(model: ModelVersion, label: str, read: Read) -> Snapshot:
    try:
        return read(model.commit)
    except MlopsError as error:
        told = f"how {label} was trained is not recorded, and its commit {model.commit[:7]} cannot be read: {error}"
        raise ConfigurationError(told) from error


def _recipe(
    model: ModelVersion, label: str, kept: KeptRecipe | None, loaded: Snapshot | None
) -> tuple[TrainingJobSpec, CodeRef | None]:
    if kept is not None:
        spec = kept_spec(kept)
        if spec is None:
            raise ConfigurationError(f"this version of mlopsctl does not take the spec that {label} was trained with")
        return spec, kept_code(kept, model.commit)
    assert loaded is not None
    asked = job_named(jobs_of(loaded), model.training)
    return asked.spec, asked.code


def _view(
    name: str, table: ReadTable, kept: ReadView | None, loaded: Snapshot | None, label: str, ports: Ports
) -> ReadView:
    """Raises ConfigurationError where the version of the table is gone."""
    known = next((item for item in ports.tables.versions(table.uri) if item.version == table.version), None)
    if known is None:
        told = f"{label} was trained on version {table.version} of FeatureView/{name}, which is gone from {table.uri}"
        raise ConfigurationError(told)
    if kept is not None:
        return kept
    assert loaded is not None
    asked = loaded.desired.get(Ref("FeatureView", name))
    if asked is None:
        raise ConfigurationError(f"the commit of {label}, {loaded.commit[:7]}, has no FeatureView/{name}")
    return _view_of(table, asked.spec, known)


def _view_of(table: ReadTable, spec: Any, known: TableState) -> ReadView:
    columns = known.columns or tuple((column.name, column.dtype) for column in spec.columns)
    return ReadView(
        **dict(table), entities=spec.entities, timestamp=spec.timestamp, available=spec.available, columns=columns
    )


def _run(
    model: ModelVersion,
    spec: TrainingJobSpec,
    code: CodeRef | None,
    views: dict[str, ReadView],
    storage: str,
    now: datetime,
) -> RunSpec:
    name = f"reproduce-{model.training}-{model.version}-{now:%Y%m%d%H%M%S}"
    asked = TrainRequest(
        training=model.training,
        identity=model.asked_for,
        build=model.version,
        spec=spec.model_dump(mode="json", by_alias=True),
        views=views,
        model_folder=f"{layout.run_folder(storage, name)}/model",
        commit=model.commit,
        seed=spec.seed,
    )
    return RunSpec(
        name=name,
        attempt=1,
        workload=WORKLOAD,
        payload=asked.model_dump(mode="json"),
        storage=storage,
        title=f"{model.training}@{model.version} once more",
        code=code,
        metadata={"commit": model.commit, "resource": f"{JOB}/{model.training}", "fingerprint": model.version},
    )


def reproduced(
    again: Rerun,
    ports: Ports,
    timeout: timedelta,
    tell: Callable[[str], None],
    clock: Callable[[], float],
    pause: Callable[[float], object],
) -> Reproduction:
    """Train it again, wait, and compare; what the run left is deleted once it is compared. ``clock`` gives seconds,
    ``pause`` waits some, ``tell`` hears of each step. A run that is not waited for to its end is stopped.

    Raises:
        ConfigurationError: the code is gone; the run failed; it took longer than ``timeout``.
        TransientError: the cluster does not answer.
        OSError: the storage does not.
    """
    run = again.run
    try:
        code_uri = ports.code.ensure(run.code) if run.code is not None else None
    except MlopsError as error:
        raise ConfigurationError(f"the code of {again.label} is not to be had: {error}") from error
    ports.runs.submit(run, code_uri)
    try:
        state = _awaited(run, ports, timeout, tell, clock, pause)
    except BaseException:
        ports.runs.stop(run.storage, run.name)
        raise
    if state.phase is RunPhase.FAILED:
        raise ConfigurationError(f"training {again.label} again failed: {state.reason}: {state.message}")
    found = reproduction(again.model, run.name, _result(state), _seconds(state))
    ports.tables.delete(layout.run_folder(run.storage, run.name))
    return found


def _awaited(
    run: RunSpec,
    ports: Ports,
    timeout: timedelta,
    tell: Callable[[str], None],
    clock: Callable[[], float],
    pause: Callable[[float], object],
) -> RunState:
    began, failures, told = clock(), 0, ""
    while True:
        try:
            state = ports.runs.observe(run.storage, run.name)
            failures = failures + 1 if state.phase is RunPhase.ABSENT else 0
        except TransientError:
            failures += 1
            if failures >= PATIENCE:
                raise
            pause(POLL_SECONDS)
            continue
        if state.phase in (RunPhase.SUCCEEDED, RunPhase.FAILED):
            return state
        if failures >= PATIENCE:
            raise ConfigurationError(f"the cluster does not know run {run.name} any more")
        if clock() - began > timeout.total_seconds():
            raise ConfigurationError(f"run {run.name} took longer than --timeout and was stopped")
        said = state.message or state.phase.lower()
        if said != told:
            tell(said)
            told = said
        pause(POLL_SECONDS)


def _result(state: RunState) -> Mapping[str, Json]:
    return state.result or {}


def _seconds(state: RunState) -> float | None:
    if state.started is None or state.finished is None:
        return None
    return (state.finished - state.started).total_seconds()
