"""A metric of draws of rows, many times over the same answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix
from framework.api.metrics import LEAST_PROBABILITY
from framework.api.tasks import Task
from framework.scores import NAN, Answered, score

Statistic = Callable[[NDArray[np.int64]], float]
"""Of row numbers, some of which are there several times."""


def statistic(metric: str, known: Answered) -> Statistic:
    """``score(metric, known.of(rows))`` of any ``rows``, up to the order of sums. What a metric needs to know of a row
    is looked up once, where that does not depend on the other rows."""
    by_row = _MEANS.get(metric)
    if not np.isfinite(known.given).all() or known.task not in (Task.BINARY, Task.REGRESSION):
        by_row = None
    elif metric == "auc":
        return _auc_of(known)
    if by_row is None:
        return lambda rows: score(metric, known.of(rows))
    each = by_row(known)
    if metric == "rmse":
        return lambda rows: float(np.sqrt(each[rows].mean()))
    return lambda rows: float(each[rows].mean())


def _auc_of(known: Answered) -> Statistic:
    """The share of pairs of a positive and a negative that are in order, ties counting half (Mann and Whitney, Annals
    of Mathematical Statistics 18, 1947), by counting how often each row was drawn."""
    order = np.argsort(known.given, kind="stable")
    values, positive = known.given[order], known.truth[order]
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))

    def auc(rows: NDArray[np.int64]) -> float:
        drawn = np.bincount(place[rows], minlength=len(order))
        above = np.add.reduceat(drawn * positive, starts)
        below = np.add.reduceat(drawn, starts) - above
        pairs = above.sum() * below.sum()
        return float((above * (np.cumsum(below) - below / 2)).sum() / pairs) if pairs else NAN

    return auc


def _surprise(known: Answered) -> Matrix:
    kept = np.clip(known.given, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    found: Matrix = -np.log(np.where(known.truth == 1, kept, 1 - kept))
    return found


_MEANS: Mapping[str, Callable[[Answered], Matrix]] = {
    "accuracy": lambda known: (known.predicted == known.truth).astype(np.float64),
    "log_loss": _surprise,
    "brier": lambda known: (known.truth - known.given) ** 2,
    "mae": lambda known: np.abs(known.truth - known.given),
    "rmse": lambda known: (known.truth - known.given) ** 2,
}
"""What the metric is the mean of, or the root of the mean: (rows,)."""
