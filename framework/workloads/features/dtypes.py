"""The declared dtypes of a FeatureView, as Polars computes with them and as Delta stores them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from framework.workloads.context import WorkloadError
from framework.workloads.features.closest import suggestion

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


def select_declared(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    """The declared columns, in order, at their declared dtypes. Only conversions that keep the meaning are made:
    integers and floats among numbers, dates to datetimes, naive datetimes read as UTC. Text is never parsed.

    Raises:
        WorkloadError: "MissingColumn" or "WrongType", naming every column concerned and what is there instead.
    """
    missing = [name for name, _ in columns if name not in frame.columns]
    if missing:
        told = ", ".join(f"{name!r}{suggestion(name, frame.columns)}" for name in missing)
        raise WorkloadError(
            "MissingColumn",
            f"the transform does not yield {told}; it yields {', '.join(frame.columns) or 'nothing'}",
            data={"missing": missing, "found": list(frame.columns)},
        )
    converted: list[pl.Series] = []
    problems: list[str] = []
    for name, word in columns:
        try:
            converted.append(_convert(frame[name], word))
        except (ValueError, pl.exceptions.PolarsError) as error:
            problems.append(f"{name} is declared {word} but {_first_line(error)}")
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
    try:
        return frame.with_columns(pl.col(name).cast(_STORED[word]) for name, word in columns if word in _STORED)
    except pl.exceptions.PolarsError as error:
        raise WorkloadError("WrongType", f"a value is too large for Delta: {_first_line(error)}") from error


def from_stored(frame: pl.LazyFrame, columns: Columns) -> pl.LazyFrame:
    """What was read from Delta, at the declared dtypes."""
    return frame.select(pl.col(name).cast(DTYPES[word]) for name, word in columns)


def _convert(series: pl.Series, word: str) -> pl.Series:
    target, found = DTYPES[word], series.dtype
    if found == target:
        return series
    if found == pl.Null:
        return series.cast(target)
    if word == "Datetime":
        if isinstance(found, pl.Datetime):
            return (series if found.time_zone else series.dt.replace_time_zone("UTC")).cast(target)
        if found == pl.Date:
            return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if word == "String" and isinstance(found, pl.Categorical | pl.Enum):
        return series.cast(target)
    whole = target.is_integer() and found.is_integer()
    real = target.is_float() and found.is_numeric()
    if not (whole or real):
        raise ValueError(f"the transform yields {found}")
    return series.cast(target)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
