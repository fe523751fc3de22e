"""Every expectation, passing and failing, with its numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.features.expectations import check, require

NOW = datetime(2013, 1, 10, tzinfo=UTC)
FRAME = pl.DataFrame(
    {
        "key": [1, 2, 3, 3],
        "at": [NOW - timedelta(days=day) for day in (4, 3, 2, 1)],
        "delay": [0.0, 10.0, 20.0, None],
        "origin": ["EWR", "JFK", "LGA", "lga"],
    },
    schema_overrides={"at": pl.Datetime("us", "UTC")},
)


@pytest.mark.parametrize(
    ("expectation", "passed", "told"),
    [
        ({"column": "delay", "between": [0, 20]}, True, "0 of 4"),
        ({"column": "delay", "between": [0, 19]}, False, "1 of 4 values lie outside [0, 19], which span 0.0 to 20.0"),
        ({"column": "delay", "between": [0, 19], "tolerance": 0.25}, True, "25.000% may"),
        ({"column": "delay", "between": [0, 19], "tolerance": 0.24}, False, "(25.000%"),
        ({"column": "delay", "notNull": True}, False, "1 of 4 values are null"),
        ({"column": "delay", "notNull": False}, True, "0 of 4"),
        ({"column": "origin", "oneOf": ["EWR", "JFK", "LGA"]}, False, "e.g. 'lga'"),
        ({"column": "key", "oneOf": [1, 2, 3]}, True, "0 of 4"),
        ({"column": "delay", "oneOf": [0, 10, 20]}, True, "0 of 4"),
        ({"column": "origin", "matches": "[A-Z]{3}"}, False, "1 of 4 values do not match"),
        ({"column": "origin", "matches": "[A-Za-z]{2}"}, False, "4 of 4 values do not match"),
        ({"column": "origin", "matches": "EWR|JFK|LGA|lga"}, True, "0 of 4"),
        ({"column": "delay", "quantile": {"q": 0.5, "min": 5, "max": 15}}, True, "0.5 quantile is 10"),
        ({"column": "delay", "quantile": {"q": 0.5, "max": 5}}, False, "expected [-inf, 5]"),
        ({"unique": ["key"]}, False, "2 of 4 rows share (key)"),
        ({"unique": ["key", "origin"]}, True, "0 of 4"),
        ({"rows": {"min": 4}}, True, "4 rows, expected at least 4"),
        ({"rows": {"min": 5, "max": 9}}, False, "at least 5 and at most 9"),
        ({"freshness": "1d"}, True, "newest 2013-01-09 00:00Z"),
        ({"freshness": "23h"}, False, "allowed age 23h"),
        ({"sql": "delay < 20"}, False, "2 of 4 rows do not satisfy delay < 20"),
        ({"sql": "key > 0 AND origin <> 'BOS'"}, True, "0 of 4"),
    ],
)
def test_each_check_counts(expectation: dict, passed: bool, told: str) -> None:
    (finding,) = check(FRAME, [expectation], "at", NOW)
    assert finding.passed is passed, finding
    assert told in finding.observed


def test_nan_is_outside_every_range() -> None:
    frame = pl.DataFrame({"x": [1.0, float("nan")], "at": [NOW, NOW]})
    (finding,) = check(frame, [{"column": "x", "between": [0, 2]}], "at", NOW)
    assert not finding.passed


def test_an_empty_table_passes_row_checks_and_fails_freshness() -> None:
    expectations = [{"unique": ["key"]}, {"column": "delay", "between": [0, 1]}, {"freshness": "1d"}]
    found = check(FRAME.clear(), expectations, "at", NOW)
    assert [finding.passed for finding in found] == [True, True, False]


def test_all_failures_are_told_together() -> None:
    findings = check(
        FRAME, [{"rows": {"min": 9}}, {"rows": {"min": 1}}, {"column": "delay", "notNull": True}], "at", NOW
    )
    with pytest.raises(WorkloadError, match=r"2 of 3 expectations failed.*4 rows.*1 of 4 values are null") as caught:
        require(findings)
    assert caught.value.reason == "ExpectationFailed"
    assert [row["check"] for row in caught.value.data["failed"]] == ["rows", "notNull"]


def test_a_check_that_does_not_fit_the_column_is_told() -> None:
    with pytest.raises(WorkloadError, match="matches cannot be checked on delay"):
        check(FRAME, [{"column": "delay", "matches": "x"}], "at", NOW)
    with pytest.raises(WorkloadError, match="oneOf cannot be checked on key"):
        check(FRAME, [{"column": "key", "oneOf": ["a"]}], "at", NOW)
