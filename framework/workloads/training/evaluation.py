"""How good a model is, on rows it has never seen: as a whole, in slices, and by how much better than another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework.answers import Matrix
from framework.api.metrics import CV, NO_OWN, Measures, measure_of
from framework.api.tasks import TASKS
from framework.scores import Answered, score
from framework.workloads.context import WorkloadError
from framework.workloads.missing import nan_as_null
from framework.workloads.training import metrics
from framework.workloads.training.comparison import compare, interval


def comparisons(
    gates: Sequence[Mapping[str, Any]],
    ours: Answered,
    theirs: Answered | None,
    seed: int,
    *,
    also: bool = False,
    own: Measures = NO_OWN,
) -> dict[str, dict[str, Any]]:
    """How much better ours is by each metric that is gated against the live model (see ``comparison.compare``), by
    name; empty where there is nothing to compare with. ``also``: by what its task is told by and by every gated metric,
    too."""
    if theirs is None:
        return {}
    asked = [gate["metric"] for gate in gates if also or gate.get("comparedTo")]
    headline = [TASKS[ours.task].headline] if also else []
    of_test = [one for one in [*asked, *headline] if not one.startswith(CV)]
    named = dict.fromkeys(metrics.checked(one, ours.task, own) for one in of_test)
    found = {name: compare(name, ours, theirs, seed) for name in named}
    return {name: one for name, one in found.items() if one is not None}


def intervals(named: Iterable[str], known: Answered, seed: int) -> dict[str, list[float]]:
    """Where each metric may lie, and the one that the task is told by: [low, high] by name, see
    ``comparison.interval``. What is neither asked for nor told is not drawn: a metric takes as long as all others."""
    names = dict.fromkeys((TASKS[known.task].headline, *named))
    found = {name: interval(name, known, seed) for name in names}
    return {name: ends for name, ends in found.items() if ends is not None}


def slices(
    bars: Sequence[Mapping[str, Any]], test: pl.DataFrame, known: Answered, seed: int = 0, own: Measures = NO_OWN
) -> list[dict[str, Any]]:
    """One row per bar and value of its column: {by, value, metric, rows, score}. ``score`` is None where the metric
    is not defined, e.g. an AUC where one class is missing. Slices below ``minRows`` are left out; where that leaves
    none, one row with the value None has the size of the largest. The row of the worst one also has ``of``, how many
    there are, and ``interval``, see ``comparison.interval``. Of a metric of the spec's own, ``loss`` says whether less
    of it is better.

    Raises:
        WorkloadError: "MissingColumn", "UnknownMetric".
    """
    return [row for bar in bars for row in _slices(bar, test, known, seed, own)]


def _slices(
    bar: Mapping[str, Any], test: pl.DataFrame, known: Answered, seed: int, own: Measures
) -> list[dict[str, Any]]:
    metric = metrics.checked(bar["metric"], known.task, own)
    if bar["by"] not in test.columns:
        raise WorkloadError(
            "MissingColumn", f"a slice is by {bar['by']!r}, the training set has {', '.join(test.columns)}"
        )
    column, least = nan_as_null(test.select(bar["by"])).to_series(), bar.get("minRows", 1)
    sizes = column.value_counts().sort(bar["by"], nulls_last=True)
    large = sizes.filter(pl.col("count") >= least)
    if large.is_empty():
        return [_slice(bar, None, max(sizes["count"].to_list()), float("nan"), own)]
    values = large[bar["by"]].to_list()
    parts = [known.of(np.flatnonzero(_equal(column, value))) for value in values]
    found = [
        _slice(bar, str(value), len(part.truth), score(metric, part), own)
        for value, part in zip(values, parts, strict=True)
    ]
    sign = -1 if measure_of(metric, own).loss else 1
    measured = [place for place, row in enumerate(found) if row["score"] is not None]
    if measured:
        worst = min(measured, key=lambda place: sign * found[place]["score"])
        found[worst] |= {"of": len(found), "interval": interval(metric, parts[worst], seed)}
    return found


def _slice(bar: Mapping[str, Any], value: str | None, rows: int, found: float, own: Measures) -> dict[str, Any]:
    shown = found if np.isfinite(found) else None
    told = {"loss": own[bar["metric"]].loss} if bar["metric"] in own else {}
    return {"by": bar["by"], "value": value, "metric": bar["metric"], "rows": rows, "score": shown, **told}


def _equal(column: pl.Series, value: Any) -> Matrix:
    return (column.is_null() if value is None else (column == value).fill_null(False)).to_numpy()
