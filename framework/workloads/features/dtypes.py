"""The declared dtypes of a FeatureView, as Polars computes with them and as Delta stores them."""

from __future__ import annotations

from collections.abc import Sequence

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

_EXAMPLES = 3


def select_declared(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """The declared columns, in order, at their declared dtypes, NaN as null. Only conversions that change no value are
    made: among numbers where every one of them can be written in the other dtype, dates to datetimes and midnights to
    dates, naive datetimes read as UTC, other zones and units to UTC and microseconds. A float stands for the number
    nearest to it, so Float32 rounds; it may not turn one into infinity or zero. Text is never parsed. A column without
    values says nothing of what it is and takes the declared dtype.

    Raises:
        WorkloadError: "MissingColumn" or "WrongType", naming every column concerned, what is there instead, and how
            many values would change.
    """
    missing = [name for name, _ in columns if name not in frame.columns]
    if missing:
        told = ", ".join(f"{name!r}{did_you_mean(name, frame.columns)}" for name in missing)
        raise WorkloadError(
            "MissingColumn",
            f"the transform does not yield {told}; it yields {', '.join(frame.columns) or 'nothing'}",
            data={"missing": missing, "found": list(frame.columns)},
        )
    known = nan_as_null(frame.select(name for name, _ in columns))
    converted: list[pl.Series] = []
    problems: list[str] = []
    for name, word in columns:
        try:
            converted.append(_convert(known[name], word))
        except _WouldChangeError as error:
            problems.append(f"{name} is declared {word} but {error}")
    if problems:
        raise WorkloadError(
            "WrongType", "; ".join(problems), data={"found": {n: str(t) for n, t in frame.schema.items()}}
        )
    return pl.DataFrame(converted)


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


def _convert(series: pl.Series, word: str) -> pl.Series:
    target, found = DTYPES[word], series.dtype
    if nameless := _without_date(series):
        raise _WouldChangeError(f"the transform yields {found}, and {nameless}")
    if found == target:
        return series
    if series.null_count() == series.len():
        return pl.repeat(None, series.len(), dtype=target, eager=True).alias(series.name)
    try:
        converted = _cast(series, target)
    except pl.exceptions.PanicException as error:
        raise _WouldChangeError(f"the transform yields {found}, and converting it failed: {error}") from error
    if converted is None:
        raise _WouldChangeError(f"the transform yields {found}{_no_numbers(series, target)}")
    changed = series.filter(_changed(series, converted))
    if changed.len():
        lost = f"{_share(changed, series)} not to be had as {word} unchanged, {_shown(changed)}"
        raise _WouldChangeError(f"the transform yields {found}, and {lost}")
    return converted


def _cast(series: pl.Series, target: pl.DataType) -> pl.Series | None:
    """``series`` as ``target``, null where that has no such value; None where they are different kinds of things."""
    found = series.dtype
    if target.is_numeric() and found.is_numeric():
        return series.cast(target, strict=False)
    if isinstance(target, pl.Datetime) and isinstance(found, pl.Datetime):
        return (series if found.time_zone else series.dt.replace_time_zone("UTC")).cast(target, strict=False)
    if isinstance(target, pl.Datetime) and found == pl.Date:
        return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if target == pl.Date and isinstance(found, pl.Datetime) and found.time_zone in (None, "UTC"):
        return series.dt.date()
    if target == pl.String and isinstance(found, pl.Categorical | pl.Enum):
        return series.cast(target)
    return None


_CALENDAR = (-96_465_292, 95_026_236)
"""Days from 1970-01-01 to the first and the last one that the engine has a date for. It neither converts nor shows what
lies outside, which a file can well hold: it panics."""
_A_DAY = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}


def _without_date(series: pl.Series) -> str:
    """Of dates and times: which have no date, as numbers, because no text stands for them; empty where all have one."""
    if not isinstance(series.dtype, pl.Date | pl.Datetime):
        return ""
    unit = getattr(series.dtype, "time_unit", "d")
    days = series.to_physical().cast(pl.Int64) // _A_DAY.get(unit, 1)
    outside = series.to_physical().filter(~days.is_between(*_CALENDAR))
    if not outside.len():
        return ""
    return f"{_share(outside, series)} outside the calendar, {_shown(outside)} ({unit} since 1970-01-01)"


_WHOLE_IN_FLOAT: dict[type[pl.DataType], int] = {pl.Float32: 2**24, pl.Float64: 2**53}
"""From here on a float stands for several whole numbers, so it does not say which one was meant: 2**53 may have been
2**53 + 1."""


def _changed(series: pl.Series, converted: pl.Series) -> pl.Series:
    """Which values are others after the conversion. Most conversions are right where the way back ends where it began;
    from float to float it never does, and what matters is that there is a number left."""
    found, target = series.dtype, converted.dtype
    if found.is_float() and target.is_float():
        return (series.is_finite() & ~converted.is_finite()) | ((series != 0) & (converted == 0))
    naive = isinstance(found, pl.Datetime) and found.time_zone is None and isinstance(target, pl.Datetime)
    back = (converted.dt.replace_time_zone(None) if naive else converted).cast(found, strict=False)
    changed = back.ne_missing(series)
    limit = _WHOLE_IN_FLOAT.get(found.base_type(), 0)
    return changed | (series.abs() >= limit) if limit and target.is_integer() else changed


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
