"""How much of a difference between bins sampling alone explains."""

from __future__ import annotations

from collections.abc import Sequence

from framework.drift.bins import Aligned, Novel, Pair, enough
from framework.probability import binomial_quantile, chi_square_quantile

SINGLY = 0.1
"""Of the chance for a false alarm, the part of bins that are tested each for itself: exact tests need little, and the
test of all others keeps its power."""


def beyond_chance(bins: Aligned, alpha: float) -> tuple[float, float]:
    """The evidence that both sides differ, and the critical value of Pearson's X-square it was held to.

    Evidence is the square of how many times farther apart they are than sampling explains: with two samples of one
    distribution it exceeds 1 with a probability of at most ``alpha``. Bins with enough rows are tested together by
    Pearson's X-square, sparse ones each: given a bin's rows of both sides together, those of the window are binomial.
    Rows of new categories come a category at a time, so there the categories are counted. All of it is conditional on
    the sums over both sides, so that it does not matter how bins were pooled by them.
    """
    smallest = enough(bins.rows)
    dense = [pair for pair in bins.fixed if sum(pair) >= smallest]
    sparse = [pair for pair in bins.fixed if sum(pair) < smallest]
    singly = len(sparse) + (1 if bins.novel else 0)
    # Dense bins that add up to (nearly) all rows lose a degree of freedom, unless there is only one of them.
    degrees = max(len(dense) - 1, 1 if dense and singly else 0)
    apart = (SINGLY if degrees else 1.0) * alpha / max(1, singly)
    critical = chi_square_quantile(1.0 - alpha * (1.0 - SINGLY if singly else 1.0), degrees) if degrees else 0.0
    share = bins.rows[1] / sum(bins.rows)
    found = [_x_square(dense, share) / critical] if degrees else []
    found += [_sparse(pair, share, apart) for pair in sparse]
    found += [_novel(bins.novel, apart)] if bins.novel else []
    return max(found, default=0.0), critical


def _x_square(pairs: Sequence[Pair], share: float) -> float:
    """Pearson's statistic for two samples, of which the window has this share of the rows."""
    return sum((b - share * (a + b)) ** 2 / ((a + b) * share * (1.0 - share)) for a, b in pairs)


def _sparse(pair: Pair, share: float, alpha: float) -> float:
    a, b = pair
    more = b > share * (a + b)
    return _excess(b if more else a, a + b, share if more else 1.0 - share, alpha / 2.0)


def _novel(novel: Novel, alpha: float) -> float:
    """A sum of events of unequal probabilities is spread less than a binomial of the same mean (Hoeffding, Annals of
    Mathematical Statistics 27, 1956)."""
    return _excess(novel.found, novel.categories, novel.expected / novel.categories, alpha)


def _excess(count: float, of: float, share: float, alpha: float) -> float:
    """The square of a count's distance from what is expected, in distances of the smallest that is too many."""
    expected = share * of
    too_many = binomial_quantile(round(of), share, 1.0 - alpha) + 0.5
    return max(0.0, (count - expected) / (too_many - expected)) ** 2
