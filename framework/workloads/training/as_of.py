"""The point-in-time join: what was known of an entity at a moment, and nothing later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import reduce
from operator import add, and_

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.missing import nan_as_null

MOMENT = pl.Datetime("us", "UTC")
_MICROSECOND = timedelta(microseconds=1)
_KNOWN, _ASKED, _ROW, _SPINE = "__known", "__asked", "__row", "__spine"
"""When a feature row was known, up to when one is asked for, and which row it is: of the features, of the spine."""

SLICE_ROWS = 2_000_000
"""Feature rows, about, whose keys and times are held at a time; the rest of them is read only where it is wanted."""
_CELLS = 8_000_000
"""Values of the features that are held at a time, of which those are taken that were found."""


def join_as_of(
    spine: pl.DataFrame,
    features: pl.DataFrame | pl.LazyFrame,
    *,
    by: Sequence[str],
    spine_time: str,
    feature_time: str,
    columns: Sequence[str],
    max_age: timedelta | None = None,
    delay: timedelta | None = None,
    slice_rows: int = SLICE_ROWS,
) -> pl.DataFrame:
    """For each spine row the newest feature row of the same entity that was available at its event time; every spine
    row stays, in its order, with nulls where there is none.

    Which rows are available at event time ``t``:

    - without ``delay``: those with ``time < t``. A row of the very same instant may describe what is to be predicted,
      so it does not count.
    - with ``delay``: those with ``time + delay <= t``. The author has said when a row becomes available, so a row that
      becomes available at ``t`` counts; ``delay: 0s`` therefore admits the same instant.
    - a Date stands for its whole day as a feature (it is available when the day is over) and for its first instant as
      an event time.

    Rows older than ``max_age`` (``t - time > max_age``) do not count, nor do those without a key or a time. Of several
    rows of one entity and instant, the one wins that is last when sorted by all columns of ``features`` in their order
    (what is missing sorts first), whatever ``columns`` are taken and in whatever order the rows come.

    ``features`` are read several times, each time in the same order: keys and times first, of about ``slice_rows`` rows
    at a time, then of each column what was found. So memory is that of the result, and of one slice or column.
    """
    # Strictly before t, in microseconds, is at most t - 1us: one rule for both cases.
    offset = _MICROSECOND if delay is None else delay
    table = features.lazy()
    asked = nan_as_null(spine.select(list(dict.fromkeys([*by, spine_time]))))
    asked = _timed(asked, spine_time, _ASKED, end_of_day=False).select(*by, pl.col(_ASKED) - offset)
    rows = table.select(pl.len()).collect().item()
    found = [
        _ordered(left, [_ASKED]).join_asof(
            right,
            left_on=_ASKED,
            right_on=_KNOWN,
            by=list(by),
            strategy="backward",
            tolerance=None if max_age is None else max(max_age - offset, timedelta(0)),
            check_sortedness=False,
            coalesce=False,
        )[[_SPINE, _ROW]]
        for left, right in _slices(asked, table, list(by), feature_time, -(-rows // slice_rows))
    ]
    which = _ordered(pl.concat(found), [_SPINE])[_ROW]
    width = max(1, _CELLS // max(1, rows))
    taken = [
        series
        for start in range(0, len(columns), width)
        for series in _taken(table, columns[start : start + width], which)
    ]
    return spine.hstack(taken)


def _slices(
    asked: pl.DataFrame, features: pl.LazyFrame, by: list[str], time: str, slices: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Both sides, cut by what the keys hash to, so that whatever belongs together is in one slice."""
    left, right = asked.with_row_index(_SPINE), features.with_row_index(_ROW)
    if slices <= 1:
        yield left, _known(right, by, time)
        return
    number = reduce(add, (pl.col(key).hash(place) for place, key in enumerate(by))) % slices
    for chosen in range(slices):
        yield left.filter(number == chosen), _known(right.filter(number == chosen), by, time)


def _known(features: pl.LazyFrame, by: list[str], time: str) -> pl.DataFrame:
    """One row per entity and instant, in the order of instants, and which row of the features that is. Most views have
    no other rows, so that is looked at first, with nothing but keys and times; only where rows tie are all columns
    read."""
    keys = [_KNOWN, *by]
    taken = nan_as_null(features.select(list(dict.fromkeys([*by, time, _ROW])))).collect()
    rows = _ordered(_timed(taken, time, _KNOWN, end_of_day=True).select(*keys, _ROW).drop_nulls(keys), keys)
    again = rows.select(_same(keys)).to_series()
    if not again.any():
        return rows
    tied = again | again.shift(-1, fill_value=False)
    where = rows.filter(tied).select(_ROW).lazy()
    of_ties = nan_as_null(features.join(where, on=_ROW, how="semi")).collect()
    order = [name for name in of_ties.columns if name != _ROW]
    winners = of_ties.sort(order, nulls_last=False).unique([*by, time], keep="last", maintain_order=True)
    return rows.filter(~tied | pl.col(_ROW).is_in(winners[_ROW].implode()))


def _taken(features: pl.LazyFrame, columns: Sequence[str], which: pl.Series) -> list[pl.Series]:
    return nan_as_null(features.select(columns).collect().select(pl.all().gather(which))).get_columns()


def _timed(frame: pl.DataFrame, column: str, name: str, *, end_of_day: bool) -> pl.DataFrame:
    dtype = frame.schema[column]
    if dtype == pl.Date:
        shift = timedelta(days=1) - _MICROSECOND if end_of_day else timedelta(0)
        value = pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + shift
    elif isinstance(dtype, pl.Datetime):
        value = pl.col(column).cast(MOMENT)
    else:
        raise WorkloadError("WrongType", f"the event time {column} is {dtype}; it must be Datetime or Date")
    return frame.with_columns(value.alias(name))


def in_canonical_order(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Sorted by ``keys`` and, where rows have the same, by all other columns in their order; in one chunk."""
    ordered = _ordered(rows, keys)
    if ordered.select(_same(keys).any()).item():
        ordered = rows.sort([*keys, *(name for name in rows.columns if name not in keys)])
    return ordered.rechunk()


def _ordered(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Sorted by ``keys``. Published tables are already, and to find that costs a fraction of sorting them."""
    descends = pl.any_horizontal(pl.col(keys).is_null())
    for place, key in enumerate(keys):
        descends = descends | (_same(keys[:place]) & (pl.col(key) < pl.col(key).shift()))
    return rows.sort(keys) if rows.select(descends.any()).item() else rows


def _same(keys: Sequence[str]) -> pl.Expr:
    """Whether a row has the keys of the row before it."""
    return reduce(and_, (pl.col(key).eq_missing(pl.col(key).shift()) for key in keys), pl.lit(True))
