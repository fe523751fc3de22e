"""Every expectation, passing and failing, with its numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from framework.kinds.feature_view import expectation
from framework.ports import ExpectationResult
from framework.workloads.context import WorkloadError
from framework.workloads.features.checks import CHECKS
from framework.workloads.features.expectations import check, emptiness, require

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


def findings_of(frame: pl.DataFrame, expectations: Sequence[dict[str, Any]]) -> tuple[ExpectationResult, ...]:
    """Of a view with these rows."""
    spec = {"entities": frame.columns[:1], "timestamp": "at", "expectations": expectations}
    return check(frame.lazy(), spec, NOW).findings


@pytest.mark.parametrize(
    ("expectation", "passed", "told"),
    [
        ({"column": "delay", "between": [0, 20]}, True, "0 of 4"),
        ({"column": "delay", "between": [0, 19]}, False, "1 of 4 values lie outside [0, 19], which span 0.0 to 20.0"),
        ({"column": "delay", "between": [0, 19], "tolerance": 0.25}, True, "25.000% may"),
        ({"column": "delay", "between": [0, 19], "tolerance": 0.24}, False, "(25.000%"),
        ({"column": "delay", "notNull": True}, False, "1 of 4 values are null"),
        ({"column": "delay", "notNull": False}, True, "0 of 4"),
        (
            {"column": "origin", "oneOf": ["EWR", "JFK", "LGA"]},
            False,
            "(key 3, at 2013-01-09T00:00:00Z has origin 'lga')",
        ),
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
    (finding,) = findings_of(FRAME, [expectation])
    assert finding.passed is passed, finding
    assert told in finding.observed


NUMBERS = [
    {"column": "x", "notNull": True},
    {"column": "x", "notNull": True, "tolerance": 0.5},
    {"column": "x", "between": [0, 5]},
    {"column": "x", "oneOf": [1.0, 3.0]},
    {"column": "x", "quantile": {"q": 1.0, "max": 3}},
    {"unique": ["x"]},
    {"sql": "x < 9"},
    {"sql": "AVG(x) = 2"},
]


@pytest.mark.parametrize("missing", [[None, None], [math.nan, math.nan], [None, math.nan], [math.nan, None]])
def test_nan_and_null_are_missing_alike(missing: list[float | None]) -> None:
    """Nulls pass ranges and lists, count for notNull and for unique, and satisfy no condition; so does NaN."""
    frame = pl.DataFrame({"x": [1.0, 3.0, *missing], "at": [NOW] * 4})
    found = findings_of(frame, NUMBERS)
    assert [finding.passed for finding in found] == [False, True, True, True, True, False, False, True]
    assert [finding.failing for finding in found] == [0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0]


ON_NOTHING = [
    {"unique": ["key"]},
    {"column": "delay", "between": [0, 1]},
    {"column": "delay", "notNull": True},
    {"column": "origin", "oneOf": ["EWR"]},
    {"column": "origin", "matches": "E.*", "tolerance": 0.5},
    {"sql": "delay > 0"},
]
ON_THE_TABLE = [{"freshness": "1d"}, {"column": "delay", "quantile": {"q": 0.5, "min": 0}}, {"rows": {"max": 9}}]


def test_a_share_of_nothing_is_unknown_and_an_empty_table_is_refused_by_itself() -> None:
    bare = FRAME.clear()
    found = findings_of(bare, [*ON_NOTHING, *ON_THE_TABLE])
    assert [finding.passed for finding in found] == [False] * 8 + [True]
    for asked in ([], ON_THE_TABLE[-1:], ON_NOTHING):
        (finding,) = emptiness(bare.height, {"expectations": asked})
        assert not finding.passed
        assert "rows: {min: 0}" in finding.observed
    assert emptiness(FRAME.height, {"expectations": []}) == []


def test_a_table_that_may_be_empty_passes_what_rows_would_have_to_break() -> None:
    allowed = [*ON_NOTHING, {"rows": {"min": 0}}, *ON_THE_TABLE[:2]]
    found = findings_of(FRAME.clear(), allowed)
    assert [finding.passed for finding in found] == [True] * 7 + [False] * 2
    assert emptiness(FRAME.clear().height, {"expectations": allowed}) == []


@pytest.mark.parametrize(
    ("days", "allowed", "passed", "told"),
    [
        ([-3, 400], "1d", False, "newest 2013-01-07 00:00Z"),
        ([-3, 400], "1d", False, "ahead of the clock prove nothing: 1, up to 2014-02-14 00:00Z"),
        ([400, 500], "1d", False, "there is no row; event times more than 1d ahead"),
        ([-0.5, 400], "1d", True, "newest 2013-01-09 12:00Z"),
        ([-3, 0.5], "1d", True, "newest 2013-01-10 12:00Z"),
        ([-3, 1], "1d", True, "newest 2013-01-11 00:00Z"),
        ([None, -3], "1d", False, "newest 2013-01-07 00:00Z"),
        ([None, None], "1d", False, "there is no row"),
    ],
)
def test_a_time_ahead_of_the_clock_is_no_proof_of_freshness(
    days: list[float | None], allowed: str, passed: bool, told: str
) -> None:
    moments = [None if day is None else NOW + timedelta(days=day) for day in days]
    frame = pl.DataFrame({"at": pl.Series(moments, dtype=pl.Datetime("us", "UTC"))})
    (finding,) = findings_of(frame, [{"freshness": allowed}])
    assert (finding.passed, told in finding.observed) == (passed, True), finding


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize(
    ("sql", "passed"),
    [
        ("COUNT(key) > 1000", False),
        ("COUNT(*) >= 1", True),
        ("MAX(key) < 9 AND MIN(key) > 0", True),
        ("AVG(delay) > 9000", False),
        ("AVG(delay) > NULL", False),
        ("1 = 2", False),
        ("1 = 1", True),
    ],
)
def test_a_condition_on_the_table_is_one_condition_whatever_the_tolerance(sql: str, passed: bool, rows: int) -> None:
    frame = FRAME.head(rows)
    for tolerance in ({}, {"tolerance": 0.001}, {"tolerance": 1.0}):
        (finding,) = findings_of(frame, [{"sql": sql, **tolerance}])
        assert (finding.passed, finding.failing) == (passed, 0.0 if passed else 1.0)
        assert "the table" in finding.observed


def test_a_condition_on_rows_may_look_at_the_table() -> None:
    (finding,) = findings_of(FRAME, [{"sql": "delay <= AVG(delay)"}])
    assert "2 of 4 rows" in finding.observed


@pytest.mark.parametrize("sql", ["key + 1", "NULL", "origin", "key >", "gate > 1", "key, delay"])
def test_what_is_no_condition_is_refused(sql: str) -> None:
    with pytest.raises(WorkloadError, match="expectation sql") as caught:
        findings_of(FRAME, [{"sql": sql}])
    assert caught.value.reason == "TransformFailed"
    assert "\n" not in str(caught.value)


def test_all_failures_are_told_together() -> None:
    findings = findings_of(FRAME, [{"rows": {"min": 9}}, {"rows": {"min": 1}}, {"column": "delay", "notNull": True}])
    with pytest.raises(WorkloadError, match=r"2 of 3 expectations failed.*4 rows.*1 of 4 values are null") as caught:
        require(findings)
    assert caught.value.reason == "ExpectationFailed"
    assert [row["check"] for row in caught.value.data["failed"]] == ["rows", "notNull"]


def test_a_check_that_does_not_fit_the_column_is_told() -> None:
    with pytest.raises(WorkloadError, match="matches cannot be checked on delay"):
        findings_of(FRAME, [{"column": "delay", "matches": "x"}])
    with pytest.raises(WorkloadError, match="oneOf cannot be checked on key"):
        findings_of(FRAME, [{"column": "key", "oneOf": ["a"]}])


@pytest.mark.parametrize(
    ("expectation", "told"),
    [
        ({"unique": ["key", "key"]}, "unique cannot be checked on key (Int64), key (Int64): "),
        ({"unique": ["nowhere"]}, "unique cannot be checked on nowhere: "),
        ({"column": "origin", "matches": "("}, "matches cannot be checked on origin (String): "),
        ({"column": "nowhere", "between": [0, 1]}, "between cannot be checked on nowhere: "),
        ({"column": "origin", "quantile": {"q": 0.5, "min": 0}}, "quantile cannot be checked on origin (String): "),
        ({"column": "origin", "oneOf": [[1]]}, "oneOf cannot be checked on origin (String): "),
    ],
)
def test_whatever_a_library_says_of_a_check_is_told_with_its_name(expectation: dict, told: str) -> None:
    with pytest.raises(WorkloadError, match=f"^expectation {re.escape(told)}") as caught:
        findings_of(FRAME, [expectation])
    assert caught.value.reason == "WrongType"


def test_rules_and_the_workload_know_the_same_checks() -> None:
    assert set(expectation.CHECKS) == set(CHECKS)


def test_rows_that_differ_are_named_before_those_that_are_alike() -> None:
    frame = pl.DataFrame({"key": range(50), "at": [NOW] * 50, "s": ["a"] * 40 + ["b", "c"] + ["ok"] * 8})
    (finding,) = findings_of(frame, [{"column": "s", "oneOf": ["ok"]}])
    assert [row["key"] for row in finding.offending] == [0, 1, 2, 40, 41]


def test_a_value_that_is_long_is_cut() -> None:
    frame = pl.DataFrame({"key": [1], "at": [NOW], "s": ["x" * 100_000]})
    (finding,) = findings_of(frame, [{"column": "s", "matches": "y"}])
    assert len(finding.observed) < 300
    assert len(str(finding.offending)) < 2_000


def test_what_shows_only_in_the_rows_names_its_expectation() -> None:
    with pytest.raises(
        WorkloadError, match=r"expectation sql 'CAST\(origin AS INT\) > 3' cannot be checked: .*\"EWR\""
    ):
        findings_of(FRAME, [{"rows": {"min": 1}}, {"sql": "CAST(origin AS INT) > 3"}])


def test_one_that_only_warns_stops_nothing() -> None:
    findings = findings_of(FRAME, [{"rows": {"min": 9}, "severity": "warn"}])
    require(findings)
    assert [(finding.passed, finding.severity) for finding in findings] == [(False, "warn")]


def test_a_view_without_event_times_is_checked_too() -> None:
    spec = {"entities": ["key"], "expectations": [{"unique": ["key"]}]}
    found = check(FRAME.lazy(), spec, NOW)
    assert (found.newest, len(found.findings[0].offending)) == (None, 2)


@pytest.mark.parametrize("more", [{"severity": "warn"}, {"tolerance": 1.0}])
def test_a_key_names_one_row_of_a_view_without_event_times_whatever_the_spec_lets_pass(more: dict[str, Any]) -> None:
    spec = {"entities": ["key"], "expectations": [{"unique": ["key"], **more}]}
    with pytest.raises(WorkloadError, match=r"1 of 2 expectations failed.*unique of key: 2 of 4 rows share \(key\)"):
        require(check(FRAME.lazy(), spec, NOW).findings)
