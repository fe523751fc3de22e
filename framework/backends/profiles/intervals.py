"""95 % intervals of metrics over rows whose labels have arrived."""

from __future__ import annotations

import math
from collections.abc import Callable

from framework.probability import student_quantile
from framework.scores import Answered, score

BLOCKS = 20
"""Parts that a jackknife leaves out in turn."""
LEAST_ROWS = 2 * BLOCKS
_Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""


def interval(metric: str, value: float, answered: Answered) -> tuple[float, float] | None:
    """Around ``value``, which the metric has on these rows; None where there are too few for one, or nobody can
    tell."""
    if metric == "auc" and answered.given.ndim == 1:
        positives = int(answered.truth.sum())
        return auc_interval(value, positives, len(answered.truth) - positives)
    return jackknife_interval(metric, value, answered)


def jackknife_interval(metric: str, value: float, answered: Answered) -> tuple[float, float] | None:
    """``value`` -+ t * s, where s is the delete-a-block jackknife error over ``BLOCKS`` runs of rows in a row, of which
    each is left out in turn (Kuensch, Annals of Statistics 17, 1989): rows are in order of time and depend on each
    other. Student's t with ``BLOCKS`` - 1 degrees of freedom (Tukey, Annals of Mathematical Statistics 29, 1958)."""
    import numpy as np

    rows = len(answered.truth)
    if rows < LEAST_ROWS:
        return None
    blocks = np.arange(rows) * BLOCKS // rows
    left = np.array([score(metric, answered.of(blocks != block)) for block in range(BLOCKS)])
    if not np.isfinite(left).all():
        return None
    error = math.sqrt((BLOCKS - 1) / BLOCKS * float(((left - left.mean()) ** 2).sum()))
    reach = student_quantile(0.975, BLOCKS - 1) * error
    return value - reach, value + reach


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Of an AUC over so many rows of each class.

    The values theta with |auc - theta| <= z * sqrt(V(theta)), where V is the variance of Hanley and McNeil (Radiology
    143, 1982) with both class sizes replaced by their mean: Newcombe, Statistics in Medicine 25 (2006), method 5.
    Unlike the Wald interval it stays inside [0, 1] and has width at an AUC of 1.
    """
    extra = (positives + negatives) / 2 - 1

    def distance(theta: float) -> float:
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return abs(auc - theta) - _Z95 * math.sqrt(variance)

    return _boundary(distance, auc, 0.0), _boundary(distance, auc, 1.0)


def _boundary(distance: Callable[[float], float], inside: float, outside: float) -> float:
    """Where ``distance`` crosses zero between two points, by bisection to machine precision."""
    for _ in range(60):
        middle = (inside + outside) / 2
        if distance(middle) <= 0:
            inside = middle
        else:
            outside = middle
    return inside
