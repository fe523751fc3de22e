"""Figures of columns: from rows, in one pass of the engine, and from whylogs profiles, without any row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import polars as pl

from framework.figures import QUANTILES, ColumnFigures
from framework.sketches import load_whylogs
from framework.workloads.missing import nan_as_null

_ITEMS = 5
"""Frequent values that are told of a column."""
_BINS = 20
"""Of a histogram."""
_ONE = pl.element()
_BY = _ONE.struct.field("count"), _ONE.struct.field("value")
"""The engine has no order among those that are equally frequent."""
_MOST_FREQUENT = _ONE.sort_by(*_BY, descending=[True, False]).head(_ITEMS)
_RANKS = [f"{q:g}" for q in QUANTILES]


def figures_of(rows: pl.LazyFrame) -> tuple[ColumnFigures, ...]:
    """Of each column of ``rows``, in their order. One pass, which holds a column as a whole where it has quantiles.

    Raises:
        PolarsError: the rows cannot be computed.
    """
    schema = rows.collect_schema()
    (found,) = nan_as_null(rows).select(_aggregates(schema)).collect(engine="streaming").to_dicts()
    return _taken(schema, found)


_VALUE = "\0"
"""No column of a table has that name."""


def figures_in(profile: bytes, columns: Sequence[tuple[str, str]]) -> tuple[ColumnFigures, ...]:
    """Of each of ``columns`` (name, dtype) that a whylogs profile has, with its histogram. ``distinct`` is an estimate,
    and quantiles are within 0.3 % of rank.

    Raises:
        ValueError: it is no profile, or a damaged one.
    """
    load_whylogs()
    from whylogs.core.view.dataset_profile_view import DatasetProfileView

    try:
        found = DatasetProfileView.deserialize(profile).get_columns()
        return tuple(_of_profile(name, dtype, found[name]) for name, dtype in columns if name in found)
    except Exception as error:  # protobuf and the sketches raise whatever they like
        raise ValueError(f"no whylogs profile, or a damaged one: {error}") from error


# ------------------------------------------------------------------- of rows


def _aggregates(schema: pl.Schema) -> list[pl.Expr]:
    """By the number of the column, so that no name of a column can be in the way."""
    return [pl.len().alias("rows"), *(one for at, name in enumerate(schema) for one in _of(at, name, schema[name]))]


def _of(at: int, name: str, dtype: pl.DataType) -> Iterator[pl.Expr]:
    column = pl.col(name)
    yield column.null_count().alias(f"{at} nulls")
    if dtype.is_nested() or dtype in (pl.Object, pl.Null, pl.Binary):
        return
    known = column.drop_nulls()
    yield known.n_unique().alias(f"{at} distinct")
    values = _numbers(known, dtype)
    if values is not None:
        yield values.mean().alias(f"{at} mean")
        yield values.std().alias(f"{at} deviation")
        for rank, q in zip(_RANKS, QUANTILES, strict=True):
            yield values.quantile(q, "linear").alias(f"{at} q{rank}")
    if _named(dtype):
        counted = known.cast(pl.String).value_counts(name=_VALUE).struct.rename_fields(["value", "count"])
        yield counted.implode().list.eval(_MOST_FREQUENT).alias(f"{at} items")


def _numbers(column: pl.Expr, dtype: pl.DataType) -> pl.Expr | None:
    """Numbers that stand for the values; None for values that have none."""
    if dtype.is_numeric() or dtype == pl.Boolean:
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Datetime | pl.Date):
        return column.cast(pl.Datetime("us")).to_physical().cast(pl.Float64) / 1e6
    return None


def _named(dtype: pl.DataType) -> bool:
    return dtype in (pl.String, pl.Boolean) or isinstance(dtype, pl.Categorical | pl.Enum)


def _taken(schema: pl.Schema, found: Mapping[str, Any]) -> tuple[ColumnFigures, ...]:
    return tuple(
        ColumnFigures(
            name,
            _word(dtype),
            found["rows"],
            found[f"{at} nulls"],
            found.get(f"{at} distinct"),
            _finite(found.get(f"{at} mean")),
            _finite(found.get(f"{at} deviation")),
            _ranked({rank: found.get(f"{at} q{rank}") for rank in _RANKS}),
            tuple((one["value"], one["count"]) for one in _items(found.get(f"{at} items"))),
        )
        for at, (name, dtype) in enumerate(schema.items())
    )


def _items(found: Any) -> list[dict[str, Any]]:
    """A list, that the engine may have put into another one."""
    return found[0] if found and isinstance(found[0], list) else found or []


def _ranked(found: Mapping[str, float | None]) -> dict[str, float]:
    """Those that there are: between an infinite value and another one there is none."""
    return {rank: value for rank, value in found.items() if value is not None and not math.isnan(value)}


def _word(dtype: pl.DataType) -> str:
    """As a spec has it, where it can."""
    return "Datetime" if isinstance(dtype, pl.Datetime) else str(dtype)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


# ------------------------------------------------------------------- of profiles


def _of_profile(name: str, dtype: str, column: Any) -> ColumnFigures:
    counts, known = column.get_metric("counts"), column.get_metric("distribution")
    sketch = known.kll.value if known is not None and not known.kll.value.is_empty() else None
    cardinality, frequent = column.get_metric("cardinality"), column.get_metric("frequent_items")
    named = dtype in {"String", "Boolean"} and frequent is not None
    edges, bars = _histogram(sketch) if sketch is not None else ((), ())
    return ColumnFigures(
        name,
        dtype,
        int(counts.n.value),
        int(counts.null.value),
        None if cardinality is None else round(cardinality.estimate),
        _finite(float(known.mean.value)) if sketch is not None else None,
        _finite(float(known.stddev)) if sketch is not None else None,
        _ranks(sketch) if sketch is not None else {},
        _frequent(frequent.strings or ()) if named else (),
        edges,
        bars,
    )


def _frequent(found: Sequence[Any]) -> tuple[tuple[str, int], ...]:
    """In one order, whatever that of the sketch is; true and false as Polars writes them."""
    words = {"True": "true", "False": "false"}
    counted = [(words.get(item.value, item.value), int(item.est)) for item in found]
    return tuple(sorted(counted, key=lambda item: (-item[1], item[0]))[:_ITEMS])


def _ranks(sketch: Any) -> dict[str, float]:
    values = sketch.get_quantiles(list(QUANTILES))
    ends = {_RANKS[0]: sketch.get_min_value(), _RANKS[-1]: sketch.get_max_value()}
    return {rank: float(ends.get(rank, value)) for rank, value in zip(_RANKS, values, strict=True)}


def _histogram(sketch: Any) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Bins of equal width between the least and the greatest value; none where one of them is infinite."""
    low, high, n = float(sketch.get_min_value()), float(sketch.get_max_value()), int(sketch.get_n())
    step = (high - low) / _BINS
    if not math.isfinite(low) or not math.isfinite(high) or not math.isfinite(step):
        return (), ()
    inner = [low + step * place for place in range(1, _BINS)]
    if not low < inner[0] < inner[-1] < high:  # one value, or two that no float lies between
        return (low, high if high > low else math.nextafter(low, math.inf)), (n,)
    below = [0.0, *(share * n for share in sketch.get_cdf(inner, True))]
    return (low, *inner, high), tuple(round(after - before) for before, after in pairwise(below))
