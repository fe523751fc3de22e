"""Column summaries as a profile would give them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from framework.ports import ColumnSummary, ReferenceProfile

EDGES = (-math.inf, 1.0, 2.0, 3.0, 4.0, math.inf)


def numeric(shape: Iterable[float], *, nulls: int = 0, name: str = "temp") -> ColumnSummary:
    counts = tuple(float(count) for count in shape)
    edges = EDGES if len(counts) == 5 else (-math.inf, *map(float, range(1, len(counts))), math.inf)
    return ColumnSummary(name, round(sum(counts)) + nulls, nulls, edges, counts)


def categorical(name: str = "carrier", *, nulls: int = 0, **counts: float) -> ColumnSummary:
    return ColumnSummary(name, round(sum(counts.values())) + nulls, nulls, categories=counts)


def reference(*columns: ColumnSummary, periods: Sequence[Sequence[ColumnSummary]] = ()) -> ReferenceProfile:
    return ReferenceProfile(
        {column.name: column for column in columns},
        tuple({column.name: column for column in period} for period in periods),
    )
