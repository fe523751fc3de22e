"""Checks on the rows of a view before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

import polars as pl

from framework.api.fields import parse_duration
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, raised
from framework.workloads.features import query
from framework.workloads.missing import nan_as_null


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation with its numbers. ``failing`` is a share of rows in 0..1, or 0/1 for checks on the whole
    table."""

    check: str
    column: str | None
    observed: str
    passed: bool
    failing: float

    def as_json(self) -> dict[str, Any]:
        """Plain values for the run's result."""
        return asdict(self)


_CHECKS = ("between", "notNull", "oneOf", "matches", "quantile", "unique", "rows", "freshness", "sql")
_NO_ROW = "there is no row"


def check(
    frame: pl.DataFrame, expectations: Sequence[Mapping[str, Any]], timestamp: str | None, now: datetime
) -> list[ExpectationResult]:
    """Judge every expectation of the spec (JSON by alias), in order; none is skipped because another failed.

    NaN is null, and nulls pass ``between``, ``oneOf`` and ``matches``: whether a value may be missing is what
    ``notNull`` says. A share of no rows is unknown, so these checks fail on an empty table, unless it may be empty.

    Raises:
        WorkloadError: "WrongType" or "TransformFailed" for a check that cannot be made on these columns.
    """
    known, bare = nan_as_null(frame), frame.is_empty() and not may_be_empty(expectations)
    return [_named(known, expectation, timestamp, now, bare) for expectation in expectations]


