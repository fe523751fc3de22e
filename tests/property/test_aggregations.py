"""Aggregations against an obvious, slow implementation of their definition, and what a join finds of them against what
the newest row of an entity says."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.workloads.features.aggregating import aggregated
from framework.workloads.features.dtypes import select_declared, yielded
from framework.workloads.training.as_of import join_as_of

START = datetime(2024, 1, 1, tzinfo=UTC)
FUNCTIONS = ["sum", "mean", "std", "min", "max", "count", "count_distinct", "first", "last"]
KEYS = ("AA", "UA")


class Event(NamedTuple):
    key: str
    hour: int
    kind: str | None
    amount: float | None
    whole: int | None


AMOUNTS = st.sampled_from([None, math.nan, -0.1, 0.1, 0.2, 0.3, 1e16, -1e16, 5e-324, 1e300, 7.0, 0.0])
EVENTS = st.lists(
    st.builds(
        Event,
        st.sampled_from(KEYS),
        st.integers(0, 12),
        st.sampled_from(["paid", "free", None]),
        AMOUNTS,
        st.none() | st.integers(-(2**55), 2**55),
    ),
    max_size=25,
)


@st.composite
def aggregations(draw: st.DrawFn) -> dict[str, Any]:
    function = draw(st.sampled_from(FUNCTIONS))
    column = draw(st.sampled_from(["amount", "whole"] + (["kind", None] if function.startswith("count") else [])))
    if column is None and function != "count":
        column = "amount"
    span = draw(st.sampled_from([{}, {"window": "1h"}, {"window": "5h"}, {"session": "1h"}, {"session": "3h"}]))
    lag = draw(st.sampled_from([None, 1, 2])) if function == "last" else None
    where = draw(st.sampled_from([None, "kind = 'paid'", "amount > 0 OR kind IS NULL"]))
    given = {"column": column, "lag": lag, "where": where, **span}
    return {"name": "it", "function": function, **{key: value for key, value in given.items() if value is not None}}


def spec(asked: dict[str, Any]) -> dict[str, Any]:
    value = asked["function"] in ("sum", "min", "max", "first", "last")
    whole = asked["function"].startswith("count") or (value and asked.get("column") == "whole")
    dtypes = {
        "key": "String",
        "at": "Datetime",
        "kind": "String",
        "amount": "Float64",
        "it": "Int64" if whole else "Float64",
    }
    columns = [{"name": name, "dtype": dtype} for name, dtype in dtypes.items()]
    return {"entities": ["key"], "timestamp": "at", "columns": columns, "aggregations": [asked]}


def table(events: list[Event]) -> pl.LazyFrame:
    schema = {"key": pl.String, "at": pl.Int64, "kind": pl.String, "amount": pl.Float64, "whole": pl.Int64}
    rows = pl.LazyFrame(events, schema=schema, orient="row")
    return rows.with_columns(at=pl.lit(START) + pl.duration(hours="at"))


def published(events: list[Event], asked: dict[str, Any]) -> pl.DataFrame:
    declared = [(column["name"], column["dtype"]) for column in spec(asked)["columns"]]
    return select_declared(yielded(aggregated(spec(asked), table(events)), declared), declared).collect()


def present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def slow(events: list[Event], key: str, now: int, asked: dict[str, Any]) -> Any:
    """The definition, read aloud: what counts at ``now``, in the order of time and then of columns, null before all."""

    def rank(event: Event) -> list[Any]:
        values = [event.kind, event.amount, *([event.whole] if asked.get("column") == "whole" else [])]
        return [event.hour, *((True, value) if present(value) else (False, 0) for value in values)]

    known = sorted((event for event in events if event.key == key and event.hour <= now), key=rank)
    if "window" in asked:
        known = [event for event in known if event.hour > now - int(asked["window"][:-1])]
    if "session" in asked:
        gap, begin = int(asked["session"][:-1]), now
        for event in reversed(known):
            if begin - event.hour > gap:
                break
            begin = event.hour
        known = [event for event in known if event.hour >= begin]
    if asked.get("where") == "kind = 'paid'":
        known = [event for event in known if event.kind == "paid"]
    elif asked.get("where"):
        known = [event for event in known if event.kind is None or (present(event.amount) and event.amount > 0)]
    if asked.get("column") is None:
        return len(known)
    values = [value for event in known if present(value := getattr(event, asked["column"]))]
    return reduced(asked["function"], values, asked.get("lag", 0))


def reduced(function: str, values: list[Any], lag: int) -> Any:
    if function.startswith("count"):
        return len(set(values)) if function == "count_distinct" else len(values)
    if function == "sum":
        return sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values)
    if len(values) <= (1 if function == "std" else lag):
        return None
    if function == "mean":
        return float(sum(map(Fraction, values)) / len(values))
    if function == "std":
        return statistics.stdev(map(Fraction, values))
    return {"min": min(values), "max": max(values), "first": values[0], "last": values[-1 - lag]}[function]


def close(found: Any, expected: Any) -> bool:
    if expected is None or found is None or isinstance(expected, int):
        return bool(found == expected)
    return math.isclose(found, expected, rel_tol=1e-15, abs_tol=1e-323)


@settings(max_examples=400, deadline=None)
@given(events=EVENTS, asked=aggregations(), order=st.randoms(use_true_random=False))
def test_an_aggregate_is_its_definition_whatever_the_order_of_rows(
    events: list[Event], asked: dict[str, Any], order: Any
) -> None:
    found = published(events, asked)
    assert found.height == len(events)
    for key, at, value in found.select("key", "at", "it").iter_rows():
        expected = slow(events, key, (at - START) // timedelta(hours=1), asked)
        if isinstance(expected, int) and found.schema["it"].is_float():
            expected = float(expected)
        assert close(value, expected), (key, at, value, expected)
    shuffled = events.copy()
    order.shuffle(shuffled)
    again, columns = published(shuffled, asked), found.columns
    assert again.sort(columns).equals(found.sort(columns))


@settings(max_examples=300, deadline=None)
@given(
    events=EVENTS,
    asked=aggregations(),
    moments=st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 14)), min_size=1, max_size=8),
    late=EVENTS,
)
def test_a_join_finds_what_the_newest_row_of_the_entity_says_and_nothing_later_changes_it(
    events: list[Event], asked: dict[str, Any], moments: list[tuple[str, int]], late: list[Event]
) -> None:
    """As of the entity's last event before the moment, in training and online alike."""
    found = published(events, asked)
    spine = pl.DataFrame(
        [(key, START + timedelta(hours=hour)) for key, hour in moments],
        schema={"key": pl.String, "at": pl.Datetime("us", "UTC")},
        orient="row",
    )

    def joined(table: pl.DataFrame) -> list[Any]:
        rules = {"by": ["key"], "spine_time": "at", "feature_time": "at", "columns": ["it"]}
        return join_as_of(spine, table, **rules)["it"].to_list()  # type: ignore[arg-type]

    values = joined(found)
    for (key, hour), value in zip(moments, values, strict=True):
        known = found.filter(pl.col("key") == key, pl.col("at") < START + timedelta(hours=hour))
        newest = known.filter(pl.col("at") == pl.col("at").max())
        assert newest["it"].unique().to_list() == ([value] if newest.height else [])
        before = [event.hour for event in events if event.key == key and event.hour < hour]
        expected = slow(events, key, max(before), asked) if before else None
        assert close(value, float(expected) if isinstance(value, float) and expected is not None else expected)
    after = max(hour for _, hour in moments)
    assert joined(published([*events, *(event for event in late if event.hour >= after)], asked)) == values


