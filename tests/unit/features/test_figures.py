"""Figures of columns: the same of rows and of their profile, whatever the rows are."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from framework.figures import ColumnFigures
from framework.workloads.features.figures import figures_in, figures_of
from framework.workloads.profiling import profile_bytes

AT = datetime(2026, 1, 1, tzinfo=UTC)
FRAME = pl.DataFrame(
    {
        "rows": [1.0, float("nan"), None, 4.0],
        "0 nulls": ["b", "a", "b", None],
        "ü [€]": [True, False, None, True],
        "at": [AT, AT + timedelta(hours=1), AT + timedelta(days=1), None],
        "list": [[1], [2], None, [3]],
        "nothing": [None, None, None, None],
    }
)


def by_name(found: tuple[ColumnFigures, ...]) -> dict[str, ColumnFigures]:
    return {one.name: one for one in found}


def test_every_column_is_told_whatever_its_name_and_dtype() -> None:
    found = by_name(figures_of(FRAME.lazy()))
    assert list(found) == FRAME.columns
    assert {name: one.nulls for name, one in found.items()} == {
        "rows": 2, "0 nulls": 1, "ü [€]": 1, "at": 1, "list": 1, "nothing": 4,
    }  # fmt: skip
    assert (found["rows"].mean, found["rows"].quantiles["0.5"], found["rows"].distinct) == (2.5, 2.5, 2)
    assert found["0 nulls"].items == (("b", 2), ("a", 1))
    assert found["ü [€]"].items == (("true", 2), ("false", 1))
    assert found["at"].quantiles["0"] == AT.timestamp()
    assert (found["list"].distinct, found["nothing"].quantiles) == (None, {})


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_are_told_too(rows: int) -> None:
    found = by_name(figures_of(FRAME.head(rows).lazy()))
    assert {one.rows for one in found.values()} == {rows}
    assert found["rows"].missing == (0.0 if rows else None)


def test_infinite_values_are_values() -> None:
    (found,) = figures_of(pl.LazyFrame({"x": [-math.inf, 1.0, math.inf]}))
    assert (found.nulls, found.mean, found.quantiles["0"], found.quantiles["1"]) == (0, None, -math.inf, math.inf)
    words = (("x", "Float64"),)
    (profiled,) = figures_in(profile_bytes(pl.DataFrame({"x": [-math.inf, 1.0, math.inf]}), AT), words)
    assert (profiled.quantiles["1"], profiled.counts) == (math.inf, ())


def test_a_profile_tells_what_the_rows_do() -> None:
    frame = pl.DataFrame(
        {"x": [float(n) for n in range(500)], "s": ["a", "b", None, "b"] * 125, "b": [True, False] * 250}
    )
    words = [("x", "Float64"), ("s", "String"), ("b", "Boolean"), ("not profiled", "Int64")]
    of_profile, of_rows = by_name(figures_in(profile_bytes(frame, AT), words)), by_name(figures_of(frame.lazy()))
    assert list(of_profile) == ["x", "s", "b"]
    for name, one in of_profile.items():
        other = of_rows[name]
        assert (one.rows, one.nulls, one.items) == (other.rows, other.nulls, other.items)
        assert one.distinct == pytest.approx(other.distinct, rel=0.02)
        assert one.mean == (None if other.mean is None else pytest.approx(other.mean))
    assert of_profile["x"].quantiles["0.5"] == pytest.approx(250, abs=2)
    assert sum(of_profile["x"].counts) == 500
    assert len(of_profile["x"].edges) == len(of_profile["x"].counts) + 1


@pytest.mark.parametrize("value", [0.0, 7.0, -1e300])
def test_a_constant_has_one_bar(value: float) -> None:
    (found,) = figures_in(profile_bytes(pl.DataFrame({"x": [value] * 9}), AT), [("x", "Float64")])
    assert found.counts == (9,)
    assert found.edges[0] == value < found.edges[1]


@pytest.mark.parametrize("data", [b"", b"WHY1", b"nothing of the kind"])
def test_what_is_no_profile_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="no whylogs profile"):
        figures_in(data, [("x", "Float64")])
