"""How differently a model treats groups of the test rows, by fairlearn."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework import installed
from framework.answers import Matrix
from framework.api.fairness import FAIRNESS, FairnessMetric, group_name, loss_of, why_unfit
from framework.api.metrics import NO_OWN, Measures, written
from framework.api.tasks import Task
from framework.scores import Answered, score
from framework.workloads.context import WorkloadError
from framework.workloads.missing import nan_as_null
from framework.workloads.training import metrics

MOST_GROUPS = 100
"""That are told apart: a column with more values is an identifier or a number, and makes no groups of people."""
_CLASS_OF = {"true_positive_rate": (1.0, "positive"), "false_positive_rate": (0.0, "negative")}
"""The rows that a rate is a share of, where that is not all of them."""


def check(bars: Sequence[Mapping[str, Any]], task: Task, own: Measures = NO_OWN) -> None:
    """
    Raises:
        WorkloadError: "PackageMissing" without fairlearn, "UnknownMetric" where a bar says nothing of the task.
    """
    if bars and not installed.is_there("fairlearn"):
        raise WorkloadError("PackageMissing", f"evaluation.fairness: {installed.advice(['fairlearn'])}")
    for bar in bars:
        unfit = why_unfit(FairnessMetric(bar["metric"]), None, task)
        if unfit is not None:
            raise WorkloadError("UnknownMetric", unfit)
        if bar.get("loss") is not None:
            metrics.checked(bar["loss"], task, own)


def fairness(
    bars: Sequence[Mapping[str, Any]], test: pl.DataFrame, known: Answered, own: Measures = NO_OWN
) -> list[dict[str, Any]]:
    """One row per bar: {attribute, metric, loss, minRows, value, groups, problem}.

    ``groups`` are rows {group, rows, values}, the values of each rate, or of the loss, by name; ``group`` is None for
    rows without a value, which are a group like any other. Groups of fewer than ``minRows`` rows are left out.
    ``value`` is the largest difference between two of them, None where ``problem`` says why there is none.

    Raises:
        WorkloadError: "MissingColumn"; what ``check`` raises.
    """
    check(bars, known.task, own)
    return [_fairness(bar, test, known, own) for bar in bars]


def _fairness(bar: Mapping[str, Any], test: pl.DataFrame, known: Answered, own: Measures) -> dict[str, Any]:
    by, least = bar["attribute"], bar.get("minRows", 1)
    metric = FairnessMetric(bar["metric"])
    loss = written(loss_of(known.task, bar.get("loss")), own) if not FAIRNESS[metric].rates else None
    found = {"attribute": by, "metric": metric.value, "loss": bar.get("loss"), "minRows": least}
    if by not in test.columns:
        told = f"fairness is by {by!r}, the training set has {', '.join(test.columns)}"
        raise WorkloadError("MissingColumn", told)
    column = nan_as_null(test.select(by)).with_row_index("__row")
    parts = column.group_by(by, maintain_order=True).agg("__row").sort(by, nulls_last=True)
    members = {str(key) if key is not None else None: np.array(rows) for key, rows in parts.iter_rows()}
    large = {group: rows for group, rows in members.items() if len(rows) >= least}
    problem = _uncomparable(by, least, members, large, known)
    if problem:
        groups: list[dict[str, Any]] = [
            {"group": group, "rows": len(rows), "values": {}} for group, rows in large.items()
        ]
        return {**found, "value": None, "groups": groups[:MOST_GROUPS], "problem": problem}
    value, groups = _measured(large, known, FAIRNESS[metric].rates, loss)
    return {**found, "value": value, "groups": groups, "problem": _undefined(groups, by) if value is None else ""}


def _uncomparable(
    by: str, least: int, members: Mapping[str | None, Matrix], large: Mapping[str | None, Matrix], known: Answered
) -> str:
    """Why there are no groups to compare, nothing where there are."""
    unscored = metrics.not_finite(known.given)
    if unscored:
        return f"{unscored:,} answers to test rows are not finite"
    if set(members) == {None}:
        return f"{by} has no value in any of {len(known.truth):,} test rows"
    if len(members) == 1:
        return f"all {len(known.truth):,} test rows have {by} = {next(iter(members))}, so there is nothing to compare"
    if len(large) < 2:
        largest = max(map(len, members.values()))
        fewest = "no group has" if not large else "only one group has"
        return f"{fewest} {least:,} test rows, the largest has {largest:,}"
    if len(large) > MOST_GROUPS:
        return f"{by} has {len(large):,} values, which are no groups: {MOST_GROUPS} at most are compared"
    return ""


def _measured(
    large: Mapping[str | None, Matrix], known: Answered, rates: Sequence[str], loss: str | None
) -> tuple[float | None, list[dict[str, Any]]]:
    """The largest difference in any rate, or in the loss, and each group's value; None where one is not defined."""
    library = importlib.import_module("fairlearn.metrics")
    places = np.concatenate(list(large.values()))
    sizes = [len(rows) for rows in large.values()]
    if loss is not None:
        # Answers may be several numbers a row, so that the library is given the place of the row in their stead.
        functions = {loss: lambda _, rows: score(loss, known.of(rows))}
        truth = predicted = places
    else:
        functions = {rate: getattr(library, rate) for rate in rates}
        truth, predicted = known.truth[places], known.predicted[places]
    groups = np.repeat(np.arange(len(large)), sizes)
    frame = library.MetricFrame(metrics=functions, y_true=truth, y_pred=predicted, sensitive_features=groups)
    table: list[dict[str, Any]] = []
    for place, (group, rows) in enumerate(large.items()):
        values = {name: float(frame.by_group[name].iloc[place]) for name in functions}
        for name in values:
            of = _CLASS_OF.get(name)
            if of is not None and not (known.truth[rows] == of[0]).any():
                values[name] = float("nan")  # the library says 0
        told = {name: value if np.isfinite(value) else None for name, value in values.items()}
        table.append({"group": group, "rows": len(rows), "values": told})
    if any(None in row["values"].values() for row in table):
        return None, table
    return float(max(frame.difference(method="between_groups"))), table


def _undefined(groups: Sequence[Mapping[str, Any]], by: str) -> str:
    """Which group has no value, and of what."""
    row, name = next((row, name) for row in groups for name, value in row["values"].items() if value is None)
    of = _CLASS_OF.get(name)
    why = f"none of them is {of[1]}" if of is not None else "it is not defined there"
    part = f"the {row['rows']:,} rows with {by} = {group_name(row['group'])}"
    return f"no {name} of {part}: {why}; raise minRows to leave them out"
