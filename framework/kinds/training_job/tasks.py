"""What a training job learns of its label, as far as that can be told before it is run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.api.fairness import why_unfit
from framework.api.metrics import (
    CV,
    MEASURES,
    VALIDATION,
    Measures,
    bare,
    is_known,
    measure_of,
    measured,
    why_not,
)
from framework.api.tasks import BINARY_CLASSES, LABELS, TASKS, Task, of_dtype
from framework.api.trainer_form import EarlyStopping
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar.kind import CrossProblem


def task_of(spec: TrainingJobSpec, dtype: str | None) -> Task | None:
    """As declared, or as the dtype of the label says; None while its values decide."""
    return spec.dataset.task or (of_dtype(dtype) if dtype is not None else None)


def told(spec: TrainingJobSpec, dtype: str | None) -> str:
    """``binary``; ``multiclass, for late is String``; nothing where nobody can tell yet."""
    if spec.dataset.task is not None:
        return spec.dataset.task.value
    if dtype is None:
        return ""
    task = of_dtype(dtype)
    label = spec.dataset.label
    return f"task by the values of {label}" if task is None else f"{task.value}, for {label} is {dtype}"


def problems(spec: TrainingJobSpec, dtype: str | None) -> Iterator[CrossProblem]:
    """``dtype`` of the label, None where it is not known."""
    task, label = task_of(spec, dtype), spec.dataset.label
    if dtype is not None and dtype not in (LABELS if task is None else TASKS[task].dtypes):
        form = "a number, Boolean or a String" if task is None else f"{TASKS[task].label}, for task {task.value}"
        yield CrossProblem("spec.dataset.label", f"{label} is {dtype}; a label is {form}")
        return
    able = spec.trainer.form.tasks
    if task is not None and task not in able:
        message = f"{spec.trainer.name} cannot learn task {task.value} (it learns {', '.join(sorted(able))})"
        yield CrossProblem(f"spec.trainer.{spec.trainer.name}", message)
    if task is not None and task not in (Task.BINARY, Task.MULTICLASS):
        shares = spec.dataset.split.keeps_shares
        of_classes = ["classWeights"] if spec.dataset.classWeights is not None else []
        of_classes += (
            [] if shares is None else ["split.by" if spec.dataset.split.by == "stratified" else "split.stratify"]
        )
        for path in of_classes:
            yield CrossProblem(f"spec.dataset.{path}", f"is for classes, and {label} is {dtype}: task {task.value}")
    if task not in (None, Task.BINARY) and spec.decision is not None:
        yield CrossProblem("spec.decision", f"chooses a threshold of a binary label, and the task is {task}")
    own = spec.evaluation.own
    if spec.evaluation.costs is not None and task not in (None, Task.BINARY, Task.MULTICLASS):
        yield CrossProblem("spec.evaluation.costs", f"are of classes, and the task is {task}")
    elif spec.evaluation.costs is not None and task is Task.BINARY:
        yield from _costs(spec.evaluation.costs)
    for path, name in _metrics(spec):
        plain = bare(name)
        if plain not in own and not is_known(plain):
            prefix = name.removesuffix(plain)
            which = " of the validation part" if prefix == VALIDATION else ""
            allowed = tuple(f"{prefix}{one}" for one in (*own, *MEASURES))
            yield CrossProblem(path, f"{name!r} is no metric{which}", allowed=allowed, wanted=name)
            continue
        unfit = _unfit(plain, task, dtype, own)
        if unfit is not None:
            yield CrossProblem(path, unfit)
        elif name.startswith(CV) and spec.evaluation.crossValidation is None:
            yield CrossProblem(path, f"{name} is what evaluation.crossValidation measures, and there is none")
    for index, bar in enumerate(spec.evaluation.fairness):
        if bar.loss is not None and bar.loss not in own and not is_known(bar.loss):
            path, allowed = f"spec.evaluation.fairness[{index}].loss", (*own, *MEASURES)
            yield CrossProblem(path, f"{bar.loss!r} is no metric", allowed=allowed, wanted=bar.loss)
            continue
        undeclared = _unfit(bar.loss, None, dtype, own) if bar.loss is not None else None
        unfit = why_unfit(bar.metric, bar.loss, task, own) if task is not None else undeclared
        if unfit is not None:
            yield CrossProblem(f"spec.evaluation.fairness[{index}].metric", unfit)


def _costs(costs: Mapping[str, Mapping[str, float]]) -> Iterator[CrossProblem]:
    """Of a binary label, whose classes are known beforehand."""
    for true, prices in costs.items():
        named = [(f'spec.evaluation.costs["{true}"]', true)]
        named += [(f'spec.evaluation.costs["{true}"]["{one}"]', one) for one in prices]
        for path, name in named:
            if name not in BINARY_CLASSES:
                yield CrossProblem(path, f"{name!r} is no class of a binary label", allowed=tuple(BINARY_CLASSES))


def _metrics(spec: TrainingJobSpec) -> Iterator[tuple[str, str]]:
    """Where a metric is named."""
    for index, gate in enumerate(spec.evaluation.gates):
        yield f"spec.evaluation.gates[{index}].metric", gate.metric
    for index, item in enumerate(spec.evaluation.slices):
        yield f"spec.evaluation.slices[{index}].metric", item.metric
    stop: EarlyStopping | None = getattr(spec.trainer.form, "earlyStopping", None)
    if stop is not None and stop.metric is not None:
        yield f"spec.trainer.{spec.trainer.name}.earlyStopping.metric", stop.metric
    for index, check in enumerate(spec.evaluation.robustness):
        yield f"spec.evaluation.robustness[{index}].metric", check.metric
    if spec.tune is not None:
        yield "spec.tune.metric", spec.tune.metric
        for index, constraint in enumerate(spec.tune.constraints):
            if constraint.metric is not None:
                yield f"spec.tune.constraints[{index}].metric", constraint.metric


def _unfit(name: str, task: Task | None, dtype: str | None, own: Measures) -> str | None:
    if task is not None:
        return why_not(name, task, own)
    possible = [Task.BINARY, Task.REGRESSION] if dtype in ("Float32", "Float64") else _UNDECLARED
    if measure_of(name, own).tasks.isdisjoint(possible):
        able = ", ".join(dict.fromkeys(metric for one in possible for metric in measured(one)))
        return f"{name} needs a task that dataset.task declares; without it the metrics are {able}"
    return None


_UNDECLARED = [Task.BINARY, Task.MULTICLASS, Task.REGRESSION]
"""What a label of numbers may turn out to be."""