@settings(max_examples=150, deadline=None)
@given(events=EVENTS, asked=aggregations(), since=st.integers(0, 12))
def test_a_window_says_nothing_of_what_lies_before_it(events: list[Event], asked: dict[str, Any], since: int) -> None:
    """To the bit, so that rows which are computed from a part of the history are those of all of it."""
    if "window" not in asked:
        asked = {**{key: value for key, value in asked.items() if key != "session"}, "window": "3h"}
    reach = since - int(asked["window"][:-1])
    whole, part = published(events, asked), published([event for event in events if event.hour > reach], asked)
    recent = pl.col("at") >= START + timedelta(hours=since)
    assert part.filter(recent).sort(part.columns).equals(whole.filter(recent).sort(part.columns))


@pytest.mark.parametrize("function", ["sum", "mean", "std", "min", "max"])
@settings(max_examples=60, deadline=None)
@given(values=st.lists(st.floats(allow_nan=False, allow_subnormal=True), min_size=1, max_size=12))
def test_any_floats_come_to_what_they_are(function: str, values: list[float]) -> None:
    events = [Event("AA", hour, None, value, None) for hour, value in enumerate(values)]
    found = published(events, {"name": "it", "function": function, "column": "amount"})
    value = found.sort("at")["it"][-1]
    if not all(map(math.isfinite, values)):
        infinite = {value for value in values if math.isinf(value)}
        sums = next(iter(infinite)) if len(infinite) == 1 else None
        expected = {"sum": sums, "mean": sums, "std": None, "min": min(values), "max": max(values)}[function]
        assert value == expected
        return
    total = sum(map(Fraction, values))
    try:
        expected = reduced(function, values, 0) if function != "mean" else float(Fraction(float(total)) / len(values))
    except OverflowError:
        assert math.isinf(value)
        return
    assert close(value, expected)
