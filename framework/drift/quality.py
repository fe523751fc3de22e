"""Whether the values that arrive can be used: missing ones, and categories that training never saw. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from framework.api.meta import Stored
from framework.drift.bins import rows_of
from framework.ports import ColumnSummary, Reference
from framework.probability import proportion_lower

CONFIDENCE_ALPHA = 0.001
"""A share counts as above its bound once its exact lower limit at this level is: a few odd rows are no finding."""


class QualityFinding(Stored):
    """One column beyond its bound: ``count`` of ``rows``, which is ``value``, at least ``low``, against ``bound``."""

    column: str
    check: str
    value: float
    low: float
    bound: float
    count: int
    rows: int
    message: str


def judge_quality(
    reference: Reference | None,
    window: Mapping[str, ColumnSummary],
    *,
    max_null_rate: float | None,
    unseen_categories: float | None,
    min_rows: int,
) -> tuple[QualityFinding, ...]:
    """Columns beyond the bounds, worst first. Columns with fewer than ``min_rows`` rows are not judged."""
    found: list[QualityFinding] = []
    for name, column in sorted(window.items()):
        if rows_of(column) < min_rows:
            continue
        if max_null_rate is not None:
            found += _beyond(name, "null rate", column.nulls, rows_of(column), max_null_rate)
        known = reference.whole.get(name) if reference is not None else None
        if unseen_categories is not None and known is not None and known.categories:
            unseen = sum(count for item, count in column.categories.items() if item not in known.categories)
            found += _beyond(name, "unseen categories", unseen, sum(column.categories.values()), unseen_categories)
    return tuple(sorted(found, key=lambda item: (item.bound - item.value, item.column, item.check)))


def _beyond(column: str, check: str, count: float, rows: float, bound: float) -> Iterator[QualityFinding]:
    k, n = round(count), round(rows)
    low = proportion_lower(k, n, CONFIDENCE_ALPHA)
    if n and low > bound:
        message = f"{check} of {column} {k / n:.1%} of {n:,} rows; at most {bound:.1%} allowed"
        yield QualityFinding(
            column=column, check=check, value=k / n, low=low, bound=bound, count=k, rows=n, message=message
        )
