"""In what the rows of two versions of a view differ: by key, and in how the values of each column are distributed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from framework.drift.bins import NotComparableError, align
from framework.drift.statistics import STATISTICS
from framework.figures import ColumnFigures, ColumnMoved, RowsMoved, TableMoved
from framework.ports import ColumnSummary
from framework.workloads.features.figures import figures_of
from framework.workloads.missing import nan_as_null

_EXAMPLES = 5
_BINS = 10
_CATEGORIES = 5_000
"""That are counted of a column, the most frequent ones."""
_ALPHA = 0.01
_N, _H = "rows", "hash"
"""Of a key. Keys go by numbers meanwhile, so that their names cannot be in the way."""


def compared(before: pl.LazyFrame, after: pl.LazyFrame, keys: Sequence[str]) -> TableMoved:
    """``keys`` name a row in both. Neither table is held as a whole: of rows the keys and a hash of 64 bits are, of
    columns their quantiles and categories.

    Raises:
        PolarsError: one of them cannot be read.
    """
    one, other = nan_as_null(before), nan_as_null(after)
    old, new = one.collect_schema(), other.collect_schema()
    columns = _columns(one, other, [name for name in dict.fromkeys((*old, *new)) if name not in keys])
    unfit = [name for name in keys if old.get(name) != new.get(name)]
    if unfit:
        told = f"rows are not matched: {', '.join(unfit)} is not in both of the same dtype"
        return TableMoved(columns, None, told)
    same = [name for name in new if name not in keys and old.get(name) == new[name]]
    return TableMoved(columns, _rows(one, other, keys, same))


# ------------------------------------------------------------------- rows


def _rows(before: pl.LazyFrame, after: pl.LazyFrame, keys: Sequence[str], values: Sequence[str]) -> RowsMoved:
    names = [f"k{at}" for at in range(len(keys))]
    sides = [_hashed(rows, keys, values) for rows in (before, after)]
    joined = sides[0].join(sides[1], on=names, how="full", coalesce=True, suffix=" after")
    one, other = pl.col(_N), pl.col(f"{_N} after")
    there = one.is_not_null() & other.is_not_null()
    equal = (one == other) & (pl.col(_H) == pl.col(f"{_H} after"))
    is_of = {"added": one.is_null(), "removed": other.is_null(), "changed": there & ~equal}
    first = {word: _first(holds, names).alias(f"{word} keys") for word, holds in is_of.items()}
    counts = {word: holds.sum().alias(word) for word, holds in is_of.items()}
    asked = [*counts.values(), (there & equal).sum().alias("same"), *first.values()]
    (found,) = joined.select(asked).collect(engine="streaming").to_dicts()
    examples: dict[str, tuple[Mapping[str, Any], ...]] = {
        word: tuple({key: one[name] for key, name in zip(keys, names, strict=True)} for one in found[f"{word} keys"])
        for word in is_of
    }
    examples["changed"] = _with_values(before, after, keys, values, examples["changed"])
    return RowsMoved(
        tuple(keys), found["added"], found["removed"], found["changed"], found["same"],
        {word: few for word, few in examples.items() if few},
    )  # fmt: skip


def _hashed(rows: pl.LazyFrame, keys: Sequence[str], values: Sequence[str]) -> pl.LazyFrame:
    """Of each key how many rows it has, and a hash of their values that does not depend on their order."""
    hashed = pl.struct(values).hash() if values else pl.lit(0, pl.UInt64)
    named = [pl.col(key).alias(f"k{at}") for at, key in enumerate(keys)]
    return rows.select(*named, hashed.alias(_H)).group_by([f"k{at}" for at in range(len(keys))]).agg(
        pl.len().alias(_N), pl.col(_H).sum()
    )  # fmt: skip


def _first(holds: pl.Expr, names: Sequence[str]) -> pl.Expr:
    """The first few keys of which ``holds`` does, in their order."""
    return pl.struct(names).filter(holds).sort().head(_EXAMPLES).implode()


def _with_values(
    before: pl.LazyFrame,
    after: pl.LazyFrame,
    keys: Sequence[str],
    values: Sequence[str],
    found: Sequence[Mapping[str, Any]],
) -> tuple[Mapping[str, Any], ...]:
    """With the values before and after of the columns that differ, where a key has one row."""
    if not found:
        return ()
    schema = before.select(keys).collect_schema()
    asked = pl.LazyFrame(list(found), schema=schema)
    sides = []
    for rows in (before, after):
        few = rows.select(*keys, *values).join(asked, on=list(keys), how="semi").collect(engine="streaming")
        sides.append(few.rows_by_key(list(keys), named=True))
    told: list[Mapping[str, Any]] = []
    for one in found:
        place = tuple(one.values()) if len(keys) > 1 else next(iter(one.values()))
        old, new = (side.get(place, []) for side in sides)
        moved = {}
        if len(old) == len(new) == 1:
            differ = [name for name in values if old[0][name] != new[0][name]]
            moved = {name: {"before": old[0][name], "after": new[0][name]} for name in differ}
        else:
            moved = {"rows": {"before": len(old), "after": len(new)}}
        told.append({"key": one, "moved": moved})
    return tuple(told)


# ------------------------------------------------------------------- columns


def _columns(before: pl.LazyFrame, after: pl.LazyFrame, names: Sequence[str]) -> tuple[ColumnMoved, ...]:
    schemas = before.collect_schema(), after.collect_schema()
    sides = [
        {one.name: one for one in figures_of(rows.select(name for name in names if name in schema))}
        if any(name in schema for name in names)
        else {}
        for rows, schema in zip((before, after), schemas, strict=True)
    ]
    both = [name for name in names if all(name in side for side in sides)]
    alike = [name for name in both if schemas[0][name] == schemas[1][name]]
    summed = _summaries(before, after, alike, {name: sides[0][name] for name in alike})
    return tuple(_moved(name, sides[0].get(name), sides[1].get(name), summed.get(name)) for name in names)


def _moved(
    name: str,
    before: ColumnFigures | None,
    after: ColumnFigures | None,
    summed: tuple[ColumnSummary, ColumnSummary] | None,
) -> ColumnMoved:
    if summed is None:
        return ColumnMoved(name, before, after)
    try:
        bins = align(*summed, ordered=False)
    except NotComparableError:
        return ColumnMoved(name, before, after)
    psi = STATISTICS["psi"]
    old, new = (side.categories for side in summed)
    appeared = [item for item in sorted(new, key=lambda item: (-new[item], item)) if item not in old]
    vanished = [item for item in sorted(old, key=lambda item: (-old[item], item)) if item not in new]
    full = max(len(old), len(new)) >= _CATEGORIES  # a category may only be too rare to be among them
    return ColumnMoved(
        name, before, after, psi.distance(bins), psi.noise(bins, _ALPHA),
        () if full else tuple(appeared[:_EXAMPLES]), () if full else tuple(vanished[:_EXAMPLES]),
    )  # fmt: skip


def _summaries(
    before: pl.LazyFrame, after: pl.LazyFrame, names: Sequence[str], figures: Mapping[str, ColumnFigures]
) -> dict[str, tuple[ColumnSummary, ColumnSummary]]:
    """Numbers on bins at the deciles of what was before, texts by category. Other columns are left out."""
    schema = before.collect_schema()
    texts = [name for name in names if schema[name] == pl.String]
    numbers = [name for name in names if figures[name].quantiles]
    edges = _edges(before, numbers)
    found = [{**_categories(rows, texts), **_counted(rows, edges)} for rows in (before, after)]
    return {name: (found[0][name], found[1][name]) for name in (*texts, *numbers)}


def _value(name: str) -> pl.Expr:
    return pl.col(name).to_physical().cast(pl.Float64)


def _edges(rows: pl.LazyFrame, names: Sequence[str]) -> dict[str, list[float]]:
    """Distinct deciles, below and above of which there is a bin of its own."""
    if not names:
        return {}
    asked = [
        _value(name).quantile(step / _BINS, "nearest").alias(f"{at} {step}")
        for at, name in enumerate(names)
        for step in range(_BINS + 1)
    ]
    (found,) = rows.select(asked).collect(engine="streaming").to_dicts()
    edges = {}
    for at, name in enumerate(names):
        deciles = [found[f"{at} {step}"] for step in range(_BINS + 1)]
        inner = {math.nextafter(deciles[0], -math.inf), *deciles[1:]}
        edges[name] = sorted(value for value in inner if math.isfinite(value)) or [0.0]
    return edges


def _counted(rows: pl.LazyFrame, edges: Mapping[str, Sequence[float]]) -> dict[str, ColumnSummary]:
    """How many values lie in (-inf, edges[0]], ... (edges[-1], inf)."""
    if not edges:
        return {}
    asked = [pl.len().alias("rows")]
    for at, (name, inner) in enumerate(edges.items()):
        asked.append(pl.col(name).null_count().alias(f"{at} nulls"))
        asked += [(_value(name) <= edge).sum().alias(f"{at} {place}") for place, edge in enumerate(inner)]
    (found,) = rows.select(asked).collect(engine="streaming").to_dicts()
    summaries = {}
    for at, (name, inner) in enumerate(edges.items()):
        nulls = found[f"{at} nulls"]
        below = [0, *(found[f"{at} {place}"] for place in range(len(inner))), found["rows"] - nulls]
        counts = tuple(float(high - low) for low, high in pairwise(below))
        summaries[name] = ColumnSummary(name, found["rows"], nulls, (-math.inf, *inner, math.inf), counts)
    return summaries


def _categories(rows: pl.LazyFrame, names: Sequence[str]) -> dict[str, ColumnSummary]:
    found = {}
    for name in names:
        column = pl.col(name).alias("value")
        counted = rows.select(column).group_by("value").agg(pl.len().alias("count")).collect(engine="streaming")
        known = counted.filter(pl.col("value").is_not_null())
        top = known.sort(["count", "value"], descending=[True, False]).head(_CATEGORIES)
        items = {value: float(count) for value, count in top.iter_rows()}
        total = int(counted["count"].sum() or 0)
        found[name] = ColumnSummary(name, total, total - int(known["count"].sum() or 0), categories=items)
    return found
