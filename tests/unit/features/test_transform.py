"""From sources to declared rows."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.features.dtypes import DTYPES, Columns, from_stored, select_declared, to_stored, yielded
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


def as_declared(frame: pl.DataFrame, columns: Columns) -> pl.DataFrame:
    return select_declared(yielded(frame.lazy(), columns), columns).collect()


def doubled(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights.with_columns(pl.col("delay") * 2)


def raises(flights: pl.LazyFrame) -> pl.LazyFrame:
    raise KeyError("gate")


def raises_late(flights: pl.LazyFrame) -> pl.LazyFrame:
    return flights.with_columns(pl.col("delay").map_elements(_divided, return_dtype=pl.Float64))


def _divided(delay: float) -> float:
    return delay / 0


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
        (
            {"function": f"{__name__}:raises"},
            "TransformFailed",
            r"test_transform:raises raised KeyError: 'gate' \(tests/unit/features/test_transform\.py:\d+, in raises\)$",
        ),
        (
            {"function": f"{__name__}:raises_late"},
            "TransformFailed",
            r"failed: ZeroDivisionError: .* \(tests/unit/features/test_transform\.py:\d+, in _divided\)$",
        ),
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
        as_declared(frame, [("a", "Int64"), ("b", "Int32"), ("c", "Int8")])
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
    assert as_declared(pl.DataFrame({"x": series}), [("x", word)])["x"].to_list() == [value]


FIRST, LAST = -96_465_292, 95_026_236
FAR_DAYS = pl.Series([2**30, 0, None, LAST, -(2**31)], dtype=pl.Int32).cast(pl.Date)
FAR = pl.Series([2**62, 1])
NAIVE = pl.Series([date(2013, 1, 2)]).cast(pl.Datetime("us"))


@pytest.mark.parametrize(
    ("series", "word", "values"),
    [
        (pl.Series([2**53, -(2**53)]), "Float64", [2.0**53, -(2.0**53)]),
        (pl.Series([2.0**53 - 1, 1 - 2.0**53]), "Int64", [2**53 - 1, 1 - 2**53]),
        (pl.Series([1.0, math.nan, None, -3.0]), "Int8", [1, None, None, -3]),
        (pl.Series([0.1, math.inf]), "Float32", [pytest.approx(0.1), math.inf]),
        (pl.Series([Decimal("0.5"), Decimal("2")]), "Float64", [0.5, 2.0]),
        (pl.Series([Decimal("2.0")]), "Int64", [2]),
        (pl.Series([2**40], dtype=pl.Int128), "Int64", [2**40]),
        (pl.Series([None, None], dtype=pl.String), "Float64", [None, None]),
        (pl.Series([None, None], dtype=pl.String), "Datetime", [None, None]),
        (pl.Series([None], dtype=pl.Int64), "Boolean", [None]),
        (pl.Series([math.nan]), "String", [None]),
        (pl.Series([], dtype=pl.String), "Date", []),
        (pl.Series([7_000], dtype=pl.Datetime("ns")), "Datetime", [datetime(1970, 1, 1, 0, 0, 0, 7, UTC)]),
        (pl.Series([1], dtype=pl.Datetime("ms")), "Datetime", [datetime(1970, 1, 1, 0, 0, 0, 1000, UTC)]),
        (
            (NAIVE + timedelta(hours=3)).dt.replace_time_zone("Europe/Berlin"),
            "Datetime",
            [datetime(2013, 1, 2, 2, tzinfo=UTC)],
        ),
        (NAIVE, "Date", [date(2013, 1, 2)]),
    ],
)
def test_a_conversion_that_changes_no_value_is_made(series: pl.Series, word: str, values: list[Any]) -> None:
    found = as_declared(pl.DataFrame({"x": series}), [("x", word)])["x"]
    assert (found.dtype, found.to_list()) == (DTYPES[word], values)


@pytest.mark.parametrize(
    ("series", "word", "told"),
    [
        (pl.Series([1e300, 1.0]), "Float32", "1 of 2 values is .* e.g. 1e\\+300"),
        (pl.Series([1e-300, 0.0]), "Float32", "1 of 2 values is .* e.g. 1e-300"),
        (pl.Series([2**53 + 1, 5, None]), "Float64", "1 of 2 values is .* e.g. 9007199254740993"),
        (pl.Series([2**24 + 1]), "Float32", "16777217"),
        (pl.Series([2**63 - 1]), "Float64", "9223372036854775807"),
        (pl.Series([1.5, 1.5, 2.5, 3.5, 4.5, 6.0]), "Int64", "5 of 6 values are .* e.g. 1.5, 2.5, 3.5$"),
        (pl.Series([2.0**53 + 2]), "Int64", "9007199254740994"),
        (pl.read_csv(b"x\n9007199254740993\n1.0\n")["x"], "Int64", "1 of 2 values is .* e.g. 9007199254740992.0$"),
        (pl.read_csv(b"x\n-9007199254740993\n1.0\n")["x"], "Int64", "1 of 2 values is .* e.g. -9007199254740992.0$"),
        (pl.Series([-(2.0**24)], dtype=pl.Float32), "Int32", "-16777216"),
        (pl.Series([1e300]), "Int64", "1e\\+300"),
        (pl.Series([math.inf]), "Int64", "inf"),
        (pl.Series([300, 5]), "Int8", "1 of 2 values is .* e.g. 300"),
        (pl.Series([-1]), "UInt64", "e.g. -1"),
        (pl.Series([2**63], dtype=pl.UInt64), "Int64", "9223372036854775808"),
        (pl.Series([Decimal("1.5")]), "Int64", "e.g. 1.5"),
        (pl.Series([Decimal(2**60 + 1)]), "Float64", "1152921504606846977"),
        (pl.Series(["1", "n/a", "298,1"]), "Float64", "String, and 2 of 3 values are no number, e.g. 'n/a', '298,1'"),
        (pl.Series(["1", "2"]), "Int64", "String; it may CAST"),
        (pl.Series(["2013-01-01"]), "Date", "String"),
        (pl.Series([True]), "Int8", "Boolean"),
        (pl.Series([7_001], dtype=pl.Datetime("ns")), "Datetime", "1 of 1 values is .* 00:00:00.000007001"),
        (NAIVE + timedelta(hours=3), "Date", "e.g. 2013-01-02 03:00:00"),
        (NAIVE.dt.replace_time_zone("Europe/Berlin"), "Date", "Europe/Berlin"),
        (FAR_DAYS, "Datetime", "Date, and 2 of 4 values are outside .* e.g. 1073741824, -2147483648 \\(d since 1970"),
        (FAR_DAYS, "Date", "2 of 4 values are outside the calendar"),
        (FAR_DAYS, "String", "2 of 4 values are outside the calendar"),
        (FAR.cast(pl.Datetime("ms")), "Datetime", "1 of 2 values is outside .* e.g. 4611686018427387904 \\(ms since"),
        (FAR.cast(pl.Datetime("ms")), "Date", "1 of 2 values is outside"),
        (FAR.cast(pl.Datetime("ms", "Europe/Vienna")), "Datetime", "1 of 2 values is outside"),
        (pl.Series([-(2**63)]).cast(pl.Datetime("us")), "Datetime", "e.g. -9223372036854775808 \\(us since"),
        (pl.Series([-(2**63)]).cast(pl.Datetime("us", "UTC")), "Datetime", "1 of 1 values is outside"),
    ],
)
def test_a_conversion_that_would_change_a_value_is_refused(series: pl.Series, word: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=f"x is declared {word} but .*{told}") as caught:
        as_declared(pl.DataFrame({"x": series}), [("x", word)])
    assert caught.value.reason == "WrongType"


@pytest.mark.parametrize("unit", ["d", "ms", "us"])
def test_the_whole_calendar_is_converted_and_not_a_day_more(unit: Any) -> None:
    """The days on which the engine begins and ends are its own."""
    dtype = pl.Date() if unit == "d" else pl.Datetime(unit)
    parts = {"d": 1, "ms": 86_400_000, "us": 86_400_000_000}[unit]
    ends = [FIRST * parts, (LAST + 1) * parts - 1]

    def converted(values: list[int]) -> pl.Series:
        return as_declared(pl.DataFrame({"x": pl.Series(values).cast(dtype)}), [("x", "Datetime")])["x"]

    found = converted(ends)
    assert found.to_physical().to_list() == [value * (86_400_000_000 // parts) for value in ends]
    assert found.cast(pl.String).str.contains("262143|262142").all()
    for beyond in (ends[0] - 1, ends[1] + 1):
        with pytest.raises(WorkloadError, match=f"1 of 2 values is outside the calendar, e.g. {beyond} "):
            converted([0, beyond])


def test_a_panic_of_the_engine_is_told_with_its_file(root: str) -> None:
    far = pl.DataFrame({"day": FAR_DAYS})
    far.write_parquet(f"{root}/far.parquet")
    day = spec({"sql": "SELECT CAST(day AS TIMESTAMP) AS at, 'AA' AS carrier, 1.0 AS delay FROM far"})
    day["sources"] = {"far": {"format": "parquet", "path": "far.parquet"}}
    with pytest.raises(WorkloadError, match=r"computing the rows failed: out-of-range date; .*far\.parquet") as caught:
        compute(day, root)
    assert caught.value.reason == "TransformFailed"


def test_nan_is_published_as_null_and_is_no_key(root: str) -> None:
    nan = "SELECT carrier, at, CAST('NaN' AS DOUBLE) AS delay FROM flights"
    assert compute(spec({"sql": nan}), root)["delay"].to_list() == [None] * 4
    columns = {"key": "Float64", "at": "Datetime"}
    keyed = {**spec({"sql": "SELECT CAST('NaN' AS DOUBLE) AS key, at FROM flights"}, columns), "entities": ["key"]}
    with pytest.raises(WorkloadError, match="4 of 4 rows have no key"):
        compute(keyed, root)


def test_unsigned_integers_survive_delta() -> None:
    frame = pl.DataFrame({"x": pl.Series([0, 255], dtype=pl.UInt8), "y": pl.Series([0, 2**32 - 1], dtype=pl.UInt32)})
    columns = [("x", "UInt8"), ("y", "UInt32")]
    stored = to_stored(frame, columns)
    assert stored.schema == {"x": pl.Int16, "y": pl.Int64}
    assert from_stored(stored.lazy(), columns).collect().equals(frame)
    with pytest.raises(WorkloadError, match=r"x: 1 of 1 values is too large for Delta, e\.g\. 18446744073709551615"):
        to_stored(pl.DataFrame({"x": pl.Series([2**64 - 1], dtype=pl.UInt64)}), [("x", "UInt64")])
