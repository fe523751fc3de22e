"""What is measured of a model's answers, the same for every trainer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.api.nearest import did_you_mean
from framework.scores import METRICS, Metric
from framework.workloads.context import WorkloadError

Array = NDArray[np.float64]

NOT_FINITE = "not_finite"
"""What stands among the metrics in their place where the model gave NaN or infinity: for how many rows."""


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
