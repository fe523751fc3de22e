"""The label of a training set: which rows have one, what is learned of it, and which values of it each part must
have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import TASKS, Task, of_values
from framework.workloads.context import WorkloadError

_SHOWN = 3
"""Values that a message names."""


def stays(task: Task, declared: str | None, live: str) -> None:
    """
    Raises:
        WorkloadError: "TaskChanged" where values of the label changed what is learned, and a model is live whose
            callers would not know what they are answered.
    """
    if declared is None and live and live != task:
        told = f"by its values the label is one for task {task}, and the live model is one of {live}"
        raise WorkloadError("TaskChanged", f"{told}: say which is meant by dataset.task")


def labelled(rows: pl.DataFrame, label: str, task: str | None) -> tuple[pl.DataFrame, Task]:
    """The rows whose label is known, and what is learned of it: ``task`` as the spec has it, or else what the label's
    dtype and values say. A label that is NaN is not known.

    Raises:
        WorkloadError: "WrongLabel", with the values that do not fit.
    """
    known = rows.drop_nulls([label])
    if known.schema[label].is_float():
        known = known.filter(pl.col(label).is_not_nan())
    dtype = known.schema[label]
    values, name = known[label], str(dtype.base_type())
    zero_or_one = dtype == pl.Boolean or (dtype.is_numeric() and bool(((values == 0) | (values == 1)).all()))
    found = Task(task) if task else of_values(name, zero_or_one=zero_or_one, distinct=values.n_unique())
    if name not in TASKS[found].dtypes:
        raise WorkloadError("WrongLabel", _told(label, dtype, found))
    wrong = _wrong(values, found, zero_or_one)
    if wrong.len():
        shown = ", ".join(str(value) for value in wrong.unique(maintain_order=True).head(_SHOWN))
        held = f"{wrong.len():,} of {known.height:,} labelled rows hold something else, e.g. {shown}"
        raise WorkloadError("WrongLabel", f"{_told(label, dtype, found)}, and {held}")
    return (known.with_columns(pl.col(label).cast(pl.Int8)) if found is Task.BINARY else known), found


def _told(label: str, dtype: pl.DataType, task: Task) -> str:
    return f"the label {label} is {dtype}; for task {task.value} it must be {TASKS[task].label}"


def _wrong(values: pl.Series, task: Task, zero_or_one: bool) -> pl.Series:
    """Those that no model of the task can learn."""
    match task:
        case Task.BINARY if not zero_or_one:
            return values.filter((values != 0) & (values != 1))
        case Task.RANKING:
            return values.filter(~(values >= 0) | (values != values.cast(pl.Float64).round()))
        case Task.REGRESSION | Task.QUANTILE if values.dtype.is_float():
            return values.filter(values.is_infinite())
    return values.head(0)


def output_of(train: pl.DataFrame, label: str, task: Task, quantiles: list[float]) -> ModelOutput:
    """What a model of the training part answers. The classes are the values that it holds, in order."""
    classes = train[label].unique().sort().to_list() if task is Task.MULTICLASS else []
    return ModelOutput(label, task, tuple(classes), tuple(quantiles) if task is Task.QUANTILE else ())


def check(parts: Mapping[str, pl.DataFrame], label: str, task: Task) -> None:
    """
    Raises:
        WorkloadError: "SingleClass" where a part has nothing to tell apart, "MissingClass" where one holds a class that
            the training part does not, "ConstantLabel" where there is nothing to predict.
    """
    known = set(parts["train"][label].unique().to_list())
    for name, part in parts.items():
        held = part[label].unique().sort().to_list()
        alone = f"all {part.height:,} rows of the {name} part have {label} = {held[0]}"
        if len(held) == 1 and task in (Task.BINARY, Task.MULTICLASS):
            raise WorkloadError("SingleClass", alone)
        if len(held) == 1 and name == "train":
            raise WorkloadError("ConstantLabel", f"{alone}, so there is nothing to learn")
        unknown = [value for value in held if value not in known] if task is Task.MULTICLASS else []
        if unknown:
            shown = ", ".join(map(str, unknown[:_SHOWN]))
            told = f"the {name} part has rows with {label} = {shown}, of which the train part has none"
            raise WorkloadError("MissingClass", f"{told}; split by: stratified keeps the shares of the classes")


def weights(part: pl.DataFrame, output: ModelOutput, spec: Mapping[str, Any]) -> Matrix | None:
    """How much each row of the training part counts: by the column that ``weight`` names, times what ``classWeights``
    gives to its class. Balanced: rows / (classes x rows of the class), as scikit-learn has it.

    Raises:
        WorkloadError: "WrongWeight".
    """
    found: Matrix | None = None
    if spec.get("weight"):
        column = part[spec["weight"]].cast(pl.Float64)
        wrong = column.filter(column.is_null() | ~(column.is_finite() & (column >= 0)))
        if wrong.len():
            told = f"{wrong.len():,} rows have no weight from 0 on in {spec['weight']}, e.g. {wrong[0]}"
            raise WorkloadError("WrongWeight", told)
        found = column.to_numpy()
    given = spec.get("classWeights")
    if given is None:
        return found
    truth = output.truth(part).astype(np.int64)
    names = [str(one) for one in output.classes] or ["0", "1"]
    if given == "balanced":
        counts = np.bincount(truth, minlength=len(names))
        by_class = len(truth) / (len(names) * np.maximum(counts, 1))
    else:
        unknown = [name for name in given if name not in names]
        if unknown:
            told = f"classWeights names {', '.join(map(repr, unknown))} (allowed: {', '.join(names)})"
            raise WorkloadError("WrongWeight", told)
        by_class = np.array([float(given.get(name, 1.0)) for name in names])
    each: Matrix = by_class[truth]
    return each if found is None else found * each


def lists(part: pl.DataFrame, query: str | None, task: Task) -> Matrix | None:
    """Which list each row is part of, as a whole number; None where nothing is ranked.

    Raises:
        WorkloadError: "MissingColumn": there is no query to rank by.
    """
    if task is not Task.RANKING:
        return None
    if query is None:
        raise WorkloadError("MissingColumn", "task ranking needs dataset.query: the column whose values are the lists")
    return part[query].rank("dense").fill_null(0).cast(pl.Float64).to_numpy()
