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
KNOWN, _ASKED, ROW, _SPINE = "__known", "__asked", "__row", "__spine"
"""When a feature row was known, up to when one is asked for, and which row it is: of the features, of the spine."""
AT, _SINCE, _RANK = "__at", "__since", "__rank"
"""When a feature row happened, when it was written down, and its place among those of its entity."""

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
    keys: Sequence[str] | None = None,
    prefix: str = "",
    max_age: timedelta | None = None,
    delay: timedelta | None = None,
    available: str | None = None,
    slice_rows: int = SLICE_ROWS,
) -> pl.DataFrame:
    """For each spine row the newest feature row of the same entity that was available at its event time; every spine
    row stays, in its order, with nulls where there is none.

    Which rows are available at event time ``t``:

    - without ``delay``: those with ``time < t``. A row of the very same instant may describe what is to be predicted,
      so it does not count.
    - with ``delay``: those with ``time + delay <= t``. The author has said when a row becomes available, so a row that
      becomes available at ``t`` counts; ``delay: 0s`` therefore admits the same instant.
    - with ``available``, the column of when a row was written down: those with ``available <= t`` and ``time <= t``. Of
      those the newest by event time counts, and of several notes of one instant the one that was written last.
    - a Date stands for its whole day as a feature (it is available when the day is over) and for its first instant as
      an event time.

    ``by`` are the keys as the features call them, ``keys`` as the spine does where that is otherwise; ``prefix`` goes
    before the names of ``columns``. Rows older than ``max_age`` (``t - time > max_age``) do not count, nor do those
    without a key or a time. Of several rows of one entity and instant, the one wins that is last when sorted by all
    columns of ``features`` in their order (what is missing sorts first), whatever ``columns`` are taken and in whatever
    order the rows come.

    ``features`` are read several times, each time in the same order: keys and times first, of about ``slice_rows`` rows
    at a time, then of each column what was found. So memory is that of the result, and of one slice or column.
    """
    # Strictly before t, in microseconds, is at most t - 1us: one rule for all cases.
    lag = offset(available, delay)
    table = features.lazy()
    asked = _asked(spine, by, keys or by, spine_time, lag)
    rows = table.select(pl.len()).collect().item()
    tolerance = None if max_age is None or available is not None else max(max_age - lag, timedelta(0))
    found = [
        _ordered(left, [_ASKED]).join_asof(
            right,
            left_on=_ASKED,
            right_on=KNOWN,
            by=list(by),
            strategy="backward",
            tolerance=tolerance,
            check_sortedness=False,
            coalesce=False,
        )
        for left, right in _slices(asked, table, list(by), (feature_time, available), -(-rows // slice_rows))
    ]
    if available is not None and max_age is not None:
        fresh = pl.col(_ASKED) - pl.col(AT) <= max_age
        found = [part.with_columns(pl.when(fresh).then(ROW)) for part in found]
    which = _ordered(pl.concat([part[[_SPINE, ROW]] for part in found]), [_SPINE])[ROW]
    width = max(1, _CELLS // max(1, rows))
    taken = [
        series
        for start in range(0, len(columns), width)
        for series in _taken(table, columns[start : start + width], which)
    ]
    return spine.hstack([series.alias(f"{prefix}{series.name}") for series in taken])


def offset(available: str | None, delay: timedelta | None) -> timedelta:
    """How long before a moment a row must have been known to count then."""
    return timedelta(0) if available is not None else _MICROSECOND if delay is None else delay


def slice_of(keys: Sequence[str], slices: int) -> pl.Expr:
    """In which of so many slices a row is, so that whatever belongs together is in one."""
    return reduce(add, (pl.col(key).hash(place) for place, key in enumerate(keys))) % slices


def join_by_key(
    spine: pl.DataFrame,
    features: pl.DataFrame | pl.LazyFrame,
    *,
    by: Sequence[str],
    columns: Sequence[str],
    keys: Sequence[str] | None = None,
    prefix: str = "",
) -> pl.DataFrame:
    """For each spine row the feature row of the same entity, which is the only one there is; every spine row stays, in
    its order, with nulls where there is none. ``by``, ``keys`` and ``prefix`` as in :func:`join_as_of`."""
    named = [pl.col(name).alias(f"{prefix}{name}") for name in columns]
    wanted = nan_as_null(features.lazy().select([pl.col(by).name.prefix(ROW), *named])).collect()
    on = [f"{ROW}{name}" for name in by]
    return spine.join(wanted, left_on=list(keys or by), right_on=on, how="left", maintain_order="left")


def _asked(
    spine: pl.DataFrame, by: Sequence[str], keys: Sequence[str], spine_time: str, offset: timedelta
) -> pl.DataFrame:
    """What is asked of the features: their keys, and up to when a row may have been known."""
    there = nan_as_null(spine.select(list(dict.fromkeys([*keys, spine_time]))))
    named = [pl.col(key).alias(name) for name, key in zip(by, keys, strict=True)]
    return _timed(there, spine_time, _ASKED, end_of_day=False).select(*named, pl.col(_ASKED) - offset)


def _slices(
    asked: pl.DataFrame, features: pl.LazyFrame, by: list[str], times: tuple[str, str | None], slices: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Both sides, cut by what the keys hash to, so that whatever belongs together is in one slice."""
    left, right = asked.with_row_index(_SPINE), features.with_row_index(ROW)
    if slices <= 1:
        yield left, known(right, by, *times)
        return
    number = slice_of(by, slices)
    for chosen in range(slices):
        yield left.filter(number == chosen), known(right.filter(number == chosen), by, *times)


def known(features: pl.LazyFrame, by: list[str], time: str, available: str | None = None) -> pl.DataFrame:
    """When which ROW of ``features``, which have that as a column, became the one that counts of its entity: at KNOWN.
    Where rows are written down later than they happened, AT is when they did."""
    return _known(features, by, time) if available is None else _noted(features, by, time, available)


def _known(features: pl.LazyFrame, by: list[str], time: str) -> pl.DataFrame:
    """One row per entity and instant, in the order of instants, and which row of the features that is. Most views have
    no other rows, so that is looked at first, with nothing but keys and times; only where rows tie are all columns
    read."""
    keys = [KNOWN, *by]
    taken = nan_as_null(features.select(list(dict.fromkeys([*by, time, ROW])))).collect()
    rows = _ordered(_timed(taken, time, KNOWN, end_of_day=True).select(*keys, ROW).drop_nulls(keys), keys)
    again = rows.select(_same(keys)).to_series()
    if not again.any():
        return rows
    tied = again | again.shift(-1, fill_value=False)
    where = rows.filter(tied).select(ROW).lazy()
    winners = _winners(features, where, [*by, time])
    return rows.filter(~tied | pl.col(ROW).is_in(winners.implode()))


def _winners(features: pl.LazyFrame, where: pl.LazyFrame, keys: list[str]) -> pl.Series:
    """Of rows that have the same ``keys`` the one that is last when sorted by all columns."""
    tied = nan_as_null(features.join(where, on=ROW, how="semi")).collect()
    order = [name for name in tied.columns if name != ROW]
    return tied.sort(order, nulls_last=False).unique(keys, keep="last", maintain_order=True)[ROW]


def _noted(features: pl.LazyFrame, by: list[str], time: str, available: str) -> pl.DataFrame:
    """One row per entity and instant at which something became known, in the order of these, and the row that was then
    the newest by event time: a note of something older changes nothing."""
    taken = nan_as_null(features.select(list(dict.fromkeys([*by, time, available, ROW])))).collect()
    timed = _timed(_timed(taken, time, AT, end_of_day=True), available, _SINCE, end_of_day=True)
    keys = [*by, AT, _SINCE]
    rows = timed.select(*keys, ROW).drop_nulls(keys).sort(keys)
    again = rows.select(_same(keys)).to_series()
    if again.any():
        tied = again | again.shift(-1, fill_value=False)
        winners = _winners(features, rows.filter(tied).select(ROW).lazy(), [*by, time, available])
        rows = rows.filter(~tied | pl.col(ROW).is_in(winners.implode()))
    ranked = rows.with_row_index(_RANK).with_columns(pl.max_horizontal(AT, _SINCE).alias(KNOWN))
    newest = ranked.sort(*by, KNOWN, _RANK).with_columns(pl.col(_RANK).cum_max().over(by))
    newest = newest.unique([*by, KNOWN], keep="last", maintain_order=True)
    best = rows.select(ROW, AT)[newest[_RANK]]
    return newest.select(KNOWN, *by).hstack(best).sort(KNOWN, *by)


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
