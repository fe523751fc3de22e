"""How far apart two distributions are, on neutral column summaries.

Every statistic works on the same aligned bins, so that one column can be judged by another statistic without being
profiled again. Each comes with the value that sampling alone reaches, and with the scale on which independent movements
add up (``length``): distances for which the triangle inequality holds, exactly or, for PSI, to second order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from framework.ports import ColumnSummary
from framework.probability import chi_square_quantile, kolmogorov_quantile

FLOOR = 1e-4
"""PSI needs every bin filled. This share is mixed into each bin, whatever the number of rows: a pseudo-count per row
would make the same empty bin weigh 0.5 at 1e3 rows and 1.7 at 1e8."""
EXPECTED = 5.0
"""Bins in which the reference leads to expect fewer rows than this are pooled (Cochran's rule): below it the null
distributions do not hold."""


@dataclass(frozen=True)
class Aligned:
    """Rows per bin of the reference and of the window, in the same order."""

    reference: tuple[float, ...]
    window: tuple[float, ...]

    @property
    def bins(self) -> int:
        """Bins that hold anything at all."""
        return sum(1 for a, b in zip(self.reference, self.window, strict=True) if a or b)

    @property
    def rows(self) -> tuple[float, float]:
        return sum(self.reference), sum(self.window)

    def shares(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        n, m = self.rows
        return tuple(value / n for value in self.reference), tuple(value / m for value in self.window)


class NotComparableError(Exception):
    """The two summaries cannot be compared; the message says why."""


def rows_of(column: ColumnSummary) -> float:
    """Rows seen, missing values included."""
    return sum(column.counts) + sum(column.categories.values()) + column.nulls


def align(reference: ColumnSummary, window: ColumnSummary, *, ordered: bool) -> Aligned:
    """Bring two summaries of a column to common bins.

    Missing values are a bin of their own, unless ``ordered`` (a statistic on the order of values has no place for
    them). Sparse bins are pooled: numeric ones with their neighbours, categories, unseen ones included, together.

    Raises:
        NotComparableError: nothing to compare, bins that differ, or no order.
    """
    if rows_of(reference) == 0 or rows_of(window) == 0:
        raise NotComparableError("no rows")
    if reference.categories or window.categories:
        if ordered:
            raise NotComparableError("the values have no order; choose another statistic in drift.statistics")
        return _with_nulls(_categories(reference, window), reference, window)
    if sum(window.counts) == 0 or sum(reference.counts) == 0:
        if ordered:
            raise NotComparableError("no values")
        pairs = [(sum(reference.counts), sum(window.counts))]
        return _with_nulls(pairs, reference, window)
    if reference.edges != window.edges:
        raise NotComparableError("the window has other bins than the reference")
    pairs = _pool_neighbours(list(zip(reference.counts, window.counts, strict=True)))
    return _split(pairs) if ordered else _with_nulls(pairs, reference, window)


def _split(pairs: Sequence[tuple[float, float]]) -> Aligned:
    return Aligned(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _with_nulls(pairs: list[tuple[float, float]], reference: ColumnSummary, window: ColumnSummary) -> Aligned:
    return _split([*pairs, (float(reference.nulls), float(window.nulls))])


def _expected(pairs: Sequence[tuple[float, float]]) -> list[float]:
    n, m = sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
    return [pair[0] / n * m if n else 0.0 for pair in pairs]


def _pool_neighbours(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    pooled: list[tuple[float, float]] = []
    a = b = weight = 0.0
    for (x, y), expected in zip(pairs, _expected(pairs), strict=True):
        a, b, weight = a + x, b + y, weight + expected
        if weight >= EXPECTED:
            pooled.append((a, b))
            a = b = weight = 0.0
    if a or b:
        last = pooled.pop() if pooled else (0.0, 0.0)
        pooled.append((last[0] + a, last[1] + b))
    return pooled


def _categories(reference: ColumnSummary, window: ColumnSummary) -> list[tuple[float, float]]:
    names = sorted({*reference.categories, *window.categories})
    pairs = [(reference.categories.get(name, 0.0), window.categories.get(name, 0.0)) for name in names]
    expected = _expected(pairs)
    kept = [pair for pair, weight in zip(pairs, expected, strict=True) if weight >= EXPECTED]
    rare = [pair for pair, weight in zip(pairs, expected, strict=True) if weight < EXPECTED]
    return [*kept, (sum(pair[0] for pair in rare), sum(pair[1] for pair in rare))]


def psi(bins: Aligned) -> float:
    """Population stability index: the sum of (q - p) ln(q / p), which is Jeffreys' divergence."""
    p, q = (_filled(shares) for shares in bins.shares())
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def _filled(shares: Sequence[float]) -> list[float]:
    whole = 1.0 + FLOOR * len(shares)
    return [(share + FLOOR) / whole for share in shares]


def js(bins: Aligned) -> float:
    """Jensen-Shannon distance to base 2: the root of the divergence, from 0 (equal) to 1 (nothing in common)."""
    p, q = bins.shares()
    divergence = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2.0
        divergence += sum(0.5 * share * math.log2(share / middle) for share in (a, b) if share > 0.0)
    return math.sqrt(max(0.0, divergence))


def hellinger(bins: Aligned) -> float:
    """Hellinger distance, from 0 to 1."""
    p, q = bins.shares()
    return math.sqrt(sum((math.sqrt(a) - math.sqrt(b)) ** 2 for a, b in zip(p, q, strict=True)) / 2.0)


def ks(bins: Aligned) -> float:
    """Kolmogorov-Smirnov: the largest difference of the cumulative shares, at the bins' edges."""
    p, q = bins.shares()
    gap = largest = 0.0
    for a, b in zip(p, q, strict=True):
        gap += b - a
        largest = max(largest, abs(gap))
    return largest


def _chi_square_noise(bins: Aligned, alpha: float) -> float:
    """PSI between two samples of one distribution is chi-square with bins - 1 degrees, times 1/N + 1/n."""
    n, m = bins.rows
    return chi_square_quantile(1.0 - alpha, bins.bins - 1) * (1.0 / n + 1.0 / m) if bins.bins > 1 else 0.0


def _kolmogorov_noise(bins: Aligned, alpha: float) -> float:
    n, m = bins.rows
    return kolmogorov_quantile(1.0 - alpha) * math.sqrt(1.0 / n + 1.0 / m)


@dataclass(frozen=True)
class Statistic:
    """``noise(bins, alpha)`` is exceeded by sampling alone with probability ``alpha``."""

    distance: Callable[[Aligned], float]
    noise: Callable[[Aligned, float], float]
    ordered: bool = False
    squared: bool = False
    """The value is the square of a length."""

    def length(self, value: float) -> float:
        return math.sqrt(max(0.0, value)) if self.squared else value

    def value(self, length: float) -> float:
        return length**2 if self.squared else length


STATISTICS: Mapping[str, Statistic] = {
    "psi": Statistic(psi, _chi_square_noise, squared=True),
    # Near each other, p and q have JS divergence (in nats) and squared Hellinger distance of PSI / 8.
    "js": Statistic(js, lambda bins, alpha: math.sqrt(_chi_square_noise(bins, alpha) / (8.0 * math.log(2.0)))),
    "hellinger": Statistic(hellinger, lambda bins, alpha: math.sqrt(_chi_square_noise(bins, alpha) / 8.0)),
    "ks": Statistic(ks, _kolmogorov_noise, ordered=True),
}
