"""How sure a metric is that was measured on so many rows, and how much better one model is than another on the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.answers import Matrix
from framework.scores import Answered, each_list, rows_of_lists, score
from framework.workloads.training.draws import Statistic, statistic

LEVELS = tuple(round(step / 200, 3) for step in range(1, 200))
"""The quantiles that are kept: gates may ask for other confidences later, and nothing is drawn again for that."""
_MOST_DRAWS, _FEWEST_DRAWS, _ROWS_DRAWN = 1_000, 100, 10_000_000
_OF_ONE = 5
"""Times fewer draws are enough for an interval that no bar goes by."""
SURE = 0.95
"""Of the draws, as many give a value within an interval."""


def interval(metric: str, known: Answered, seed: int) -> list[float] | None:
    """[low, high]: where the metric lies in 95 of 100 draws of the rows with replacement (percentile bootstrap, Efron
    and Tibshirani, chapter 13), of a ranking of its lists. None where it is not defined, or on hardly any draw.

    200 draws of up to 10,000 rows, fewer of more, a hundred at least. Equal arguments give equal results.
    """
    if not np.isfinite(score(metric, known)):
        return None
    generator, drawn = np.random.default_rng(seed), statistic(metric, known)
    if known.groups is not None and metric in known.own:
        found = _of_whole_lists(drawn, known.groups, generator, _OF_ONE)
    elif known.groups is not None:
        found = _of_lists(each_list(metric, known), generator)
    else:
        found = _of_rows(drawn, len(known.truth), generator, _OF_ONE)
    ends = _quantiles(found, ((1 - SURE) / 2, (1 + SURE) / 2))
    return ends if ends is None else [_short(end) for end in ends]


def compare(metric: str, ours: Answered, theirs: Answered, seed: int) -> dict[str, Any] | None:
    """``{difference, draws, quantiles}`` of ours minus theirs by a paired bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapters 10 and 13): rows are drawn with replacement, the same ones for both;
    of a ranking whole lists. ``quantiles`` are those of ``LEVELS``. None where the metric is not defined on the rows,
    or on hardly any draw.

    A thousand draws of up to 10,000 rows, fewer of more, a hundred at least. Equal arguments give equal results.
    """
    difference = score(metric, ours) - score(metric, theirs)
    if not np.isfinite(difference):
        return None
    generator = np.random.default_rng(seed)
    one, other = statistic(metric, ours), statistic(metric, theirs)

    def drawn(rows: NDArray[np.int64]) -> float:
        return one(rows) - other(rows)

    if ours.groups is not None and metric in ours.own:
        found = _of_whole_lists(drawn, ours.groups, generator)
    elif ours.groups is not None:
        found = _of_lists(each_list(metric, ours) - each_list(metric, theirs), generator)
    else:
        found = _of_rows(drawn, len(ours.truth), generator)
    quantiles = _quantiles(found, LEVELS)
    if quantiles is None:
        return None
    draws = int(np.count_nonzero(np.isfinite(found)))
    return {"difference": difference, "draws": draws, "quantiles": [_short(value) for value in quantiles]}


def _of_rows(of: Statistic, rows: int, generator: np.random.Generator, fewer: int = 1) -> list[float]:
    """The statistic of each draw of row numbers."""
    return [of(generator.integers(0, rows, rows)) for _ in range(_draws(rows, fewer))]


def _draws(rows: int, fewer: int) -> int:
    return max(_FEWEST_DRAWS, min(_MOST_DRAWS, _ROWS_DRAWN // rows) // fewer)


def _of_whole_lists(of: Statistic, groups: Matrix, generator: np.random.Generator, fewer: int = 1) -> list[float]:
    """The statistic of the rows of all lists that are drawn: of a metric that may be no mean over lists."""
    lists = rows_of_lists(groups)
    draws = (generator.integers(0, len(lists), len(lists)) for _ in range(_draws(len(groups), fewer)))
    return [of(np.concatenate([lists[one] for one in drawn])) for drawn in draws]


def _of_lists(each: NDArray[np.float64], generator: np.random.Generator) -> list[float]:
    """The metric is a mean over lists, so each is measured once and drawn as a number."""
    known = each[np.isfinite(each)]
    return [float(known[generator.integers(0, len(known), len(known))].mean()) for _ in range(_MOST_DRAWS)]


def _quantiles(found: Sequence[float], levels: Sequence[float]) -> list[float] | None:
    """Of the draws on which the statistic is defined; None where these are hardly any."""
    known = np.array(found)[np.isfinite(found)]
    return None if len(known) < len(found) / 2 else [float(value) for value in np.quantile(known, levels)]


def _short(value: float) -> float:
    return float(f"{value:.6g}")
