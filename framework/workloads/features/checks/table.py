"""Checks on the table as a whole: how many rows it has, and how new they are."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from framework.api.fields import parse_duration
from framework.workloads.features.checks.measure import NO_ROW, AskedCheck, CheckVerdict, Measurement, Numbers


def rows(asked: AskedCheck) -> Measurement:
    """``value``: bounds on their number."""
    return Measurement(lambda numbers: _counted(asked, numbers))


def _counted(asked: AskedCheck, numbers: Numbers) -> CheckVerdict:
    found, low, high = numbers["rows"], asked.value.get("min"), asked.value.get("max")
    passed = (low is None or found >= low) and (high is None or found <= high)
    bounds = [*([f"at least {low:,}"] if low is not None else []), *([f"at most {high:,}"] if high is not None else [])]
    return CheckVerdict.of_table(passed, f"{found:,} rows, expected {' and '.join(bounds)}")


def freshness(asked: AskedCheck) -> Measurement:
    """``value``: the age that the newest event time may have."""
    timestamp = str(asked.subject.timestamp)
    limit = asked.subject.now + parse_duration(asked.value)
    moment = _moment(timestamp)
    ahead = moment.filter(moment > limit)
    aggregates = {
        "newest": newest_event(timestamp, limit),
        "ahead": ahead.len(),
        "latest": ahead.max(),
    }
    return Measurement(lambda numbers: _fresh(asked, numbers), aggregates, column=timestamp)


def _fresh(asked: AskedCheck, numbers: Numbers) -> CheckVerdict:
    newest, age = numbers["newest"], parse_duration(asked.value)
    passed = newest is not None and asked.subject.now - newest <= age
    told = NO_ROW if newest is None else f"newest {newest:%Y-%m-%d %H:%M}Z, allowed age {asked.value}"
    if numbers["ahead"]:
        more = f"event times more than {asked.value} ahead of the clock prove nothing: {numbers['ahead']:,}, up to"
        told = f"{told}; {more} {numbers['latest']:%Y-%m-%d %H:%M}Z"
    return CheckVerdict.of_table(passed, told)


def newest_event(timestamp: str, until: datetime | None = None) -> pl.Expr:
    """The newest event time, in UTC, that is not after ``until``: later ones come of a mistyped year or of a clock that
    is wrong. A Date stands for its first instant."""
    moment = _moment(timestamp)
    return (moment if until is None else moment.filter(moment <= until)).max()


def _moment(timestamp: str) -> pl.Expr:
    return pl.col(timestamp).cast(pl.Datetime("us", "UTC"))
