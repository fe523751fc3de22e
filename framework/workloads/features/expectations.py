"""Checks on the rows of a view before they are published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from framework.api.fields import parse_duration
from framework.ports import ExpectationResult
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, raised
from framework.workloads.features.checks import CHECKS, offending
from framework.workloads.features.checks.measure import (
    NO_ROW,
    AskedCheck,
    CheckedTable,
    CheckVerdict,
    Measurement,
    PreviousVersion,
)
from framework.workloads.features.checks.table import newest_event
from framework.workloads.missing import nan_as_null

Expectations = Sequence[Mapping[str, Any]]
"""Those of a spec (JSON by alias)."""


@dataclass(frozen=True)
class CheckedRows:
    """What one pass over the rows of a table found. ``newest`` is the newest event time that counts as one."""

    rows: int
    newest: datetime | None
    findings: tuple[ExpectationResult, ...]


def check(
    rows: pl.LazyFrame,
    spec: Mapping[str, Any],
    now: datetime,
    previous: PreviousVersion | None = None,
    views: Mapping[str, pl.LazyFrame] | None = None,
) -> CheckedRows:
    """Judge every expectation of a FeatureViewSpec (JSON by alias), in order; none is skipped because another failed.

    All is measured in one pass, of which only what the engine cannot do otherwise holds a column as a whole (quantiles)
    or the different keys (``unique``). ``rows`` may be read several times, so they should be cheap to read; in their
    order those are named that break a check.

    NaN is null, and nulls pass ``between``, ``oneOf`` and ``matches``: whether a value may be missing is what
    ``notNull`` says. A share of no rows is unknown, so these checks fail on an empty table, unless it may be empty.

    ``previous`` is the version that readers have, None where nothing was published yet; ``views`` are the rows of each
    view that an expectation names.

    Raises:
        WorkloadError: "WrongType" or "TransformFailed" for a check that cannot be made on these columns.
    """
    known, expectations = nan_as_null(rows), [*(spec.get("expectations") or ()), *_of_keys(spec)]
    table = CheckedTable(
        known.collect_schema(),
        tuple(spec["entities"]),
        spec.get("timestamp"),
        now,
        may_be_empty(expectations),
        previous,
        views or {},
    )
    measures = [_measure(expectation, table) for expectation in expectations]
    numbers = _measured(known, expectations, measures, table)
    judged = [measure.judge({**numbers[index], "rows": numbers[-1]["rows"]}) for index, measure in enumerate(measures)]
    named = offending.named(known, table.keys, measures, judged)
    findings = tuple(map(_finding, expectations, measures, judged, named))
    return CheckedRows(numbers[-1]["rows"], numbers[-1]["newest"], findings)


def may_be_empty(expectations: Expectations) -> bool:
    """Whether a table without rows may be published: where ``rows: {min: 0}`` says so."""
    return any((expectation.get("rows") or {}).get("min") == 0 for expectation in expectations)


def _of_keys(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What nobody has to ask for: without an event time a key names one row, or a join could take any of several."""
    if spec.get("timestamp"):
        return []
    asked = {"unique": list(spec["entities"])}
    return [] if any(_is(known, asked["unique"]) for known in spec.get("expectations") or ()) else [asked]