def may_be_empty(expectations: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a table without rows may be published: where ``rows: {min: 0}`` says so."""
    return any((expectation.get("rows") or {}).get("min") == 0 for expectation in expectations)


def of_keys(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What nobody has to ask for: without an event time a key names one row, or a join could take any of several."""
    if spec.get("timestamp"):
        return []
    asked = {"unique": list(spec["entities"])}
    return (
        []
        if any(set(known.get("unique") or ()) == set(asked["unique"]) for known in spec.get("expectations", ()))
        else [asked]
    )


def emptiness(
    frame: pl.DataFrame, expectations: Sequence[Mapping[str, Any]], remarks: Sequence[str] = ()
) -> list[ExpectationResult]:
    """What nobody has to ask for: that a source which is empty today does not take away what readers have. ``remarks``
    say where that may come from."""
    if not frame.is_empty() or may_be_empty(expectations):
        return []
    told = f"{_NO_ROW}, and an empty table replaces nothing unless the expectation rows: {{min: 0}} allows it"
    return [ExpectationResult("rows", None, "; ".join([told, *remarks]), False, 1.0)]


def require(findings: Sequence[ExpectationResult]) -> None:
    """Raise "ExpectationFailed" with the numbers of every failed expectation, if there is one."""
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        told = "; ".join(f"{f.check}{f' of {f.column}' if f.column else ''}: {f.observed}" for f in failed)
        raise WorkloadError(
            "ExpectationFailed",
            f"{len(failed)} of {len(findings)} expectations failed, nothing is published: {told}",
            data={"failed": [finding.as_json() for finding in failed]},
        )


def _named(
    frame: pl.DataFrame, expectation: Mapping[str, Any], timestamp: str | None, now: datetime, bare: bool
) -> ExpectationResult:
    """The finding of one expectation. What a library says of a check names no expectation, so that is added."""
    try:
        return _check(frame, expectation, timestamp, now, bare)
    except WorkloadError:
        raise
    except Exception as error:
        told = f"expectation {_name(expectation)} cannot be checked{_on(frame, expectation)}: {_said(error)}"
        raise WorkloadError("WrongType", told) from error


def _on(frame: pl.DataFrame, expectation: Mapping[str, Any]) -> str:
    columns = [expectation["column"]] if expectation.get("column") else expectation.get("unique") or []
    told = [f"{name} ({frame.schema[name]})" if name in frame.schema else str(name) for name in columns]
    return f" on {', '.join(told)}" if told else ""


def _said(error: Exception) -> str:
    return first_line(error) if isinstance(error, pl.exceptions.PolarsError) else raised(error)


def _name(expectation: Mapping[str, Any]) -> str:
    return next(word for word in _CHECKS if expectation.get(word) is not None)


def _check(
    frame: pl.DataFrame, expectation: Mapping[str, Any], timestamp: str | None, now: datetime, bare: bool
) -> ExpectationResult:
    name = _name(expectation)
    value, column, tolerance = expectation[name], expectation.get("column"), expectation.get("tolerance") or 0.0
    if name == "rows":
        return _rows(frame, value)
    if name == "freshness":
        return _freshness(frame, value, str(timestamp), now)
    if name == "quantile":
        return _quantile(frame, column, value)
    if name == "sql":
        return _sql(frame, value, tolerance, bare)
    bad, label = _bad_rows(frame, name, column, value)
    return _share(name, column, label, bad, frame.height, tolerance, bare)


def condition(frame: pl.DataFrame, text: str) -> tuple[pl.Expr, bool]:
    """A condition in SQL over the columns of ``frame``, and whether it is one on the table as a whole, because it
    aggregates or names no column: ``COUNT(x) > 9`` says nothing about single rows.

    Raises:
        WorkloadError: "TransformFailed" for what is no SQL, names no column of these, or is neither true nor false.
    """
    query.refuse_files(text)
    try:
        holds = pl.sql_expr(text).alias("holds")
        probe = frame.clear(2).select(holds)
    except Exception as error:
        raise WorkloadError("TransformFailed", f"expectation sql {text!r} is refused: {first_line(error)}") from error
    if probe.schema["holds"] != pl.Boolean:
        raise WorkloadError("TransformFailed", f"expectation sql {text!r} is {probe.schema['holds']}, no condition")
    return holds, probe.height == 1


def _sql(frame: pl.DataFrame, text: str, tolerance: float, bare: bool) -> ExpectationResult:
    holds, whole = condition(frame, text)
    found = frame.select(holds.fill_null(False)).to_series()
    if not whole:
        return _share("sql", None, f"rows do not satisfy {text}", int((~found).sum()), frame.height, tolerance, bare)
    passed = bool(found.item())
    ignored = "; a tolerance is a share of rows and does not count here" if tolerance and not passed else ""
    told = f"the table {'satisfies' if passed else 'does not satisfy'} {text}{ignored}"
    return ExpectationResult("sql", None, told, passed, 0.0 if passed else 1.0)


def _bad_rows(frame: pl.DataFrame, name: str, column: str | None, value: Any) -> tuple[int, str]:
    """How many rows break a row-wise check, and what breaking it means in words."""
    if name == "unique":
        rows = frame.select(pl.struct(value).is_duplicated().sum()).item() if frame.height else 0
        return int(rows), f"rows share ({', '.join(value)}) with another row"
    cell = pl.col(str(column))
    if name == "notNull":
        return int(frame.select(cell.is_null().sum()).item()) if value else 0, "values are null or NaN"
    if name == "between":
        low, high = value
        outside = frame.select(((cell < low) | (cell > high)).fill_null(False).sum()).item()
        return int(outside), f"values lie outside [{low:g}, {high:g}]{_span(frame, column)}"
    if name == "oneOf":
        wrong = (
            frame.select(cell).drop_nulls().filter(~cell.is_in(pl.Series(list(value), dtype=frame.schema[str(column)])))
        )
        return wrong.height, f"values are not among {', '.join(map(str, value))}{_examples(wrong)}"
    wrong = frame.select(cell).drop_nulls().filter(~cell.str.contains(f"^(?:{value})$"))
    return wrong.height, f"values do not match {value}{_examples(wrong)}"


def _share(
    name: str, column: str | None, label: str, bad: int, rows: int, tolerance: float, bare: bool
) -> ExpectationResult:
    if bare:
        return ExpectationResult(name, column, _NO_ROW, False, 1.0)
    share = bad / rows if rows else 0.0
    allowed = f"; {tolerance:.3%} may" if tolerance else ""
    return ExpectationResult(
        name, column, f"{bad:,} of {rows:,} {label} ({share:.3%}{allowed})", share <= tolerance, share
    )


def _rows(frame: pl.DataFrame, value: Mapping[str, Any]) -> ExpectationResult:
    low, high = value.get("min"), value.get("max")
    passed = (low is None or frame.height >= low) and (high is None or frame.height <= high)
    bounds = " and ".join(
        [*([f"at least {low:,}"] if low is not None else []), *([f"at most {high:,}"] if high is not None else [])]
    )
    return ExpectationResult("rows", None, f"{frame.height:,} rows, expected {bounds}", passed, 0.0 if passed else 1.0)


def _freshness(frame: pl.DataFrame, value: str, timestamp: str, now: datetime) -> ExpectationResult:
    age = parse_duration(value)
    newest = newest_event(frame, timestamp, now + age)
    passed = newest is not None and now - newest <= age
    told = _NO_ROW if newest is None else f"newest {newest:%Y-%m-%d %H:%M}Z, allowed age {value}"
    ahead = _moments(frame, timestamp).filter(pl.col("at") > now + age)
    if ahead.height:
        latest = cast(datetime, ahead["at"].max())
        more = f"event times more than {value} ahead of the clock prove nothing: {ahead.height:,}, up to"
        told = f"{told}; {more} {latest:%Y-%m-%d %H:%M}Z"
    return ExpectationResult("freshness", timestamp, told, passed, 0.0 if passed else 1.0)


def newest_event(frame: pl.DataFrame, timestamp: str, until: datetime | None = None) -> datetime | None:
    """The newest event time, in UTC, that is not after ``until``: later ones come of a mistyped year or of a clock that
    is wrong. A Date stands for its first instant."""
    moments = _moments(frame, timestamp)
    return cast(datetime | None, (moments if until is None else moments.filter(pl.col("at") <= until))["at"].max())


def _moments(frame: pl.DataFrame, timestamp: str) -> pl.DataFrame:
    return frame.select(at=pl.col(timestamp).cast(pl.Datetime("us", "UTC"))).drop_nulls()


def _quantile(frame: pl.DataFrame, column: str | None, value: Mapping[str, Any]) -> ExpectationResult:
    found = frame[str(column)].quantile(value["q"])
    low, high = value.get("min"), value.get("max")
    passed = found is not None and (low is None or found >= low) and (high is None or found <= high)
    bounds = f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
    shown = "undefined" if found is None else f"{found:g}"
    return ExpectationResult(
        "quantile", column, f"{value['q']:g} quantile is {shown}, expected {bounds}", passed, 0.0 if passed else 1.0
    )


def _span(frame: pl.DataFrame, column: str | None) -> str:
    series = frame[str(column)]
    return f", which span {series.min()!s} to {series.max()!s}" if series.len() else ""


def _examples(wrong: pl.DataFrame) -> str:
    shown = wrong.to_series().unique().sort().head(3).to_list()
    return f", e.g. {', '.join(map(repr, shown))}" if shown else ""
