"""From sources to declared rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import from_stored, select_declared, to_stored
from framework.workloads.features.transform import compute


def spec(transform: dict | None = None, columns: dict[str, str] | None = None) -> dict[str, Any]:
    words = columns or {"carrier": "String", "at": "Datetime", "delay": "Float64"}
    return {
        "entities": ["carrier"],
        "timestamp": "at",
        "sources": {"flights": {"format": "parquet", "path": "flights.parquet"}},
        "transform": transform,
        "columns": [{"name": name, "dtype": dtype} for name, dtype in words.items()],
    }


@pytest.fixture
def root(tmp_path: Path) -> str:
    pl.DataFrame(
        {
            "carrier": ["UA", "AA", "UA", "AA"],
            "at": [datetime(2013, 1, 1, hour, tzinfo=UTC) for hour in (2, 2, 1, 1)],
            "delay": [4, 3, 2, 1],
        }
    ).with_columns(pl.col("at").dt.replace_time_zone(None)).write_parquet(tmp_path / "flights.parquet")
    return str(tmp_path)


def doubled(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights.with_columns(pl.col("delay") * 2)


def raises(flights: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyError("gate")


def test_rows_come_in_canonical_order_and_at_declared_dtypes(root: str) -> None:
    frame = compute(spec(), root)
    assert frame.schema == {"carrier": pl.String, "at": pl.Datetime("us", "UTC"), "delay": pl.Float64}
    assert frame["carrier"].to_list() == ["AA", "UA", "AA", "UA"]
    assert frame["at"][0] == datetime(2013, 1, 1, 1, tzinfo=UTC)


def test_sql_and_function_compute_the_same(root: str) -> None:
    by_sql = compute(spec({"sql": "SELECT carrier, at, delay * 2 AS delay FROM flights"}), root)
    by_function = compute(spec({"function": f"{__name__}:doubled"}), root)
    assert by_sql.equals(by_function)
    assert by_sql["delay"].sum() == 20


@pytest.mark.parametrize(
    ("transform", "reason", "told"),
    [
        ({"sql": "SELECT FROM"}, "TransformFailed", "SQL"),
        ({"sql": "SELECT carrier, at, dely FROM flights"}, "TransformFailed", "dely"),
        (
            {"sql": "SELECT carrier, at, delay AS delays FROM flights"},
            "MissingColumn",
            "'delay'; did you mean 'delays'",
        ),
        (
            {"sql": "SELECT carrier, at, 'late' AS delay FROM flights"},
            "WrongType",
            "delay is declared Float64 .* String",
        ),
        ({"function": f"{__name__}:raises"}, "TransformFailed", "raised KeyError: 'gate'"),
        ({"sql": "SELECT NULL AS carrier, at, delay FROM flights"}, "NullKey", "4 of 4 rows have no carrier"),
    ],
)
def test_mistakes_are_named(root: str, transform: dict, reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        compute(spec(transform), root)
    assert caught.value.reason == reason


def test_every_wrong_column_is_told_at_once() -> None:
    frame = pl.DataFrame({"a": ["1"], "b": [1.5], "c": [300]})
    with pytest.raises(WorkloadError) as caught:
        select_declared(frame, [("a", "Int64"), ("b", "Int32"), ("c", "Int8")])
    for name in ("a is declared Int64", "b is declared Int32", "c is declared Int8"):
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("series", "word", "value"),
    [
        (pl.Series([1], dtype=pl.Int32), "Float32", 1.0),
        (pl.Series([200], dtype=pl.Int64), "UInt8", 200),
        (pl.Series([None]), "String", None),
        (pl.Series([date(2013, 1, 2)]), "Datetime", datetime(2013, 1, 2, tzinfo=UTC)),
        (pl.Series(["a"], dtype=pl.Categorical), "String", "a"),
    ],
)
def test_conversions_that_keep_the_meaning_are_made(series: pl.Series, word: str, value: Any) -> None:
    assert select_declared(pl.DataFrame({"x": series}), [("x", word)])["x"].to_list() == [value]


def test_unsigned_integers_survive_delta() -> None:
    frame = pl.DataFrame({"x": pl.Series([0, 255], dtype=pl.UInt8), "y": pl.Series([0, 2**32 - 1], dtype=pl.UInt32)})
    columns = [("x", "UInt8"), ("y", "UInt32")]
    stored = to_stored(frame, columns)
    assert stored.schema == {"x": pl.Int16, "y": pl.Int64}
    assert from_stored(stored.lazy(), columns).collect().equals(frame)
    with pytest.raises(WorkloadError, match="too large for Delta"):
        to_stored(pl.DataFrame({"x": pl.Series([2**64 - 1], dtype=pl.UInt64)}), [("x", "UInt64")])
