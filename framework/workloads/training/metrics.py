"""Measures of a binary classifier's probabilities against the truth. Exact, and the same for every trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps

import numpy as np
from numpy.typing import NDArray

from framework.api.metrics import LEAST_PROBABILITY
from framework.workloads.context import WorkloadError
from framework.api.nearest import did_you_mean

Array = NDArray[np.float64]
Metric = Callable[[Array, Array], float]

NOT_FINITE = "not_finite"
"""What stands among the metrics in their place where the model gave NaN or infinity: for how many rows."""


def _of_finite(metric: Metric) -> Metric:
    """NaN where a score is not finite: NaN sorts and compares somehow, and a model could look good for having none."""

    @wraps(metric)
    def guarded(truth: Array, scores: Array) -> float:
        return metric(truth, scores) if np.isfinite(scores).all() else float("nan")

    return guarded


@_of_finite
def auc(truth: Array, scores: Array) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic: the chance that a positive scores above a negative, a tie
    counting half. NaN where a class is missing."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[truth == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@_of_finite
def log_loss(truth: Array, scores: Array) -> float:
    """Mean negative log likelihood in nats; probabilities are kept 1e-15 away from 0 and 1."""
    clipped = np.clip(scores, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(-np.mean(truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped)))


@_of_finite
def accuracy(truth: Array, scores: Array) -> float:
    """Share of rows on the right side of 0.5."""
    return float(np.mean((scores >= 0.5) == (truth == 1)))


@_of_finite
def brier(truth: Array, scores: Array) -> float:
    """Mean squared error of the probabilities."""
    return float(np.mean((scores - truth) ** 2))


METRICS: Mapping[str, Metric] = {
    "auc": auc,
    "log_loss": log_loss,
    "accuracy": accuracy,
    "brier": brier,
}


def measure(truth: Array, scores: Array, prefix: str = "") -> dict[str, float]:
    """Every metric that is defined on these rows, by (prefixed) name; where a score is not finite none of them is, and
    ``not_finite`` says how many."""
    unscored = not_finite(scores)
    if unscored:
        return {f"{prefix}{NOT_FINITE}": float(unscored)}
    found = {f"{prefix}{name}": function(truth, scores) for name, function in METRICS.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def not_finite(scores: Array) -> int:
    return int(np.count_nonzero(~np.isfinite(scores)))


def metric(name: str) -> Metric:
    """The metric called ``name``; WorkloadError "UnknownMetric" where there is none."""
    if name not in METRICS:
        raise WorkloadError(
            "UnknownMetric", f"there is no metric {name!r}{did_you_mean(name, METRICS)} (allowed: {', '.join(METRICS)})"
        )
    return METRICS[name]
