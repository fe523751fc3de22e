"""Two summaries of a column on common bins, so that any statistic can compare them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from framework.ports import ColumnSummary

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
