"""Metrics of a spec's own: a function of the repository, or what mistakes cost. They travel to workers by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import CALLED_WITH, COST, NO_OWN, Measures, own_measures
from framework.api.tasks import BINARY_CLASSES, Task
from framework.scores import Answered
from framework.workloads.context import WorkloadError
from framework.workloads.entrypoints import load_entrypoint
from framework.workloads.failures import raised


@dataclass(frozen=True)
class EntrypointMetric:
    """``entrypoint(truth, answers, rows)``: truth float64 (rows,) and answers as the task has them, see ``Answered``,
    both read-only; ``rows`` a Polars frame of ``columns`` as the training set has them, empty where it names none. It
    returns a number."""

    name: str
    entrypoint: str
    columns: tuple[str, ...]

    def loaded(self) -> Callable[..., Any]:
        """
        Raises:
            WorkloadError: what ``load_entrypoint`` raises; "WrongSignature".
        """
        function: Callable[..., Any] = load_entrypoint(self.entrypoint)
        try:
            inspect.signature(function).bind(*CALLED_WITH)
        except TypeError as error:
            told = f"metric {self.name}: {self.entrypoint} cannot be called with ({', '.join(CALLED_WITH)}): {error}"
            raise WorkloadError("WrongSignature", told) from error
        except ValueError:  # a function of C, of which nobody knows
            pass
        return function

    def __call__(self, answered: Answered) -> float:
        """NaN where the function says so: then the metric is not defined on these rows.

        Raises:
            WorkloadError: what ``loaded`` raises; "MetricFailed" with what the function raised, and where;
                "WrongType" for anything but a number.
        """
        function = self.loaded()
        rows = answered.rows.select(self.columns) if self.columns else pl.DataFrame()
        try:
            value = function(_read_only(answered.truth), _read_only(answered.given), rows)
        except WorkloadError:
            raise
        except Exception as error:
            told = f"metric {self.name}: {self.entrypoint} raised {raised(error)}"
            raise WorkloadError("MetricFailed", told) from error
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
            told = f"metric {self.name}: {self.entrypoint} returned {type(value).__name__}; a number is expected"
            raise WorkloadError("WrongType", told)
        return float(value)


@dataclass(frozen=True)
class CostMetric:
    """Mean over the rows of ``costs``, float64 (classes, classes), by true class and by predicted class."""

    costs: Matrix

    def __call__(self, answered: Answered) -> float:
        true, predicted = answered.truth.astype(np.int64), answered.predicted.astype(np.int64)
        return float(self.costs[true, predicted].mean())


@dataclass(frozen=True)
class OwnMetrics:
    """``functions`` by name; ``measures`` say which values are good; ``columns`` are those of the training set that
    some function is given."""

    functions: Mapping[str, Callable[[Answered], float]] = field(default_factory=dict)
    measures: Measures = field(default_factory=lambda: dict(NO_OWN))
    columns: Sequence[str] = ()

    @property
    def told(self) -> Mapping[str, str]:
        """By name, which values are better: larger or smaller."""
        return {name: "smaller" if one.loss else "larger" for name, one in self.measures.items()}

    def rows(self, frame: pl.DataFrame) -> pl.DataFrame | None:
        """What functions may be given of ``frame``; None where there is none."""
        return frame.select(self.columns) if self.columns else None


NO_OWN_METRICS = OwnMetrics()


def own_metrics(evaluation: Mapping[str, Any], output: ModelOutput, columns: Sequence[str]) -> OwnMetrics:
    """Those of a spec's ``evaluation`` (JSON by alias), for a model of ``output``, on a training set of ``columns``.

    Raises:
        WorkloadError: what ``EntrypointMetric.loaded`` raises; "MissingColumn"; "WrongCosts" for a class that the label
            does not have, or a label without classes.
    """
    named = {
        one["name"]: EntrypointMetric(one["name"], one["entrypoint"], tuple(one.get("columns") or ()))
        for one in evaluation.get("metrics") or ()
    }
    for name, one in named.items():
        one.loaded()
        missing = [column for column in one.columns if column not in columns]
        if missing:
            told = f"metric {name} asks for {', '.join(missing)}, the training set has {', '.join(columns)}"
            raise WorkloadError("MissingColumn", told)
    functions: dict[str, Callable[[Answered], float]] = dict(named)
    if evaluation.get("costs"):
        functions[COST] = CostMetric(_matrix(evaluation["costs"], output))
    wanted = dict.fromkeys(column for one in named.values() for column in one.columns)
    return OwnMetrics(functions, dict(own_measures(evaluation)), tuple(wanted))


def _matrix(costs: Mapping[str, Mapping[str, float]], output: ModelOutput) -> Matrix:
    if output.task not in (Task.BINARY, Task.MULTICLASS):
        raise WorkloadError("WrongCosts", f"evaluation.costs are of classes, and the task is {output.task}")
    places = {str(one): place for place, one in enumerate(output.classes)} or dict(BINARY_CLASSES)
    size = len(output.classes) or 2
    found = np.zeros((size, size))
    for true, prices in costs.items():
        unknown = [name for name in dict.fromkeys((true, *prices)) if name not in places]
        if unknown:
            told = f"evaluation.costs names {', '.join(map(repr, unknown))} (allowed: {', '.join(places)})"
            raise WorkloadError("WrongCosts", told)
        for predicted, price in prices.items():
            found[places[true], places[predicted]] = price
    return found


def _read_only(array: Any) -> Any:
    view = array.view()
    view.flags.writeable = False
    return view
