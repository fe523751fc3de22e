"""Checks on the rows of a view before they are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import polars as pl

from framework.api.fields import parse_duration
from framework.workloads.context import WorkloadError


@dataclass(frozen=True)
class Finding:
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


def check(
    frame: pl.DataFrame, expectations: Sequence[Mapping[str, Any]], timestamp: str, now: datetime
) -> list[Finding]:
    """Judge every expectation of the spec (JSON by alias), in order; none is skipped because another failed.

    Nulls pass ``between``, ``oneOf`` and ``matches``: whether a value may be missing is what ``notNull`` says.
    """
    return [_check(frame, expectation, timestamp, now) for expectation in expectations]


def require(findings: Sequence[Finding]) -> None:
    """Raise "ExpectationFailed" with the numbers of every failed expectation, if there is one."""
    failed = [finding for finding in findings if not finding.passed]
    if failed:
        told = "; ".join(f"{f.check}{f' of {f.column}' if f.column else ''}: {f.observed}" for f in failed)
        raise WorkloadError(
            "ExpectationFailed",
            f"{len(failed)} of {len(findings)} expectations failed, nothing is published: {told}",
            data={"failed": [finding.as_json() for finding in failed]},
        )


def _check(frame: pl.DataFrame, expectation: Mapping[str, Any], timestamp: str, now: datetime) -> Finding:
    name = next(word for word in _CHECKS if expectation.get(word) is not None)
    value, column = expectation[name], expectation.get("column")
    if name == "rows":
        return _rows(frame, value)
    if name == "freshness":
        return _freshness(frame, value, timestamp, now)
    if name == "quantile":
        return _quantile(frame, column, value)
    bad, label = _bad_rows(frame, name, column, value)
    return _share(name, column, label, bad, frame.height, expectation.get("tolerance") or 0.0)


def _bad_rows(frame: pl.DataFrame, name: str, column: str | None, value: Any) -> tuple[int, str]:
    """How many rows break a row-wise check, and what breaking it means in words."""
    if name == "unique":
        rows = frame.select(pl.struct(value).is_duplicated().sum()).item() if frame.height else 0
        return int(rows), f"rows share ({', '.join(value)}) with another row"
    if name == "sql":
        try:
            holds = pl.sql_expr(value)
            return int(frame.select((~holds.fill_null(False)).sum()).item()), f"rows do not satisfy {value}"
        except Exception as error:
            raise WorkloadError("TransformFailed", f"expectation sql {value!r} is refused: {error}") from error
    cell = pl.col(str(column))
    try:
        if name == "notNull":
            return (
                (int(frame.select(cell.is_null().sum()).item()), "values are null") if value else (0, "values are null")
            )
        if name == "between":
            low, high = value
            outside = frame.select(
                ((cell < low) | (cell > high) | _is_nan(frame, column)).fill_null(False).sum()
            ).item()
            return int(outside), f"values lie outside [{low:g}, {high:g}]{_span(frame, column)}"
        if name == "oneOf":
            wrong = (
                frame.select(cell)
                .drop_nulls()
                .filter(~cell.is_in(pl.Series(list(value), dtype=frame.schema[str(column)])))
            )
            return wrong.height, f"values are not among {', '.join(map(str, value))}{_examples(wrong)}"
        wrong = frame.select(cell).drop_nulls().filter(~cell.str.contains(f"^(?:{value})$"))
        return wrong.height, f"values do not match {value}{_examples(wrong)}"
    except (pl.exceptions.PolarsError, TypeError) as error:
        told = str(error).strip().partition("\n")[0]
        raise WorkloadError(
            "WrongType", f"expectation {name} cannot be checked on {column} ({frame.schema[str(column)]}): {told}"
        ) from error


def _share(name: str, column: str | None, label: str, bad: int, rows: int, tolerance: float) -> Finding:
    share = bad / rows if rows else 0.0
    allowed = f"; {tolerance:.3%} may" if tolerance else ""
    return Finding(name, column, f"{bad:,} of {rows:,} {label} ({share:.3%}{allowed})", share <= tolerance, share)


def _rows(frame: pl.DataFrame, value: Mapping[str, Any]) -> Finding:
    low, high = value.get("min"), value.get("max")
    passed = (low is None or frame.height >= low) and (high is None or frame.height <= high)
    bounds = " and ".join(
        [*([f"at least {low:,}"] if low is not None else []), *([f"at most {high:,}"] if high is not None else [])]
    )
    return Finding("rows", None, f"{frame.height:,} rows, expected {bounds}", passed, 0.0 if passed else 1.0)


def _freshness(frame: pl.DataFrame, value: str, timestamp: str, now: datetime) -> Finding:
    newest = frame.select(pl.col(timestamp).cast(pl.Datetime("us", "UTC")).max()).item() if frame.height else None
    if newest is None:
        return Finding("freshness", timestamp, "there is no row", False, 1.0)
    passed = now - newest <= parse_duration(value)
    return Finding(
        "freshness", timestamp, f"newest {newest:%Y-%m-%d %H:%M}Z, allowed age {value}", passed, 0.0 if passed else 1.0
    )


def _quantile(frame: pl.DataFrame, column: str | None, value: Mapping[str, Any]) -> Finding:
    found = frame[str(column)].quantile(value["q"])
    low, high = value.get("min"), value.get("max")
    passed = found is not None and (low is None or found >= low) and (high is None or found <= high)
    bounds = f"[{'-inf' if low is None else f'{low:g}'}, {'inf' if high is None else f'{high:g}'}]"
    shown = "undefined" if found is None else f"{found:g}"
    return Finding(
        "quantile", column, f"{value['q']:g} quantile is {shown}, expected {bounds}", passed, 0.0 if passed else 1.0
    )


def _is_nan(frame: pl.DataFrame, column: str | None) -> pl.Expr:
    return pl.col(str(column)).is_nan() if frame.schema[str(column)].is_float() else pl.lit(False)


def _span(frame: pl.DataFrame, column: str | None) -> str:
    series = frame[str(column)]
    return f", which span {series.min()!s} to {series.max()!s}" if series.len() else ""


def _examples(wrong: pl.DataFrame) -> str:
    shown = wrong.to_series().unique().sort().head(3).to_list()
    return f", e.g. {', '.join(map(repr, shown))}" if shown else ""
