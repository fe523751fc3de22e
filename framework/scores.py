"""How well probabilities agree with what was true: scikit-learn's measures, one of each for whoever trains a model,
gates it or watches it serve."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache, wraps
from types import ModuleType
from typing import Any

from framework.api.metrics import LEAST_PROBABILITY
from framework.sketches import LOADING

Metric = Callable[[Any, Any], float]
"""Of the truth (0.0 and 1.0) and the scores, both float64 arrays of one length of at least 1."""


@cache
def _library() -> ModuleType:
    """Loaded when something is measured: it takes more than a second. Raises ImportError without it."""
    with LOADING:
        return importlib.import_module("sklearn.metrics")


def _of_finite(metric: Metric) -> Metric:
    """NaN where a score is not finite: NaN sorts and compares somehow, and a model could look good for having none."""

    @wraps(metric)
    def guarded(truth: Any, scores: Any) -> float:
        import numpy as np

        return metric(truth, scores) if np.isfinite(scores).all() else float("nan")

    return guarded


@_of_finite
def auc(truth: Any, scores: Any) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, a tie counting half. NaN where a
    class is missing."""
    if truth.min() == truth.max():
        return float("nan")
    return float(_library().roc_auc_score(truth, scores))


@_of_finite
def log_loss(truth: Any, scores: Any) -> float:
    """Mean negative log likelihood in nats; probabilities are kept ``LEAST_PROBABILITY`` away from 0 and 1."""
    kept = scores.clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return float(_library().log_loss(truth, kept, labels=[0.0, 1.0]))


@_of_finite
def accuracy(truth: Any, scores: Any) -> float:
    """Share of rows on the right side of 0.5."""
    return float(_library().accuracy_score(truth == 1, scores >= 0.5))


@_of_finite
def brier(truth: Any, scores: Any) -> float:
    """Mean squared error of the probabilities, also where a model's answers are none."""
    return float(_library().mean_squared_error(truth, scores))


METRICS: Mapping[str, Metric] = {"auc": auc, "log_loss": log_loss, "accuracy": accuracy, "brier": brier}
