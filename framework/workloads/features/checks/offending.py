"""Which rows break a check: a few of them, by their keys and the values that say how."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from framework.ports import Json
from framework.workloads.features.checks.measure import CheckVerdict, Measurement

ROWS = 5
"""So many are named."""
_LOOKED_AT = 1_000
"""The first so many are looked at, for those that break it in different ways."""
_SHOWN, _KEPT = 60, 1_000
"""Characters of a text that are shown, and that are kept."""


@dataclass(frozen=True)
class OffendingRow:
    """``values`` are plain, by column: its keys, then what says how it breaks the check. ``told`` is that in words."""

    values: dict[str, Json]
    told: str


def named(
    rows: pl.LazyFrame, keys: tuple[str, ...], measures: Sequence[Measurement], judged: Sequence[CheckVerdict]
) -> list[tuple[OffendingRow, ...]]:
    """A few rows for each measure that is not met, in the order of ``rows``; none for any other."""
    queries = {
        index: measure.broken(rows).select(list(dict.fromkeys([*keys, *measure.shown]))).head(_LOOKED_AT)
        for index, (measure, judgement) in enumerate(zip(measures, judged, strict=True))
        if measure.broken is not None and not judgement.passed
    }
    found = dict(zip(queries, pl.collect_all(queries.values(), engine="streaming"), strict=True))
    return [
        tuple(_row(row, keys) for row in _different(found[index].to_dicts(), measure.shown)) if index in found else ()
        for index, measure in enumerate(measures)
    ]


def _different(rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Those first whose values nobody before them has."""
    seen: set[tuple[Any, ...]] = set()
    first: list[int] = []
    again: list[int] = []
    for number, row in enumerate(rows):
        values = tuple(row[name] for name in shown)
        (again if values in seen else first).append(number)
        seen.add(values)
    yield from (rows[number] for number in sorted([*first, *again][:ROWS]))


def _row(row: Mapping[str, Any], keys: Sequence[str]) -> OffendingRow:
    told = [f"{name} {_shown(value)}" for name, value in row.items()]
    key, values = ", ".join(told[: len(keys)]), ", ".join(told[len(keys) :])
    return OffendingRow(
        {name: _plain(value) for name, value in row.items()}, f"({key} has {values})" if values else f"({key})"
    )


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(_cut(value, _SHOWN))
    return "null" if value is None else str(_plain(value))


def _plain(value: Any) -> Json:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no infinity
    return value if isinstance(value, int | float | None) else _cut(str(value), _KEPT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}[...]"
