"""Dates and times as models know them: as numbers in a matrix, as ISO 8601 text in a request.

Python's own calendar bounds both, from the year 1 to 9999: JSON has text alone, and no text that is read names another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from framework.answers import Matrix
from framework.workloads.context import WorkloadError

ENCODINGS: Mapping[str, str] = {"Date": "days", "Datetime": "seconds"}
"""Dtype -> how a signature says that it is encoded. A signature keeps the word, so that a model of today is asked as it
was trained whatever later ones do."""

EXAMPLES: Mapping[str, str] = {"Date": "2024-01-31", "Datetime": "2024-01-31T09:30:00+00:00"}
"""How a request writes one."""

_MOMENT = pl.Datetime("us", "UTC")
_FIRST, _LAST = date.min, date.max


def _days(series: pl.Series) -> Matrix:
    found: Matrix = series.to_physical().cast(pl.Float64).to_numpy()
    return found


def _seconds(series: pl.Series) -> Matrix:
    found: Matrix = series.cast(_MOMENT).to_physical().cast(pl.Float64).to_numpy() / 1e6
    return found


ENCODED: Mapping[str, Callable[[pl.Series], Matrix]] = {"days": _days, "seconds": _seconds}
"""float64 (rows,) of a column: days or seconds since 1970-01-01 in UTC, fractions included; NaN for null."""


def parsed(value: Any, dtype: str) -> date | datetime | None:
    """What a request's value, or a transformer's, is as ``dtype``; None where it is none. A time without a zone is one
    of UTC, as everywhere.

    >>> parsed("2024-01-31", "Date"), parsed("2024-01-31T09:00+02:00", "Datetime")
    (datetime.date(2024, 1, 31), datetime.datetime(2024, 1, 31, 7, 0, tzinfo=datetime.timezone.utc))
    """
    kind = date if dtype == "Date" else datetime
    try:
        if isinstance(value, str):
            value = kind.fromisoformat(value)
        if dtype == "Date":
            return value if isinstance(value, date) and not isinstance(value, datetime) else None
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
    except (ValueError, OverflowError):
        return None


def check(column: pl.Series) -> None:
    """
    Raises:
        WorkloadError: "WrongType" for a column with values that no request could have.
    """
    days = column.cast(pl.Date) if isinstance(column.dtype, pl.Datetime) else column
    outside = int((~days.is_between(_FIRST, _LAST)).sum())
    if outside:
        told = f"{outside:,} of {column.len():,} rows of {column.name} lie outside of the years 1 to 9999"
        raise WorkloadError("WrongType", f"{told}, so that no request could ask about them")