def _is(known: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether it says that ``names`` are unique, without an exception and not only as a warning."""
    return is_strict(known) and set(known.get("unique") or ()) == set(names)


def is_strict(asked: Mapping[str, Any]) -> bool:
    """Whether no row that is published breaks it."""
    return not asked.get("tolerance") and asked.get("severity") != "warn"


def emptiness(rows: int, spec: Mapping[str, Any], remarks: Sequence[str] = ()) -> list[ExpectationResult]:
    """What nobody has to ask for: that a source which is empty today does not take away what readers have. ``remarks``
    say where that may come from."""
    if rows or may_be_empty(spec.get("expectations") or ()):
        return []
    told = f"{NO_ROW}, and an empty table replaces nothing unless the expectation rows: {{min: 0}} allows it"
    return [ExpectationResult(check="rows", observed="; ".join([told, *remarks]), passed=False, failing=1.0, value=0)]


def require(findings: Sequence[ExpectationResult]) -> None:
    """Raise "ExpectationFailed" with the numbers of every failed expectation, unless all of those only warn."""
    failed = [finding for finding in findings if not finding.passed and finding.severity == "error"]
    if failed:
        told = "; ".join(finding.told for finding in failed)
        raise WorkloadError(
            "ExpectationFailed",
            f"{len(failed)} of {len(findings)} expectations failed, nothing is published: {told}",
            data={"failed": [finding.model_dump(mode="json") for finding in failed]},
        )


def _finding(
    asked: Mapping[str, Any], measure: Measurement, judgement: CheckVerdict, rows: tuple[offending.OffendingRow, ...]
) -> ExpectationResult:
    told = "; ".join([judgement.observed, *([f"e.g. {', '.join(row.told for row in rows)}"] if rows else [])])
    return ExpectationResult(
        check=_name(asked),
        column=asked.get("column") or measure.column,
        severity=asked.get("severity") or "error",
        observed=told,
        passed=judgement.passed,
        failing=judgement.failing,
        value=judgement.value if judgement.value is None or math.isfinite(judgement.value) else None,  # JSON has none
        offending=tuple(row.values for row in rows),
    )


# -- measuring -------------------------------------------------------------------------------------------------------


def _measure(expectation: Mapping[str, Any], table: CheckedTable) -> Measurement:
    name = _name(expectation)
    asked = AskedCheck(
        name, expectation[name], expectation.get("column") or "", expectation.get("tolerance") or 0.0, table
    )
    try:
        return CHECKS[name](asked)
    except WorkloadError:
        raise
    except Exception as error:
        raise _impossible(expectation, table, error) from error


def _name(expectation: Mapping[str, Any]) -> str:
    return next(word for word in CHECKS if expectation.get(word) is not None)


def _measured(
    rows: pl.LazyFrame, expectations: Expectations, measures: Sequence[Measurement], table: CheckedTable
) -> list[dict[str, Any]]:
    """The numbers of each measure, and at the end those that every table has. The engine names no expectation in what
    it raises, so then they are measured one by one."""
    ages = [parse_duration(asked["freshness"]) for asked in expectations if asked.get("freshness")]
    until = table.now + min(ages, default=timedelta()) if ages else None
    always = Measurement(
        lambda _: CheckVerdict.of_table(True, ""),
        {"rows": pl.len(), "newest": newest_event(table.timestamp, until) if table.timestamp else pl.lit(None)},
    )
    try:
        return _collected(rows, [*measures, always])
    except _OF_THE_ENGINE:
        for expectation, measure in zip(expectations, measures, strict=True):
            try:
                _collected(rows, [measure])
            except _OF_THE_ENGINE as error:
                raise _impossible(expectation, table, error) from error
        raise


_OF_THE_ENGINE = (Exception, pl.exceptions.PanicException)
"""A panic is no Exception and would pass by."""


def _collected(rows: pl.LazyFrame, measures: Sequence[Measurement]) -> list[dict[str, Any]]:
    aggregates = [
        expression.alias(f"{index}:{name}")
        for index, measure in enumerate(measures)
        for name, expression in measure.aggregates.items()
    ]
    apart = [
        measure.apart(rows).select(pl.all().name.prefix(f"{index}:"))
        for index, measure in enumerate(measures)
        if measure.apart is not None
    ]
    queries = [*([rows.select(aggregates)] if aggregates else []), *apart]
    found: list[dict[str, Any]] = [{} for _ in measures]
    if queries:
        row = pl.concat(queries, how="horizontal").collect(engine="streaming").row(0, named=True)
        for key, value in row.items():
            index, _, name = key.partition(":")
            found[int(index)][name] = value
    return found


def _impossible(expectation: Mapping[str, Any], table: CheckedTable, error: BaseException) -> WorkloadError:
    """What a library says of a check names no expectation, so that is added."""
    named = expectation.get("unique") or (expectation.get("references") or {}).get("columns") or []
    columns = [expectation["column"]] if expectation.get("column") else named
    told = [f"{name} ({table.schema[name]})" if name in table.schema else str(name) for name in columns]
    on = f" on {', '.join(told)}" if told else ""
    said = first_line(error) if isinstance(error, pl.exceptions.PolarsError) else raised(error)
    name = f"sql {expectation['sql']!r}" if expectation.get("sql") else _name(expectation)
    return WorkloadError("WrongType", f"expectation {name} cannot be checked{on}: {said}")
