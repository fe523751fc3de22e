"""The point-in-time join: what was known of an entity at a moment, and nothing later."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import reduce
from operator import and_

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.missing import nan_as_null

MOMENT = pl.Datetime("us", "UTC")
_MICROSECOND = timedelta(microseconds=1)
_KNOWN, _ASKED, _ROW = "__known", "__asked", "__row"
"""When a feature row was known, up to when one is asked for, and where in the spine that was."""


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
    """
    # Strictly before t, in microseconds, is at most t - 1us: one rule for both cases.
    offset = _MICROSECOND if delay is None else delay
    left = _timed(nan_as_null(spine).with_row_index(_ROW), spine_time, _ASKED, end_of_day=False)
    left = _ordered(left.with_columns(pl.col(_ASKED) - offset), [_ASKED])
    joined = left.join_asof(
        _known(nan_as_null(features.lazy()), list(by), feature_time, columns),
        left_on=_ASKED,
        right_on=_KNOWN,
        by=list(by),
        strategy="backward",
        tolerance=None if max_age is None else max(max_age - offset, timedelta(0)),
        check_sortedness=False,
        coalesce=False,
    )
    return _ordered(joined, [_ROW]).select([*spine.columns, *columns])


def _known(features: pl.LazyFrame, by: list[str], time: str, columns: Sequence[str]) -> pl.DataFrame:
    """One row per entity and instant, in the order of instants. Most views have no other rows, so that is looked at
    first, with nothing but the columns that are taken; only where rows tie are all columns read."""
    keys = [_KNOWN, *by]
    taken = features.select(list(dict.fromkeys([*by, time, *columns]))).collect()
    rows = _ordered(_timed(taken, time, _KNOWN, end_of_day=True).drop_nulls(keys), keys)
    again = rows.select(_same(keys)).to_series()
    if not again.any():
        return rows.select([*keys, *columns])
    tied = again | again.shift(-1, fill_value=False)
    where = rows.filter(tied).select([*by, time]).unique().lazy()
    of_ties = features.join(where, on=[*by, time], how="semi").collect()
    winners = of_ties.sort(of_ties.columns, nulls_last=False).unique([*by, time], keep="last", maintain_order=True)
    settled = _timed(winners, time, _KNOWN, end_of_day=True).select([*keys, *columns])
    return pl.concat([rows.filter(~tied).select([*keys, *columns]), settled]).sort(keys)


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


def _ordered(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Sorted by ``keys``. Published tables are already, and to find that costs a fraction of sorting them."""
    descends = pl.any_horizontal(pl.col(keys).is_null())
    for place, key in enumerate(keys):
        descends = descends | (_same(keys[:place]) & (pl.col(key) < pl.col(key).shift()))
    return rows.sort(keys) if rows.select(descends.any()).item() else rows


def _same(keys: Sequence[str]) -> pl.Expr:
    """Whether a row has the keys of the row before it."""
    return reduce(and_, (pl.col(key) == pl.col(key).shift() for key in keys), pl.lit(True)).fill_null(False)
