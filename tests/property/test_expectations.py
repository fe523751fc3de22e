"""Whatever a table holds, every expectation finds what a few lines of plain Python find."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.drift.bins import align
from framework.drift.statistics import STATISTICS
from framework.drift.summaries import decile_edges
from framework.ports import ColumnSummary, ExpectationResult
from framework.workloads.features.checks import CHECKS
from framework.workloads.features.checks.measure import PreviousVersion
from framework.workloads.features.expectations import check

NOW = datetime(2024, 3, 1, tzinfo=UTC)
Row = Mapping[str, Any]
Table = list[dict[str, Any]]

NUMBER = st.none() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, 2.5]) | st.floats(-9, 9, width=32)
TEXT = st.none() | st.sampled_from(["", "a", "ab", "é", "日本", "a\nb", "ＡＢ", "e\u0301"]) | st.text(max_size=3)
ROW = st.fixed_dictionaries(
    {
        "key": st.integers(0, 3),
        "at": st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days)),
        "x": NUMBER,
        "n": st.none() | st.integers(-3, 3),
        "s": TEXT,
        "b": st.none() | st.booleans(),
    }
)
SCHEMA = {
    "key": pl.Int64, "at": pl.Datetime("us", "UTC"), "x": pl.Float64, "n": pl.Int16, "s": pl.String, "b": pl.Boolean,
}  # fmt: skip
TABLE = st.lists(ROW, max_size=12)


def known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def values(rows: Table, column: str) -> list[Any]:
    return [row[column] for row in rows if known(row[column])]


def key_of(row: Row, names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] + 0.0 if isinstance(row[name], float) and known(row[name]) else
                 (row[name] if known(row[name]) else None) for name in names)  # fmt: skip


def shared(names: Sequence[str]) -> Callable[[Table, Row], bool]:
    return lambda rows, row: Counter(key_of(other, names) for other in rows)[key_of(row, names)] > 1


OF_ROWS: list[tuple[dict[str, Any], Callable[[Table, Row], bool]]] = [
    ({"column": "x", "notNull": True}, lambda rows, row: not known(row["x"])),
    ({"column": "s", "notNull": True}, lambda rows, row: not known(row["s"])),
    ({"column": "x", "between": [-1, 2.5]}, lambda rows, row: known(row["x"]) and not -1 <= row["x"] <= 2.5),
    ({"column": "n", "between": [0, 2]}, lambda rows, row: known(row["n"]) and not 0 <= row["n"] <= 2),
    ({"column": "x", "oneOf": [0, 1.0]}, lambda rows, row: known(row["x"]) and row["x"] not in (0.0, 1.0)),
    ({"column": "s", "oneOf": ["a", "日本"]}, lambda rows, row: known(row["s"]) and row["s"] not in ("a", "日本")),
    ({"column": "b", "oneOf": [True]}, lambda rows, row: row["b"] is False),
    ({"column": "s", "matches": "[a-c]*"}, lambda rows, row: known(row["s"]) and not re.fullmatch("[a-c]*", row["s"])),
    ({"unique": ["key"]}, shared(["key"])),
    ({"unique": ["x", "s"]}, shared(["x", "s"])),
    ({"sql": "x > 0"}, lambda rows, row: not (known(row["x"]) and row["x"] > 0)),
    ({"sql": "n > 0 OR b"}, lambda rows, row: not ((known(row["n"]) and row["n"] > 0) or row["b"])),
    ({"references": {"columns": ["n"], "view": "other"}}, lambda rows, row: known(row["n"]) and row["n"] not in (0, 1)),
    (
        {"references": {"columns": ["key", "s"], "view": "other", "to": ["n", "s"]}},
        lambda rows, row: known(row["s"]) and (row["key"], row["s"]) not in {(0, "a"), (1, "é")},
    ),
]
OTHER = pl.LazyFrame({"n": [0, 1, 0, None], "s": ["a", "é", "a", "b"]}, schema={"n": pl.Int64, "s": pl.String})


def nearest(found: list[float], q: float) -> float | None:
    """The value nearest to that rank, the upper one of two (as Polars rounds, half away from zero)."""
    return sorted(found)[math.floor(q * (len(found) - 1) + 0.5)] if found else None


def mean(found: list[float]) -> float | None:
    total = sum(found)
    return total / len(found) if found and not math.isnan(total) else None


def deviation(found: list[float]) -> float | None:
    return statistics.stdev(found) if len(found) > 1 and all(map(math.isfinite, found)) else None


OF_TABLE: list[tuple[dict[str, Any], Callable[[Table], float | None]]] = [
    ({"column": "x", "quantile": {"q": 0.5, "min": -1, "max": 2}}, lambda rows: nearest(values(rows, "x"), 0.5)),
    ({"column": "n", "quantile": {"q": 1.0, "min": -1, "max": 2}}, lambda rows: max(values(rows, "n"), default=None)),
    ({"column": "x", "mean": {"min": -1, "max": 2}}, lambda rows: mean(values(rows, "x"))),
    ({"column": "n", "mean": {"max": 1}}, lambda rows: mean(values(rows, "n"))),
    ({"column": "x", "std": {"min": 0.5, "max": 3}}, lambda rows: deviation(values(rows, "x"))),
    ({"column": "s", "distinct": {"min": 2, "max": 4}}, lambda rows: len(set(values(rows, "s")))),
    ({"column": "x", "distinct": {"min": 2}}, lambda rows: len({value + 0.0 for value in values(rows, "x")})),
    ({"column": "b", "distinct": {"min": 2}}, lambda rows: len(set(values(rows, "b")))),
    ({"rows": {"min": 3, "max": 8}}, len),
]


def found(rows: Table, asked: Mapping[str, Any], **more: Any) -> ExpectationResult:
    frame = pl.LazyFrame(rows, schema=SCHEMA)
    spec = {"entities": ["key"], "timestamp": "at", "expectations": [asked, {"rows": {"min": 0}}]}
    return check(frame, spec, NOW, views={"other": OTHER}, **more).findings[0]


@pytest.mark.parametrize(("asked", "broken"), OF_ROWS, ids=lambda item: str(item) if isinstance(item, dict) else "")
@settings(max_examples=25, deadline=None)
@given(rows=TABLE, tolerance=st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_the_rows_that_break_a_check_are_those_and_up_to_five_are_named(
    asked: dict[str, Any], broken: Callable[[Table, Row], bool], rows: Table, tolerance: float
) -> None:
    bad = [row for row in rows if broken(rows, row)]
    result = found(rows, {**asked, "tolerance": tolerance})
    share = len(bad) / len(rows) if rows else 0.0
    assert (result.failing, result.passed) == (share, share <= tolerance)
    keys = {(row["key"], row["at"].isoformat().replace("+00:00", "Z")) for row in bad}
    assert len(result.offending) == (0 if result.passed else min(5, len(bad)))
    assert {(row["key"], row["at"]) for row in result.offending} <= keys


@pytest.mark.parametrize(("asked", "statistic"), OF_TABLE, ids=lambda item: str(item) if isinstance(item, dict) else "")
@settings(max_examples=25, deadline=None)
@given(rows=TABLE)
def test_a_statistic_is_what_it_is_called_and_holds_its_bounds(
    asked: dict[str, Any], statistic: Callable[[Table], float | None], rows: Table
) -> None:
    (bounds,) = (value for name, value in asked.items() if name != "column")
    expected, result = statistic(rows), found(rows, asked)
    if expected is None or math.isinf(expected):
        assert result.value is None
    else:
        assert result.value == pytest.approx(expected, rel=1e-6, abs=1e-6)
        expected = result.value
    low, high = bounds.get("min", -math.inf), bounds.get("max", math.inf)
    assert result.passed == (expected is not None and low <= expected <= high)


@settings(max_examples=50, deadline=None)
@given(
    rows=TABLE, before=st.integers(0, 12), drop=st.sampled_from([0.0, 0.25, 0.5, 1.0]), growth=st.sampled_from([0, 0.5])
)
def test_a_change_of_rows_is_the_share_of_those_before(rows: Table, before: int, drop: float, growth: float) -> None:
    previous = PreviousVersion(3, before, pl.LazyFrame())
    result = found(rows, {"rowsChange": {"maxDrop": drop, "maxGrowth": growth}}, previous=previous)
    assert result.passed == (not before or before * (1 - drop) <= len(rows) <= before * (1 + growth))


@settings(max_examples=50, deadline=None)
@given(rows=TABLE, days=st.integers(1, 4))
def test_freshness_counts_what_is_not_too_far_ahead(rows: Table, days: int) -> None:
    age = timedelta(days=days)
    counting = [row["at"] for row in rows if row["at"] <= NOW + age]
    assert found(rows, {"freshness": f"{days}d"}).passed == (bool(counting) and NOW - max(counting) <= age)


def summary(column: str, rows: Table, edges: tuple[float, ...]) -> ColumnSummary:
    there = values(rows, column)
    nulls = len(rows) - len(there)
    if column in ("s", "b"):
        words = {True: "true", False: "false"}
        items = Counter(words[value] if isinstance(value, bool) else value for value in there)
        return ColumnSummary(column, len(rows), nulls, categories={name: float(items[name]) for name in sorted(items)})
    bins = list(pairwise(edges))
    counts = [sum(low < value <= high or (value == high == low) for value in there) for low, high in bins]
    if bins:  # what is -inf lies in the first one
        counts[0] = sum(value <= bins[0][1] for value in there)
    return ColumnSummary(column, len(rows), nulls, edges, tuple(map(float, counts)))


@pytest.mark.parametrize("column", ["x", "n", "s", "b"])
@pytest.mark.parametrize("statistic", ["psi", "js", "hellinger", "ks"])
@settings(max_examples=15, deadline=None)
@given(rows=TABLE.filter(bool), before=TABLE.filter(bool))
def test_drift_is_the_distance_of_the_counts_in_the_bins_of_the_version_before(
    statistic: str, column: str, rows: Table, before: Table
) -> None:
    if statistic == "ks" and column in ("s", "b"):
        statistic = "psi"
    there = [float(value) for value in values(before, column)] if column in ("x", "n") else []
    edges = decile_edges(min(there), max(there), [nearest(there, step / 10) for step in range(1, 10)]) if there else ()
    bins = align(summary(column, before, edges), summary(column, rows, edges), ordered=STATISTICS[statistic].ordered)
    distance, chance = STATISTICS[statistic].distance(bins), STATISTICS[statistic].noise(bins, 0.001)
    previous = PreviousVersion(
        3, len(before), pl.LazyFrame(before, schema=SCHEMA).with_columns(pl.col("x").fill_nan(None))
    )
    result = found(rows, {"column": column, "drift": {"statistic": statistic, "max": 0.1}}, previous=previous)
    assert result.value == pytest.approx(distance)
    assert result.passed == (distance <= max(0.1, chance))


def test_every_check_is_held_to_one() -> None:
    tried = {name for asked, _ in [*OF_ROWS, *OF_TABLE] for name in asked} - {"column"}
    assert tried | {"rowsChange", "freshness", "drift"} == set(CHECKS)
