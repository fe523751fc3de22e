"""Two summaries of a column on common bins, so that any statistic can compare them.

What lies where the reference has nothing, missing values among it, keeps bins of its own: pooled with a bin in which
the reference has rows it would not show. Which bins are pooled depends on the rows of both sides together, and never on
how they are spread over the two: else rare bins would be chosen by the very difference that they are then tested for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from framework.drift.summaries import rows_of, unnamed_of, values_of
from framework.ports import ColumnSummary
from framework.probability import binomial_quantile

EXPECTED = 5.0
"""Bins in which either side would be expected to have fewer rows than this, were both of one distribution, are sparse
(Cochran's rule): the usual null distributions do not hold for them."""

GROUPS = 10
"""Rare categories make at most about so many bins, as a number's values do."""

FREQUENT = 0.01
"""A category with at least this share is named in every profile, however many others there are."""

DOUBT = 1e-9
"""With so little a chance of an accident, even many thousands of categories have none."""

Pair = tuple[float, float]
"""Rows of the reference and of the window in one bin."""


@dataclass(frozen=True)
class Novel:
    """Of so many rare ``categories`` there are ``found`` in the window alone; by chance it would be ``expected``."""

    categories: int
    found: int
    expected: float


@dataclass(frozen=True)
class Aligned:
    """Rows per bin of the reference and of the window, in the same order. With ``novel`` the first bin holds the rows
    of categories that the reference does not have. ``blurred``: all values are in one bin, for want of their names."""

    reference: tuple[float, ...]
    window: tuple[float, ...]
    novel: Novel | None = None
    blurred: bool = False

    @property
    def fixed(self) -> list[Pair]:
        """Bins that hold anything at all, and whose rows do not come a category at a time."""
        pairs = list(zip(self.reference, self.window, strict=True))
        return [pair for pair in pairs[0 if self.novel is None else 1 :] if sum(pair)]

    @property
    def filled(self) -> int:
        """Bins that hold anything at all."""
        return sum(1 for a, b in zip(self.reference, self.window, strict=True) if a or b)

    @property
    def rows(self) -> Pair:
        return sum(self.reference), sum(self.window)

    def shares(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        n, m = self.rows
        return tuple(value / n for value in self.reference), tuple(value / m for value in self.window)


class NotComparableError(Exception):
    """The two summaries cannot be compared; the message says why."""


def enough(rows: Pair) -> float:
    """The rows of both sides together from which on a bin is not sparse."""
    return EXPECTED * sum(rows) / min(rows)


def align(reference: ColumnSummary, window: ColumnSummary, *, ordered: bool) -> Aligned:
    """Bring two summaries of a column to common bins; missing values are the last one.

    Sparse bins are pooled among each other, unless ``ordered``: a statistic on the order of values needs no pooling.

    Raises:
        NotComparableError: nothing to compare, bins that differ, or no order.
    """
    rows = rows_of(reference), rows_of(window)
    if min(rows) == 0:
        raise NotComparableError("no rows")
    missing = float(reference.nulls), float(window.nulls)
    if values_of(reference) == 0 and not reference.edges:
        # Nothing is known of where values lie; that there are any now is all the difference.
        return _aligned([(0.0, values_of(window)), missing])
    if reference.categories or window.categories:
        if ordered:
            raise NotComparableError("the values have no order; choose another statistic in drift.statistics")
        if unnamed_of(reference) or unnamed_of(window):
            frequent = _frequent(reference, window, rows)
            return _aligned([*frequent, missing], blurred=len(frequent) == 1)
        pairs, novel = _categories(_pairs(reference, window), rows)
        return _aligned([*pairs, missing], novel)
    if not reference.edges:
        raise NotComparableError("values of this type are not profiled")
    if reference.edges != window.edges:
        raise NotComparableError("the window has other bins than the reference")
    numbers = list(zip(reference.counts, window.counts, strict=True))
    return _aligned([*(numbers if ordered else _pool_sparse(numbers, enough(rows))), missing])


def _aligned(pairs: Sequence[Pair], novel: Novel | None = None, blurred: bool = False) -> Aligned:
    return Aligned(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), novel, blurred)


def _pool_sparse(pairs: Sequence[Pair], smallest: float) -> Iterator[Pair]:
    """Neighbours that are sparse are pooled until they are not; what is left of a run of them stays sparse."""
    run: Pair = (0.0, 0.0)
    for pair in pairs:
        if sum(pair) >= smallest:
            if sum(run):
                yield run
            yield pair
            run = (0.0, 0.0)
            continue
        run = run[0] + pair[0], run[1] + pair[1]
        if sum(run) >= smallest:
            yield run
            run = (0.0, 0.0)
    if sum(run):
        yield run


def _pairs(reference: ColumnSummary, window: ColumnSummary) -> list[Pair]:
    """Of every category that either side names, by name."""
    names = sorted({*reference.categories, *window.categories})
    return [(reference.categories.get(name, 0.0), window.categories.get(name, 0.0)) for name in names]


def _categories(pairs: Sequence[Pair], rows: Pair) -> tuple[list[Pair], Novel | None]:
    """Categories by themselves where they are not sparse. The rest: those that the reference does not have, and groups
    of the others by name."""
    smallest = enough(rows)
    own = [pair for pair in pairs if sum(pair) >= smallest]
    rare = [pair for pair in pairs if sum(pair) < smallest]
    size = max(smallest, sum(rows) / GROUPS)
    found = sum(1 for a, _ in rare if a == 0.0)
    if not found:
        return [*own, *_groups(rare, size)], None
    share = rows[1] / sum(rows)
    novel = Novel(len(rare), found, expected=sum(share ** sum(pair) for pair in rare))
    known = [(a if a > 1.0 else 0.0, b) for a, b in rare if a]
    return [_unseen(rare), *own, *_groups(known, size)], novel


def _frequent(reference: ColumnSummary, window: ColumnSummary, rows: Pair) -> list[Pair]:
    """Where not every category is named: those that are frequent by themselves, and all others in one bin.

    A category is frequent on both sides together, or in the window alone beyond all doubt: picked by less, its excess
    would be chance.
    """
    share = rows[1] / sum(rows)

    def frequent(pair: Pair) -> bool:
        if sum(pair) >= max(enough(rows), FREQUENT * sum(rows)):
            return True
        if pair[1] < FREQUENT * rows[1]:
            return False
        return pair[1] > binomial_quantile(round(sum(pair)), share, 1.0 - DOUBT)

    own = [pair for pair in _pairs(reference, window) if frequent(pair)]
    return [*own, (values_of(reference) - sum(a for a, _ in own), values_of(window) - sum(b for _, b in own))]


def _unseen(rare: Sequence[Pair]) -> Pair:
    """Rows whose category no other row of the reference has.

    Of the reference itself these are the categories that it has once: their share estimates what it would not have seen
    of as many rows more (Good, Biometrika 40, 1953). So a long tail, of which each window brings something new, is no
    drift by itself. The other bins then hold the rows whose category some other row of the reference has.
    """
    return float(sum(1 for a, _ in rare if a == 1.0)), sum(b for a, b in rare if a == 0.0)


def _groups(rare: Sequence[Pair], size: float) -> list[Pair]:
    """Neighbours together, until a group has at least ``size`` rows."""
    groups: list[Pair] = []
    group: Pair = (0.0, 0.0)
    for pair in rare:
        group = group[0] + pair[0], group[1] + pair[1]
        if sum(group) >= size:
            groups.append(group)
            group = (0.0, 0.0)
    if groups:
        return [*groups[:-1], _sum([groups[-1], group])]
    return [group]


def _sum(pairs: Sequence[Pair]) -> Pair:
    return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)
