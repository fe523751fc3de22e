"""What aggregations say at the edges: of nothing, of one row, of rows of one instant, and of what cannot be added."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.workloads.context import WorkloadError
from framework.workloads.features import delta, materialize
from framework.workloads.features.aggregating import aggregated
from framework.workloads.features.look import look
from framework.workloads.features.transform import compute
from tests.unit.features.test_materialize import context

START = datetime(2024, 1, 1, tzinfo=UTC)
WORDS = {"customer": "String", "at": "Datetime"}


def spec(asked: list[dict[str, Any]], words: dict[str, str], **more: Any) -> dict[str, Any]:
    return {
        "entities": ["customer"],
        "timestamp": "at",
        "sources": {"orders": {"format": "parquet", "path": "orders.parquet"}},
        "aggregations": asked,
        "columns": [{"name": name, "dtype": word} for name, word in {**WORDS, **words}.items()],
        **more,
    }


def rows(*events: tuple[str, float, Any], dtype: Any = pl.Float64) -> pl.LazyFrame:
    """Events of (customer, hours, amount)."""
    table = pl.LazyFrame(events, schema={"customer": pl.String, "at": pl.Float64, "amount": dtype}, orient="row")
    return table.with_columns(at=pl.lit(START) + pl.duration(hours="at"))


def column(events: pl.LazyFrame, **asked: Any) -> list[Any]:
    asked = {"column": "amount", **asked} if asked["function"] != "rows" else {**asked, "function": "count"}
    found = aggregated(spec([{"name": "it", **asked}], {"it": "Float64"}), events).collect()
    return found.sort("customer", "at")["it"].to_list()


def test_a_window_has_the_row_and_not_what_is_as_old_as_it_is_long() -> None:
    orders = rows(("a", 0, 1.0), ("a", 1, 2.0), ("a", 2, 4.0), ("b", 2, 8.0))
    assert column(orders, function="sum", window="1h") == [1.0, 2.0, 4.0, 8.0]
    assert column(orders, function="sum", window="2h") == [1.0, 3.0, 6.0, 8.0]
    assert column(orders, function="sum") == [1.0, 3.0, 7.0, 8.0]


def test_a_session_goes_on_while_no_gap_is_longer() -> None:
    orders = rows(("a", 0, 1.0), ("a", 1, 1.0), ("a", 2.5, 1.0), ("b", 2.6, 1.0), ("a", 3, 1.0))
    assert column(orders, function="rows", session="1h") == [1, 2, 1, 2, 1]
    assert column(orders, function="rows", session="90m") == [1, 2, 3, 4, 1]


def test_rows_of_one_instant_see_each_other_and_are_in_the_order_of_their_columns() -> None:
    orders = rows(("a", 0, 1.0), ("a", 1, 7.0), ("a", 1, 3.0), ("a", 1, None))
    assert column(orders, function="sum", window="1h") == [1.0, 10.0, 10.0, 10.0]
    assert column(orders, function="last") == [1.0, 7.0, 7.0, 7.0]
    assert column(orders, function="last", lag=1) == [None, 3.0, 3.0, 3.0]
    assert column(orders, function="last", lag=3) == [None] * 4


@pytest.mark.parametrize(
    ("function", "of_none", "of_one"),
    [
        ("sum", 0.0, 2.0), ("mean", None, 2.0), ("std", None, None), ("min", None, 2.0), ("max", None, 2.0),
        ("count", 0, 1), ("count_distinct", 0, 1), ("first", None, 2.0), ("last", None, 2.0),
    ],
)  # fmt: skip
def test_of_nothing_and_of_one_value(function: str, of_none: Any, of_one: Any) -> None:
    orders = rows(("a", 0, None), ("b", 0, float("nan")), ("c", 0, 2.0))
    assert column(orders, function=function, window="1d") == [of_none, of_none, of_one]
    assert column(orders, function=function, where="amount > 5") == [of_none] * 3
    assert column(orders.clear(), function=function) == []
    assert column(rows(("a", 0, None), ("a", 1, None)), function=function, session="1h") == [of_none] * 2


def test_a_constant_has_no_deviation_and_what_was_large_leaves_nothing_behind() -> None:
    assert column(rows(*(("a", hour, 0.1) for hour in range(5))), function="std")[1:] == [0.0] * 4
    orders = rows(("a", 0, 1e16), ("a", 1, 0.1), ("a", 2, 0.2))
    assert column(orders, function="sum", window="2h")[2] == 0.1 + 0.2
    assert column(rows(("a", 0, float("inf")), ("a", 5, 1.0)), function="sum", window="1h") == [float("inf"), 1.0]


def test_whole_numbers_stay_whole_and_are_refused_where_no_column_has_room() -> None:
    large = rows(("a", 0, 2**53), ("a", 1, 1), dtype=pl.Int64)
    assert column(large, function="sum") == [2**53, 2**53 + 1]
    with pytest.raises(WorkloadError, match=r"it: whole numbers add up to 9223372036854775808: none in Int64") as told:
        column(rows(("a", 0, 2**63 - 1), ("a", 1, 1), dtype=pl.Int64), function="sum")
    assert told.value.reason == "WrongType"
    small = rows(("a", 0, 2**31 - 1), ("a", 1, 2**31 - 1), dtype=pl.Int32)
    assert column(small, function="sum") == [2**31 - 1, 2**32 - 2]


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (pl.String, ["ä ö", "b"]),
        (pl.Boolean, [True, False]),
        (pl.Date, [date(2024, 1, 2), date(2024, 1, 1)]),
        (pl.UInt8, [7, 3]),
    ],
)
def test_values_of_any_kind_are_counted_and_taken(dtype: Any, values: list[Any]) -> None:
    orders = rows(("a", 0, values[0]), ("a", 1, values[1]), ("a", 2, values[0]), dtype=dtype)
    assert column(orders, function="count_distinct") == [1, 2, 2]
    assert column(orders, function="last") == [*values, values[0]]
    assert column(orders, function="first") == [values[0]] * 3
    if dtype in (pl.Date, pl.UInt8):
        assert column(orders, function="min") == [values[0], values[1], values[1]]


@pytest.mark.parametrize(
    "at",
    [
        pl.col("at").dt.replace_time_zone(None),
        pl.col("at").dt.convert_time_zone("Europe/Vienna").dt.cast_time_unit("ms"),
        pl.col("at").dt.date(),
    ],
)
def test_times_of_any_unit_and_zone_are_the_same_instants(at: pl.Expr) -> None:
    orders = rows(("a", 0, 1.0), ("a", 24, 2.0), ("a", 48, 4.0)).with_columns(at)
    assert column(orders, function="sum", window="2d") == [1.0, 3.0, 6.0]


def test_entities_are_names_of_several_columns_whatever_they_are_called() -> None:
    orders = rows(("a", 0, 1.0), ("a", 1, 2.0), ("a", 2, 4.0)).with_columns(pl.Series("Shop [№]", [1, 2, 1]))
    asked = [{"name": "Summe €", "function": "sum", "column": "amount"}]
    of = {**spec(asked, {"Shop [№]": "Int64", "Summe €": "Float64"}), "entities": ["customer", "Shop [№]"]}
    assert aggregated(of, orders).collect().sort("at")["Summe €"].to_list() == [1.0, 2.0, 5.0]


@pytest.mark.parametrize(
    "where",
    ["amount IN (2, 4) AND NOT customer LIKE 'b%'", "ABS(amount) > ROUND(1.4, 0) OR COALESCE(amount, 9) > 8", "1 = 2"],
)
def test_conditions_are_of_single_rows(where: str) -> None:
    orders = rows(("a", 0, 1.0), ("a", 1, 2.0), ("a", 2, None))
    expected = {"1": [0, 0, 0], "a": [0, 1, 1], "A": [0, 1, 2]}[where[0]]
    assert column(orders, function="rows", where=where) == expected


@pytest.mark.parametrize(
    ("asked", "reason", "told"),
    [
        ({"function": "sum", "column": "amuont"}, "MissingColumn", "no column 'amuont'; did you mean 'amount'?"),
        ({"function": "sum", "column": "customer"}, "WrongType", "customer is String; sum needs a number"),
        ({"function": "max", "column": "customer"}, "WrongType", "customer is String; max needs a number or a time"),
        ({"function": "count", "where": "amount >"}, "TransformFailed", "'amount >' is refused"),
        ({"function": "count", "where": "amount + 1"}, "TransformFailed", "'amount + 1' is Float64, no condition"),
        ({"function": "count", "where": "amount IN (1, MAX(amount))"}, "TransformFailed", "looks at other rows"),
        ({"function": "count", "where": "ROUND(AVG(amount), 1) > amount"}, "TransformFailed", "looks at other rows"),
        ({"function": "count", "where": "amount > AVG(amount)"}, "TransformFailed", "looks at other rows"),
        ({"function": "count", "where": "amount > SUM(amount) OVER (PARTITION BY customer)"}, "TransformFailed",
            "looks at other rows"),
        ({"function": "count", "where": "amount IN (SELECT a FROM read_csv('/x'))"}, "TransformFailed", "no source"),
        ({"function": "count", "name": "amount"}, "TransformFailed", "amount is a column of the rows already"),
    ],
)  # fmt: skip
def test_what_cannot_be_aggregated_is_told_before_it_is(asked: dict[str, Any], reason: str, told: str) -> None:
    of = spec([{"name": "it", **asked}], {asked.get("name", "it"): "Int64"})
    with pytest.raises(WorkloadError) as error:
        aggregated(of, rows(("a", 0, 1.0)))
    assert error.value.reason == reason
    assert told in str(error.value)


def test_columns_and_times_that_the_rows_lack_are_told(tmp_path: Path) -> None:
    asked = [{"name": "it", "function": "count"}]
    with pytest.raises(WorkloadError, match="no column 'amuont'; did you mean 'amount'"):
        aggregated(spec(asked, {"it": "Int64", "amuont": "Float64"}), rows(("a", 0, 1.0)))
    with pytest.raises(WorkloadError, match="at is String; an event time is a Datetime or a Date"):
        aggregated(spec(asked, {"it": "Int64"}), rows(("a", 0, 1.0)).with_columns(pl.col("at").cast(pl.String)))


ASKED = [
    {"name": "spend_7d", "column": "amount", "function": "sum", "window": "7d"},
    {"name": "paid", "function": "count", "where": "state = 'paid' AND amount > 0"},
]


def test_a_view_publishes_a_row_for_each_event_with_what_it_declares(tmp_path: Path) -> None:
    orders = rows(("a", 0, 1.0), ("a", 400, 2.0), ("a", 401, 4.0)).with_columns(state=pl.lit("paid"))
    orders.collect().sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "orders.parquet")
    wanted = {"paid": "Int32", "spend_7d": "Float64"}
    found = compute(spec(ASKED, wanted), str(tmp_path))
    assert found.columns == ["customer", "at", "paid", "spend_7d"]
    assert found.schema["paid"] == pl.Int32
    assert found.select("spend_7d", "paid").rows() == [(1.0, 1), (2.0, 2), (6.0, 3)]
    nameless = orders.with_columns(customer=pl.when(pl.col("amount") < 2).then("customer"))
    nameless.collect().write_parquet(tmp_path / "orders.parquet")
    with pytest.raises(WorkloadError, match="2 of 3 rows have no customer"):
        compute(spec(ASKED, wanted), str(tmp_path))


def test_aggregates_are_looked_for_before_anything_runs(tmp_path: Path) -> None:
    rows(("a", 0, 1.0)).collect().write_parquet(tmp_path / "orders.parquet")

    def found(of: dict[str, Any]) -> list[tuple[str, str, bool]]:
        asked = {"spec": of, "views": {}, "root": str(tmp_path), "whole": True}
        return [(item.path, item.message, item.warning) for item in look(asked)]

    wanted = {"it": "Float64"}
    right = [{"name": "it", "function": "sum", "column": "amount"}]
    sql = {"sql": "SELECT customer, at, amount * 2 AS amount FROM orders"}
    assert found(spec(right, wanted)) == found(spec(right, wanted, transform=sql)) == []
    wrong = [{"name": "it", "function": "sum", "column": "amuont", "where": "amount"}]
    assert found(spec(wrong, wanted, transform=sql)) == [
        ("spec.aggregations[0].column", "the SQL yields no column 'amuont'", False),
        ("spec.aggregations[0].where", "'amount' is Float64, no condition", False),
    ]
    unknown = spec([{**right[0], "where": "amount >"}], wanted, transform={"function": "a.b:c"})
    ((path, _, _),) = found(unknown)
    assert path == "spec.aggregations[0].where"


def test_a_view_without_aggregations_keeps_its_name() -> None:
    from framework.planning.grammar.fingerprint import spec_json

    asked = {**spec([], {"amount": "Float64"})}
    del asked["aggregations"]
    assert "aggregations" not in spec_json(FeatureViewSpec.model_validate(asked))
    assert FeatureViewSpec.model_validate({**asked, "aggregations": []}) == FeatureViewSpec.model_validate(asked)


def test_equal_rows_come_to_equal_bytes_however_the_engine_runs() -> None:
    events = [("abc"[place % 3], place % 7, place / 10) for place in range(200)]
    asked = [{"name": "it", "function": "std", "column": "amount", "window": "3h"}]
    ways = [
        aggregated(spec(asked, {"it": "Float64"}), rows(*order)).collect(engine=engine)
        for order in (events, events[::-1])
        for engine in ("in-memory", "streaming")
    ]
    ordered = [way.sort(way.columns) for way in ways]
    assert all(way.equals(ordered[0]) for way in ordered)
    assert timedelta(hours=6) == ordered[0]["at"].max() - START  # type: ignore[operator]


def test_a_version_of_the_newest_rows_has_the_aggregates_of_all(tmp_path: Path) -> None:
    """Though it reads no more of the sources than a window is long."""
    source = {"orders": {"format": "parquet", "path": "orders-*.parquet"}}
    incremental = {"mode": "incremental", "lateness": "1h", "lookback": "7d"}
    asked = [{**ASKED[0], "function": function} for function in ("sum", "std")]
    for item, name in zip(asked, wanted := {"sum_7d": "Float64", "std_7d": "Float64"}, strict=True):
        item["name"] = name
    of = spec(asked, wanted, sources=source, materialization=incremental)
    events = [("ab"[place % 2], place * 5, 10.0 ** (place % 17) / 3) for place in range(90)]
    for number, some in enumerate([events[:60], events[60:]]):
        rows(*some).collect().write_parquet(tmp_path / f"orders-{number}.parquet")
        result = materialize.run(context(tmp_path, f"features-spending-{number}", of))
    version = delta.current(result["uri"])
    assert version is not None
    assert (version.metadata["mode"], version.metadata["since"] is None) == ("incremental", False)
    found = delta.read(version.uri, version.version, [*WORDS.items(), *wanted.items()]).collect()
    assert found.sort("at", "customer").equals(compute(of, str(tmp_path)))
