"""Summaries of a column: how many rows, several added up, and one taken out of the sum again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from framework.ports import ColumnSummary

DECILES = tuple(step / 10 for step in range(1, 10))
"""Ranks at which a numeric column is cut into bins, for which the usual PSI thresholds (0.1, 0.2) are meant."""

_LARGEST = math.nextafter(math.inf, 0.0)


def decile_edges(minimum: float, maximum: float, deciles: Sequence[float]) -> tuple[float, ...]:
    """Bin edges, -inf and +inf outermost: distinct deciles, so a value that often repeats closes a bin of its own, and
    the first and last bin for what lies outside of anything that the reference has.

    A column that is one value gets three bins: below, that value, above.
    """
    inner = {math.nextafter(minimum, -math.inf), *deciles, maximum}
    # Infinite values lie beyond the largest finite number, and that is an edge as any other.
    return (-math.inf, *sorted({min(max(value, -_LARGEST), _LARGEST) for value in inner}), math.inf)


def rows_of(column: ColumnSummary) -> float:
    """Rows seen, missing values included."""
    return float(column.count)


def values_of(column: ColumnSummary) -> float:
    """Rows that are not missing."""
    return float(column.count - column.nulls)


def unnamed_of(column: ColumnSummary) -> float:
    """Rows of categories that the summary does not name."""
    return max(0.0, values_of(column) - sum(column.categories.values()))


def outside_of(reference: ColumnSummary, column: ColumnSummary) -> float:
    """Rows of ``column`` with values where the reference has none, as far as both name them."""
    if column.categories:
        known = reference.categories
        new = sum(count for item, count in column.categories.items() if item not in known)
        return 0.0 if unnamed_of(reference) else new
    if reference.edges != column.edges:
        return 0.0
    return sum(b for a, b in zip(reference.counts, column.counts, strict=True) if not a)


def total(parts: Sequence[ColumnSummary]) -> ColumnSummary:
    """The rows of all parts together. Counts are whole numbers below 2**53, so float sums are exact and the order of
    the parts cannot show.

    Raises:
        ValueError: no parts, or parts on different bins.
    """
    if len({part.edges for part in parts}) != 1:
        raise ValueError(f"the bins of {parts[0].name} differ" if parts else "nothing to add up")
    categories: Counter[str] = Counter()
    for part in parts:
        for item, count in part.categories.items():
            categories[item] += count  # type: ignore[assignment]  # Counter is typed for ints; these are whole floats
    return ColumnSummary(
        parts[0].name,
        count=sum(part.count for part in parts),
        nulls=sum(part.nulls for part in parts),
        edges=parts[0].edges,
        counts=tuple(sum(column) for column in zip(*(part.counts for part in parts), strict=True)),
        categories={item: float(categories[item]) for item in sorted(categories)},
    )


def without(whole: ColumnSummary, part: ColumnSummary) -> ColumnSummary:
    """The rows of a ``total`` that are not in one of its parts."""
    categories = {name: count - part.categories.get(name, 0.0) for name, count in whole.categories.items()}
    return ColumnSummary(
        whole.name,
        count=whole.count - part.count,
        nulls=whole.nulls - part.nulls,
        edges=whole.edges,
        counts=tuple(a - b for a, b in zip(whole.counts, part.counts, strict=True)),
        categories={name: count for name, count in categories.items() if count},
    )
