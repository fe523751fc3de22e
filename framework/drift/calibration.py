"""How far a column may move before it says anything: sampling noise, and the movement that is natural to it.

Independent-rows theory alone is far too strict on real data. The columns of one quarter of flights move by a PSI of
.07 (departure delay) to 5.8 (temperature) from week to week with nothing wrong. So each column's own movement is
learned from the periods of its reference: the distance of every period from the rest, and from these a bound for the
next one.
Movement is learned at the length of the periods: windows much shorter see the time of day as well.
"""

from __future__ import annotations

import math
import statistics as samples
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framework.drift.bins import Aligned, NotComparableError, align
from framework.drift.statistics import Statistic
from framework.ports import ColumnSummary
from framework.probability import student_quantile

ENOUGH_PERIODS = 5
"""With fewer, a spread cannot be told from chance, and the largest movement seen is taken as it is."""


@dataclass(frozen=True)
class Limit:
    """``value``: the distance beyond which a column counts as drifted, and what it is made of. ``natural`` is None
    where the reference has no periods to learn from."""

    value: float
    threshold: float
    natural: float | None
    noise: float


def limit(statistic: Statistic, bins: Aligned, periods: Sequence[float], threshold: float, alpha: float) -> Limit:
    """The spec's ``threshold``, or what this column reaches without drift if that is more.

    A window of undrifted data differs from the reference by natural movement plus sampling noise. Both are bounded at
    ``alpha / 2``, and lengths add up at most to their sum: an undrifted column exceeds it with at most ``alpha``.
    """
    noise = statistic.noise(bins, alpha / 2.0)
    lengths = [statistic.length(value) for value in periods]
    moved = _next_movement(lengths, alpha / 2.0)
    together = statistic.value((moved or 0.0) + statistic.length(noise))
    natural = None if moved is None else statistic.value(moved)
    return Limit(value=max(threshold, together), threshold=threshold, natural=natural, noise=noise)


def reach(statistic: Statistic, bins: Aligned) -> float:
    """The farthest that any window could be from this reference: all of its rows in the bin where that is most."""
    rows = bins.rows[1]
    corners = (
        tuple(rows if index == chosen else 0.0 for index in range(len(bins.window)))
        for chosen in range(len(bins.window))
    )
    return max(statistic.distance(Aligned(bins.reference, corner)) for corner in corners)


def _next_movement(lengths: Sequence[float], alpha: float) -> float | None:
    """An upper bound for the next period's movement: the one-sided prediction bound of a normal sample,
    mean + t s sqrt(1 + 1/K) (Hahn and Meeker, Statistical Intervals, section 4.7)."""
    if not lengths:
        return None
    if len(lengths) < ENOUGH_PERIODS:
        return max(lengths)
    count = len(lengths)
    spread = samples.stdev(lengths) * math.sqrt(1.0 + 1.0 / count)
    return samples.fmean(lengths) + student_quantile(1.0 - alpha, count - 1) * spread


def movements(
    statistic: Statistic, whole: ColumnSummary, periods: Sequence[Mapping[str, ColumnSummary]]
) -> tuple[float, ...]:
    """The distance of each period from the rest of the reference, oldest first; periods without rows are left out."""
    found: list[float] = []
    for columns in periods:
        period = columns.get(whole.name)
        if period is None:
            continue
        try:
            found.append(statistic.distance(align(_without(whole, period), period, ordered=statistic.ordered)))
        except NotComparableError:
            continue
    return tuple(found)


def _without(whole: ColumnSummary, part: ColumnSummary) -> ColumnSummary:
    """The rows of ``whole`` that are not in ``part``. Sketches are approximate, so a difference may fall below zero."""
    same = whole.edges == part.edges
    counts = tuple(max(0.0, a - b) for a, b in zip(whole.counts, part.counts, strict=True)) if same else whole.counts
    categories = {name: max(0.0, count - part.categories.get(name, 0.0)) for name, count in whole.categories.items()}
    return ColumnSummary(
        name=whole.name,
        count=max(0, whole.count - part.count),
        nulls=max(0, whole.nulls - part.nulls),
        edges=whole.edges,
        counts=counts,
        categories=categories,
    )
