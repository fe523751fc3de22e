"""Checks on the table as a whole: how many rows it has, how many more or fewer than before, and how new they are."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from framework.api.fields import parse_duration
from framework.workloads.features.checks.measure import (
    NO_ROW,
    AskedCheck,
    CheckVerdict,
    Measurement,
    Numbers,
    PreviousVersion,
    nothing_before,
)
from framework.workloads.features.checks.numbers import counted, within


def rows(asked: AskedCheck) -> Measurement:
    """``value``: bounds on their number."""
    return Measurement(lambda numbers: _counted(asked, numbers))


def _counted(asked: AskedCheck, numbers: Numbers) -> CheckVerdict:
    found, low, high = numbers["rows"], asked.value.get("min"), asked.value.get("max")
    return CheckVerdict.of_table(within(found, low, high), f"{found:,} rows, expected {counted(low, high)}", found)


def rows_change(asked: AskedCheck) -> Measurement:
    """``value``: the shares of the rows of the version that readers have that may be missing, or be new."""
    before = asked.table.previous
    if before is None:
        return nothing_before()
    if not before.count:
        return nothing_before(f"version {before.version} has no rows")
    return Measurement(lambda numbers: _changed(asked, numbers["rows"], before))


def _changed(asked: AskedCheck, found: int, before: PreviousVersion) -> CheckVerdict:
    drop, growth = asked.value.get("maxDrop"), asked.value.get("maxGrowth")
    change = (found - before.count) / before.count
    bounds = [
        *([f"at most {drop:.3%} fewer"] if drop is not None else []),
        *([f"at most {growth:.3%} more"] if growth is not None else []),
    ]
    passed = within(change, None if drop is None else -drop, growth)
    moved = f"{abs(change):.3%} {'more' if change > 0 else 'fewer'} than" if change else "as many as"
    told = f"{found:,} rows, {moved} the {before.count:,} of version {before.version}, expected {' and '.join(bounds)}"
    return CheckVerdict.of_table(passed, told, change)


def freshness(asked: AskedCheck) -> Measurement:
    """``value``: the age that the newest event time may have."""
    timestamp = str(asked.table.timestamp)
    limit = asked.table.now + parse_duration(asked.value)
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
    passed = newest is not None and asked.table.now - newest <= age
    told = NO_ROW if newest is None else f"newest {newest:%Y-%m-%d %H:%M}Z, allowed age {asked.value}"
    if numbers["ahead"]:
        more = f"event times more than {asked.value} ahead of the clock prove nothing: {numbers['ahead']:,}, up to"
        told = f"{told}; {more} {numbers['latest']:%Y-%m-%d %H:%M}Z"
    return CheckVerdict.of_table(passed, told, (asked.table.now - newest).total_seconds() if newest else None)


def newest_event(timestamp: str, until: datetime | None = None) -> pl.Expr:
    """The newest event time, in UTC, that is not after ``until``: later ones come of a mistyped year or of a clock that
    is wrong. A Date stands for its first instant."""
    moment = _moment(timestamp)
    return (moment if until is None else moment.filter(moment <= until)).max()


def _moment(timestamp: str) -> pl.Expr:
    return pl.col(timestamp).cast(pl.Datetime("us", "UTC"))
