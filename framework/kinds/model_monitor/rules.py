"""What a ModelMonitor demands of the deployment that it watches, and of the labels that it waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from framework.api.dtypes import KEYS
from framework.api.fields import format_duration
from framework.api.meta import Ref
from framework.api.metrics import measure_of, why_not
from framework.api.tasks import LABELS, TASKS, Task
from framework.kinds.feature_view.columns import columns_of, no_column
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_monitor.spec import SHARES, Drift, Labels, ModelMonitorSpec, Performance
from framework.kinds.training_job.rules import inputs
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.kinds.training_job.tasks import task_of
from framework.planning.grammar.kind import CrossProblem

Specs = Mapping[Ref, BaseModel]


def problems(spec: ModelMonitorSpec, specs: Specs) -> Iterator[CrossProblem]:
    if spec.drift is None and spec.performance is None and spec.quality is None:
        yield CrossProblem("spec", "watches nothing", allowed=("drift", "performance", "quality"))
    deployment = specs.get(Ref("ModelDeployment", spec.deployment))
    if isinstance(deployment, ModelDeploymentSpec):
        yield from _columns(spec, deployment, specs)
        yield from _window(spec, deployment)
    if spec.performance is not None:
        training = _training(deployment, specs)
        yield from _labels(spec.performance.labels, spec.deployment, deployment, specs)
        yield from _measured(spec.performance, training, specs)
    if spec.drift is not None:
        yield from _threshold(spec.drift)
    for index, action in enumerate(spec.actions):
        if getattr(spec, action.on) is None:
            message = f"never happens: spec.{action.on} is not watched"
            yield CrossProblem(f"spec.actions[{index}].on", message)


def _threshold(drift: Drift) -> Iterator[CrossProblem]:
    """One that no effect reaches would watch a column and never say a word."""
    chosen = {"spec.drift.threshold": drift.statistic}
    chosen |= {f'spec.drift.statistics["{column}"]': statistic for column, statistic in drift.statistics.items()}
    for path, statistic in chosen.items():
        if statistic in SHARES and drift.threshold > 1:
            yield CrossProblem(path, f"{statistic} is 1 at most, and the threshold is {drift.threshold:g}")


def _window(spec: ModelMonitorSpec, deployment: ModelDeploymentSpec) -> Iterator[CrossProblem]:
    """A profile belongs to the window that its first row falls into, with all of its rows."""
    flush = deployment.serving.profiling.flush
    if spec.window < flush:
        message = (
            f"is shorter than serving.profiling.flush of ModelDeployment/{spec.deployment}, {format_duration(flush)}: "
            "a replica writes one profile in that time, and most windows would be empty"
        )
        yield CrossProblem("spec.window", message)


def _columns(spec: ModelMonitorSpec, deployment: ModelDeploymentSpec, specs: Specs) -> Iterator[CrossProblem]:
    """What is watched must be something that the model sees: its inputs, and its label's name for what it says. Parts
    may be made by anything that its rows have."""
    training = specs.get(Ref("TrainingJob", deployment.model.training))
    if not isinstance(training, TrainingJobSpec):
        return
    seen = inputs(training, specs)
    owner = f"the model of TrainingJob/{deployment.model.training}"
    rows = dict.fromkeys([*columns_of(specs, training.dataset.spine), *seen])
    for index, column in enumerate(spec.segments):
        if column not in rows:
            yield no_column(f"spec.segments[{index}]", column, f"the training set of {owner}", rows)
    named: list[tuple[str, str]] = []
    if spec.drift is not None:
        columns = () if spec.drift.columns == "all" else spec.drift.columns
        named += [(f"spec.drift.columns[{index}]", column) for index, column in enumerate(columns)]
        named += [(f'spec.drift.statistics["{column}"]', column) for column in spec.drift.statistics]
        watched = {*columns}
        for column in spec.drift.statistics:
            if columns and column in seen and column not in watched:
                path = f'spec.drift.statistics["{column}"]'
                yield CrossProblem(path, f"{column} is not among spec.drift.columns, so it is not watched")
    known = dict.fromkeys([*seen, training.dataset.label])
    for path, column in named:
        if column not in known:
            yield no_column(path, column, owner, known)


def _training(deployment: BaseModel | None, specs: Specs) -> TrainingJobSpec | None:
    """Of the model that is watched, where it is known."""
    if not isinstance(deployment, ModelDeploymentSpec):
        return None
    found = specs.get(Ref("TrainingJob", deployment.model.training))
    return found if isinstance(found, TrainingJobSpec) else None


def _measured(asked: Performance, training: TrainingJobSpec | None, specs: Specs) -> Iterator[CrossProblem]:
    """What is measured must say something of what the model learns, as far as that is known."""
    if training is None:
        return
    dtype = columns_of(specs, training.dataset.spine).get(training.dataset.label)
    task, path = task_of(training, dtype), "spec.performance.metric"
    if task is None:
        return
    if task is Task.RANKING:
        yield CrossProblem("spec.performance", "a ranking cannot be judged from labels: what is logged names no list")
        return
    unfit = why_not(asked.metric, task) if asked.metric is not None else None
    if unfit is not None:
        yield CrossProblem(path, unfit)
    elif asked.metric is None and measure_of(TASKS[task].headline).loss and asked.maxRise is None:
        told = f"{TASKS[task].headline} is measured, which is better when smaller: say how much more is no loss yet"
        yield CrossProblem("spec.performance", f"maxRise is missing: {told}")


def _labels(labels: Labels, name: str, deployment: BaseModel | None, specs: Specs) -> Iterator[CrossProblem]:
    known = columns_of(specs, labels.view)
    for field in ("key", "column"):
        column = getattr(labels, field)
        if known and column not in known:
            yield no_column(f"spec.performance.labels.{field}", column, f"FeatureView/{labels.view}", known)
    dtype = known.get(labels.key)
    if dtype is not None and dtype not in KEYS:
        message = f"{labels.key} is {dtype}; a key is a whole number or a String: declare it as one of them"
        yield CrossProblem("spec.performance.labels.key", message)
    dtype = known.get(labels.column)
    if dtype is not None and dtype not in LABELS:
        message = f"{labels.column} is {dtype}; an outcome is a number, Boolean or a String"
        yield CrossProblem("spec.performance.labels.column", message)
    if isinstance(deployment, ModelDeploymentSpec) and deployment.serving.profiling.key is None:
        message = f"ModelDeployment/{name} logs no key that labels could be joined by: set serving.profiling.key"
        yield CrossProblem("spec.performance.labels.key", message)
