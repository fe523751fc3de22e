"""Whether the values that arrive can be used: missing ones, and categories that training never saw. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from framework.api.meta import Stored
from framework.drift.summaries import rows_of, unnamed_of, values_of
from framework.ports import ITEM_CHARACTERS, ColumnSummary, ReferenceProfile
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
    reference: ReferenceProfile | None,
    window: Mapping[str, ColumnSummary],
    *,
    max_null_rate: float | None,
    unseen_categories: float | None,
    min_rows: int,
    trained: Mapping[str, Collection[str]] | None = None,
) -> tuple[QualityFinding, ...]:
    """Columns beyond the bounds, worst first. Columns with fewer than ``min_rows`` rows are not judged.

    ``trained``: every category that a column had in training. Where it does not say, the reference's profile does,
    unless that had too many to name.
    """
    found: list[QualityFinding] = []
    for name, column in sorted(window.items()):
        if rows_of(column) < min_rows:
            continue
        if max_null_rate is not None:
            found += _beyond(name, "null rate", column.nulls, rows_of(column), max_null_rate)
        known = _known(name, reference, trained)
        if unseen_categories is not None and known is not None:
            found += _beyond(name, "unseen categories", _unseen(column, known), values_of(column), unseen_categories)
    return tuple(sorted(found, key=lambda item: (item.bound - item.value, item.column, item.check)))


def not_judged(
    reference: ReferenceProfile | None,
    window: Mapping[str, ColumnSummary],
    *,
    unseen_categories: float,
    min_rows: int,
    trained: Mapping[str, Collection[str]] | None = None,
) -> tuple[str, ...]:
    """One sentence for each column whose share of unseen categories might be beyond the bound, and nobody can tell."""
    told: list[str] = []
    for name, column in sorted(window.items()):
        if rows_of(column) < min_rows or not column.categories:
            continue
        known = _known(name, reference, trained)
        if known is None:
            told.append(f"{name}: which categories training had is not known")
            continue
        allowed, unseen, unnamed = unseen_categories * values_of(column), _unseen(column, known), unnamed_of(column)
        if unseen <= allowed < unseen + unnamed:
            share = unnamed / values_of(column)
            told.append(f"{name}: {share:.1%} of its values are of categories too many to be named")
    return tuple(told)


def _known(
    name: str, reference: ReferenceProfile | None, trained: Mapping[str, Collection[str]] | None
) -> Collection[str] | None:
    """None where they are not known, as they are of numbers. A column that was always missing had none."""
    if trained is not None and name in trained:
        return {item[:ITEM_CHARACTERS] for item in trained[name]}
    profiled = reference.whole.get(name) if reference is not None else None
    return None if profiled is None or unnamed_of(profiled) else profiled.categories


def _unseen(column: ColumnSummary, known: Collection[str]) -> float:
    return sum(count for item, count in column.categories.items() if item not in known)


def _beyond(column: str, check: str, count: float, rows: float, bound: float) -> Iterator[QualityFinding]:
    k, n = round(count), round(rows)
    low = proportion_lower(k, n, CONFIDENCE_ALPHA)
    if n and low > bound:
        message = f"{check} of {column} {k / n:.1%} of {n:,} rows; at most {bound:.1%} allowed"
        yield QualityFinding(
            column=column, check=check, value=k / n, low=low, bound=bound, count=k, rows=n, message=message
        )
