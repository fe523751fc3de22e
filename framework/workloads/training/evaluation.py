"""How good a model is, on rows it has never seen: as a whole, in slices, and next to the model that serves now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.models import Matrix
from framework.workloads.training import metrics


def truth_of(frame: pl.DataFrame, label: str) -> Matrix:
    """The label as 0.0 and 1.0."""
    return frame[label].cast(pl.Float64).to_numpy()


def champion_metrics(
    champion: Mapping[str, Any] | None, test: pl.DataFrame, label: str
) -> tuple[dict[str, float] | None, str]:
    """The live model's metrics on the challenger's test rows, and why there are none.

    None where nothing is live. Empty where the live model cannot be asked, e.g. because it needs a column that this
    training set does not have: a bar against it then counts as failed rather than as passed unseen.
    """
    if champion is None:
        return None, "nothing is live"
    signature = champion["signature"]
    missing = [column["name"] for column in signature["inputs"] if column["name"] not in test.columns]
    if missing:
        return (
            {},
            f"the live model {champion['version']} needs {', '.join(missing)}, which this training set does not have",
        )
    try:
        predictor = models.load(champion["artifact"], champion["sha256"], champion["format"], signature)
    except WorkloadError as error:
        return {}, f"the live model {champion['version']} cannot be loaded: {error}"
    return metrics.measure(truth_of(test, label), predictor.predict(test)), ""


def slices(bars: Sequence[Mapping[str, Any]], test: pl.DataFrame, scores: Matrix, label: str) -> list[dict[str, Any]]:
    """One row per bar and value of its column: {by, value, metric, rows, score}. ``score`` is None where the metric
    is not defined, e.g. an AUC where one class is missing; slices below ``minRows`` are left out.

    Raises:
        WorkloadError: "MissingColumn", "UnknownMetric".
    """
    truth = truth_of(test, label)
    found: list[dict[str, Any]] = []
    for bar in bars:
        measure = metrics.metric(bar["metric"])
        if bar["by"] not in test.columns:
            raise WorkloadError(
                "MissingColumn", f"a slice is by {bar['by']!r}, the training set has {', '.join(test.columns)}"
            )
        column = test[bar["by"]]
        for value in column.unique().sort(nulls_last=True).to_list():
            rows = np.flatnonzero(_equal(column, value))
            if len(rows) < bar.get("minRows", 1):
                continue
            score = measure(truth[rows], scores[rows])
            found.append(
                {
                    "by": bar["by"],
                    "value": str(value),
                    "metric": bar["metric"],
                    "rows": len(rows),
                    "score": score if np.isfinite(score) else None,
                }
            )
    return found


def _equal(column: pl.Series, value: Any) -> Matrix:
    return (column.is_null() if value is None else (column == value).fill_null(False)).to_numpy()
