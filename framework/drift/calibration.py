"""How far a column may move before it says anything: sampling noise, and the movement that is natural to it.

Independent-rows theory alone is far too strict on real data. The columns of one quarter of flights move by a PSI of
.07 (departure delay) to 5.8 (temperature) from week to week with nothing wrong. So each column's own movement is
learned from the periods of its reference: the distance of every period from the others, less what sampling alone makes
of it, and from these a bound for the next one.
A reference of one period says nothing about movement: then sampling noise and the threshold are all there is.
Movement is learned at the length of the periods: windows much shorter see the time of day as well.
"""

from __future__ import annotations

import math
import statistics as samples
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from framework.drift.bins import Aligned, NotComparableError, align
from framework.drift.statistics import Statistic
from framework.drift.summaries import total, without
from framework.ports import ColumnSummary
from framework.probability import student_quantile

ENOUGH_PERIODS = 5
"""With fewer, a spread cannot be told from chance, and the largest movement seen is taken as it is."""

MIN_PERIOD_ROWS = 200
"""A period with fewer rows says little about natural movement; nor does one that has fewer to be compared with."""


@dataclass(frozen=True)
class DriftLimit:
    """``value``: the distance beyond which a column counts as drifted, and what it is made of. ``natural`` is None
    where it is unknown: the reference has no two periods to compare."""

    value: float
    threshold: float
    natural: float | None
    noise: float


@dataclass(frozen=True)
class Movement:
    """How far one period was from the others, as a length, and what sampling alone makes of its square on average."""

    length: float
    sampling: float


def limit(
    statistic: Statistic, bins: Aligned, periods: Sequence[Movement], threshold: float, alpha: float
) -> DriftLimit:
    """The spec's ``threshold``, or what this column reaches without drift if that is more.

    A window of undrifted data differs from the reference by natural movement plus sampling noise. Both are bounded at
    ``alpha / 2``, and lengths add up at most to their sum: an undrifted column exceeds it with at most ``alpha``.
    """
    noise = statistic.noise(bins, alpha / 2.0)
    moved = _next_movement(periods, alpha / 2.0)
    together = statistic.value((moved or 0.0) + statistic.length(noise))
    natural = None if moved is None else statistic.value(moved)
    return DriftLimit(value=max(threshold, together), threshold=threshold, natural=natural, noise=noise)


def reach(statistic: Statistic, bins: Aligned) -> float:
    """The farthest that any window could be from this reference: all of its rows in the bin that the reference has
    least of, or at one end of the order."""
    rows, last = bins.rows[1], len(bins.reference) - 1
    emptiest = min(range(last + 1), key=bins.reference.__getitem__)
    corners = (tuple(rows if index == chosen else 0.0 for index in range(last + 1)) for chosen in {0, emptiest, last})
    return max(statistic.distance(Aligned(bins.reference, corner)) for corner in corners)


def _next_movement(periods: Sequence[Movement], alpha: float) -> float | None:
    """An upper bound for the length of the next period's movement.

    The one-sided prediction bound of a normal sample, mean + t s sqrt(1 + 1/K) (Hahn and Meeker, Statistical Intervals,
    section 4.7), with the root of the mean square for the mean, from which sampling can be taken out: a window's own is
    added to it. The spread keeps its part of sampling, for the sake of error control.
    """
    if not periods:
        return None
    lengths, count = [period.length for period in periods], len(periods)
    if count < ENOUGH_PERIODS:
        return max(lengths)
    mean = math.sqrt(max(0.0, samples.fmean(period.length**2 - period.sampling for period in periods)))
    return mean + student_quantile(1.0 - alpha, count - 1) * samples.stdev(lengths) * math.sqrt(1.0 + 1.0 / count)


def movements(statistic: Statistic, name: str, periods: Sequence[Mapping[str, ColumnSummary]]) -> tuple[Movement, ...]:
    """The movement of each period of column ``name``, oldest first. Periods are left out that have too few rows, or
    too few to be compared with."""
    columns = [period[name] for period in periods if name in period]
    if len(columns) < 2:
        return ()
    whole = total(columns)
    found: list[Movement] = []
    for column in columns:
        rest = without(whole, column)
        if min(column.count, rest.count) < MIN_PERIOD_ROWS:
            continue
        try:
            bins = align(rest, column, ordered=statistic.ordered)
        except NotComparableError:
            continue
        found.append(Movement(statistic.length(statistic.distance(bins)), statistic.sampling(bins)))
    return tuple(found)
