"""What can be learned of a label, and what a model of it answers. Pure, because specs, training and serving have to
mean the same by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_WHOLE = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"})
NUMBERS = _WHOLE | {"Float32", "Float64"}

MOST_CLASSES = 20
"""Where the task is left out: a label of whole numbers with no more distinct values than these is a class."""


class Task(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
    QUANTILE = "quantile"
    RANKING = "ranking"


@dataclass(frozen=True)
class TaskForm:
    """``label`` says what a label is, ``dtypes`` which ones it may have; ``answer`` is the kind of a model's answer for
    one row, as a signature names it; ``headline`` the metric that a version is told by."""

    label: str
    dtypes: frozenset[str]
    answer: str
    headline: str


TASKS: Mapping[Task, TaskForm] = {
    Task.BINARY: TaskForm("Boolean, or a number that is 0 or 1", NUMBERS | {"Boolean"}, "probability", "auc"),
    Task.MULTICLASS: TaskForm(
        "a String, a whole number or Boolean", _WHOLE | {"String", "Boolean"}, "probabilities", "accuracy"
    ),
    Task.REGRESSION: TaskForm("a number", NUMBERS, "number", "rmse"),
    Task.QUANTILE: TaskForm("a number", NUMBERS, "quantiles", "pinball"),
    Task.RANKING: TaskForm("a number from 0 on: how relevant the row is", NUMBERS, "score", "ndcg@10"),
}

BINARY_CLASSES: Mapping[str, int] = {"0": 0, "1": 1, "false": 0, "true": 1}
"""The values of a binary label, as a spec may write them."""

LABELS = frozenset().union(*(form.dtypes for form in TASKS.values()))
"""Dtypes that a label can have."""


def of_signature(signature: Mapping[str, Any]) -> Task:
    """What a model learned; one from before there were tasks is binary."""
    return Task(signature.get("output", {}).get("task", Task.BINARY))


def of_dtype(dtype: str) -> Task | None:
    """The task of a label where none is declared; None for a number, whose values decide.

    >>> of_dtype("Boolean"), of_dtype("String"), of_dtype("Int8")
    (<Task.BINARY: 'binary'>, <Task.MULTICLASS: 'multiclass'>, None)
    """
    return {"Boolean": Task.BINARY, "String": Task.MULTICLASS}.get(dtype)


def of_values(dtype: str, *, zero_or_one: bool, distinct: int) -> Task:
    """The task of a label where none is declared: binary for 0 and 1, multiclass for other whole numbers with
    ``MOST_CLASSES`` distinct values at most, regression for all others.

    >>> of_values("Int64", zero_or_one=False, distinct=10)
    <Task.MULTICLASS: 'multiclass'>
    """
    of_all = of_dtype(dtype)
    if of_all is not None:
        return of_all
    if zero_or_one:
        return Task.BINARY
    return Task.MULTICLASS if dtype in _WHOLE and distinct <= MOST_CLASSES else Task.REGRESSION
