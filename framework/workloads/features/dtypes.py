"""The declared dtypes of a FeatureView, as Polars computes with them and as Delta stores them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import polars as pl

from framework.api.nearest import did_you_mean
from framework.workloads.context import WorkloadError
from framework.workloads.missing import nan_as_null

DTYPES: dict[str, pl.DataType] = {
    "Boolean": pl.Boolean(),
    "Int8": pl.Int8(),
    "Int16": pl.Int16(),
    "Int32": pl.Int32(),
    "Int64": pl.Int64(),
    "UInt8": pl.UInt8(),
    "UInt16": pl.UInt16(),
    "UInt32": pl.UInt32(),
    "UInt64": pl.UInt64(),
    "Float32": pl.Float32(),
    "Float64": pl.Float64(),
    "String": pl.String(),
    "Date": pl.Date(),
    "Datetime": pl.Datetime("us", "UTC"),
}
"""Spec word -> Polars dtype. ``Datetime`` is microseconds in UTC."""

_STORED: dict[str, pl.DataType] = {
    "UInt8": pl.Int16(),
    "UInt16": pl.Int32(),
    "UInt32": pl.Int64(),
    "UInt64": pl.Int64(),
}
"""Delta has no unsigned integers and would read 255 as -1, so they are stored one size up."""

Columns = Sequence[tuple[str, str]]
"""(name, dtype word) in order."""

Values = TypeVar("Values", pl.Series, pl.Expr)

_EXAMPLES = 3


def yielded(rows: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """The declared columns, in order, as they were computed; NaN as null.

    Raises:
        WorkloadError: "MissingColumn" naming every column concerned, "WrongType" for Python objects.
    """
    schema = rows.collect_schema()
    missing = [name for name, _ in columns if name not in schema]
    if missing:
        told = ", ".join(f"{name!r}{did_you_mean(name, schema)}" for name in missing)
        raise WorkloadError(
            "MissingColumn",
            f"the transform does not yield {told}; it yields {', '.join(schema) or 'nothing'}",
            data={"missing": missing, "found": list(schema)},
        )
    objects = [(name, "the transform yields Object") for name, _ in columns if schema[name] == pl.Object]
    _refuse(objects, schema, columns)
    return nan_as_null(rows.select(name for name, _ in columns))


def select_declared(rows: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """What ``yielded`` gave, at the declared dtypes. Only conversions that change no value are made: among numbers
    where every one of them can be written in the other dtype, dates to datetimes and midnights to dates, naive
    datetimes read as UTC, other zones and units to UTC and microseconds. A float stands for the number nearest to it,
    so Float32 rounds; it may not turn one into infinity or zero. Text is never parsed. A column without values says
    nothing of what it is and takes the declared dtype.

    Rows are gone through once, in batches; a column is held as a whole only to tell what is wrong with it.

    Raises:
        WorkloadError: "WrongType", naming every column concerned, what is there instead, and how many values would
            change.
    """
    schema = rows.collect_schema()
    problems: list[tuple[str, str]] = []
    for name, word in _doubtful(rows, schema, columns):
        try:
            _convert(rows.select(name).collect()[name], word)
        except _WouldChangeError as error:
            problems.append((name, str(error)))
    _refuse(problems, schema, columns)
    return rows.select(_converted(pl.col(name), schema[name], DTYPES[word]).alias(name) for name, word in columns)


def _refuse(problems: Sequence[tuple[str, str]], schema: pl.Schema, columns: Columns) -> None:
    if problems:
        words, found = dict(columns), {name: str(schema[name]) for name, _ in columns}
        told = "; ".join(f"{name} is declared {words[name]} but {problem}" for name, problem in problems)
        raise WorkloadError("WrongType", told, data={"found": found})


def _doubtful(rows: pl.LazyFrame, schema: pl.Schema, columns: Columns) -> Columns:
    """Columns with a value that their declared dtype may not have."""
    suspects = {name: _suspect(pl.col(name), schema[name], DTYPES[word]) for name, word in columns}
    asked = {name: count for name, count in suspects.items() if count is not None}
    if not asked:
        return []
    try:
        found = rows.select(count.alias(name) for name, count in asked.items()).collect().row(0, named=True)
    except pl.exceptions.PanicException:  # a date outside the calendar, in one of them
        found = dict.fromkeys(asked, 1)
    return [(name, word) for name, word in columns if found.get(name)]


def _suspect(values: pl.Expr, found: pl.DataType, target: pl.DataType) -> pl.Expr | None:
    """How many values are in doubt; None where none can be."""
    outside = _outside_calendar(values, found).sum() if found.is_temporal() and _has_date(found) else None
    if found == target:
        return outside
    converted = _cast(values, found, target)
    changed = values.count() if converted is None else _changed(values, converted, found, target).sum()
    return changed if outside is None else outside + changed


def _converted(values: pl.Expr, found: pl.DataType, target: pl.DataType) -> pl.Expr:
    if found == target:
        return values
    converted = _cast(values, found, target)
    return pl.repeat(None, pl.len(), dtype=target) if converted is None else converted


def to_stored(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """The same values at the dtypes that Delta has.

    Raises:
        WorkloadError: "WrongType" for a UInt64 above 2**63 - 1, which no Delta table can hold.
    """
    stored = frame.with_columns(
        pl.col(name).cast(_STORED[word], strict=False) for name, word in columns if word in _STORED
    )
    for name, word in columns:
        if word in _STORED:
            lost = frame[name].filter(stored[name].is_null() & frame[name].is_not_null())
            if lost.len():
                told = f"{_share(lost, frame[name])} too large for Delta, {_shown(lost)}"
                raise WorkloadError("WrongType", f"{name}: {told}")
    return stored


def from_stored(frame: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """What was read from Delta, at the declared dtypes, NaN as null."""
    return nan_as_null(frame.select(pl.col(name).cast(DTYPES[word]) for name, word in columns))


def widest(dtypes: Sequence[pl.DataType]) -> pl.DataType:
    """The dtype that has room for all of ``dtypes``; text where they are different kinds of things."""
    first, *others = dict.fromkeys(dtypes)
    if not others:
        return first
    if all(dtype.is_numeric() for dtype in dtypes):
        floats = any(dtype.is_float() for dtype in dtypes)
        return pl.Float64() if floats else pl.Int128()
    naive = pl.Datetime("us")
    return naive if all(dtype in (pl.Date(), naive) for dtype in dtypes) else pl.String()


class _WouldChangeError(Exception):
    """A conversion that would not keep every value."""


def _convert(series: pl.Series, word: str) -> None:
    """Raises _WouldChangeError with what is wrong, where something is."""
    target, found = DTYPES[word], series.dtype
    if nameless := _without_date(series):
        raise _WouldChangeError(f"the transform yields {found}, and {nameless}")
    if found == target or series.null_count() == series.len():
        return
    try:
        converted = _cast(series, found, target)
    except pl.exceptions.PanicException as error:
        raise _WouldChangeError(f"the transform yields {found}, and converting it failed: {error}") from error
    if converted is None:
        raise _WouldChangeError(f"the transform yields {found}{_no_numbers(series, target)}")
    changed = series.filter(_changed(series, converted, found, target))
    if changed.len():
        lost = f"{_share(changed, series)} not to be had as {word} unchanged, {_shown(changed)}"
        raise _WouldChangeError(f"the transform yields {found}, and {lost}")


def _cast(values: Values, found: pl.DataType, target: pl.DataType) -> Values | None:
    """``values`` as ``target``, null where that has no such value; None where they are different kinds of things."""
    if target.is_numeric() and found.is_numeric():
        return values.cast(target, strict=False)
    if isinstance(target, pl.Datetime) and isinstance(found, pl.Datetime):
        return (values if found.time_zone else values.dt.replace_time_zone("UTC")).cast(target, strict=False)
    if isinstance(target, pl.Datetime) and found == pl.Date:
        return values.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if target == pl.Date and isinstance(found, pl.Datetime) and found.time_zone in (None, "UTC"):
        return values.dt.date()
    if target == pl.String and isinstance(found, pl.Categorical | pl.Enum):
        return values.cast(target)
    return None


_CALENDAR = (-96_465_292, 95_026_236)
"""Days from 1970-01-01 to the first and the last one that the engine has a date for. It neither converts nor shows what
lies outside, which a file can well hold: it panics."""
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _has_date(dtype: pl.DataType) -> bool:
    return isinstance(dtype, pl.Date | pl.Datetime)


def _outside_calendar(values: Values, found: pl.DataType) -> Values:
    days = values.to_physical().cast(pl.Int64) // _A_DAY.get(getattr(found, "time_unit", "d"), 1)
    return ~days.is_between(*_CALENDAR)


def _without_date(series: pl.Series) -> str:
    """Of dates and times: which have no date, as numbers, because no text stands for them; empty where all have one."""
    if not _has_date(series.dtype):
        return ""
    outside = series.to_physical().filter(_outside_calendar(series, series.dtype))
    if not outside.len():
        return ""
    unit = getattr(series.dtype, "time_unit", "d")
    return f"{_share(outside, series)} outside the calendar, {_shown(outside)} ({unit} since 1970-01-01)"


_WHOLE_IN_FLOAT: dict[type[pl.DataType], int] = {pl.Float32: 2**24, pl.Float64: 2**53}
"""From here on a float stands for several whole numbers, so it does not say which one was meant: 2**53 may have been
2**53 + 1."""


def _changed(values: Values, converted: Values, found: pl.DataType, target: pl.DataType) -> Values:
    """Which values are others after the conversion. Most conversions are right where the way back ends where it began;
    from float to float it never does, and what matters is that there is a number left."""
    if found.is_float() and target.is_float():
        return (values.is_finite() & ~converted.is_finite()) | ((values != 0) & (converted == 0))
    naive = isinstance(found, pl.Datetime) and found.time_zone is None and isinstance(target, pl.Datetime)
    back = (converted.dt.replace_time_zone(None) if naive else converted).cast(found, strict=False)
    changed = back.ne_missing(values)
    limit = _WHOLE_IN_FLOAT.get(found.base_type(), 0)
    return changed | (values.abs() >= limit) if limit and target.is_integer() else changed


def _no_numbers(series: pl.Series, target: pl.DataType) -> str:
    """Of text where a number is declared: which of it is none, because that is why it was read as text."""
    if series.dtype != pl.String or not target.is_numeric():
        return ""
    unread = series.filter(series.is_not_null() & series.str.strip_chars().cast(pl.Float64, strict=False).is_null())
    if not unread.len():
        return "; it may CAST the text to a number"
    return f", and {_share(unread, series)} no number, {_shown(unread)}"


def _share(some: pl.Series, series: pl.Series) -> str:
    """``2 of 9 values are``, of those that are not missing."""
    return f"{some.len():,} of {series.len() - series.null_count():,} values {'is' if some.len() == 1 else 'are'}"


def _shown(some: pl.Series) -> str:
    """``e.g. 1.5, 2.5``: a few different ones."""
    few = some.unique(maintain_order=True).head(_EXAMPLES)
    told = few.cast(pl.String).to_list() if few.dtype.is_temporal() else few.to_list()
    return f"e.g. {', '.join(repr(value) if few.dtype == pl.String else str(value) for value in told)}"
