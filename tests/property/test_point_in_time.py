"""The point-in-time join against an obvious, slow implementation of its definition."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.workloads.training.as_of import join_as_of, join_by_key

START = datetime(2013, 1, 1, tzinfo=UTC)
KEYS = st.sampled_from(["AA", "UA", None])
TICKS = st.integers(0, 12)
SPANS = st.none() | st.integers(0, 8)


def at(tick: int) -> datetime:
    return START + timedelta(hours=tick)


def frame(rows: list[tuple[Any, ...]], moment: str, *numbers: str) -> pl.DataFrame:
    columns = {"key": pl.String, moment: pl.Datetime("us", "UTC"), **dict.fromkeys(numbers, pl.Int64)}
    return pl.DataFrame(rows, schema=columns, orient="row")


def slow(
    event: tuple[Any, int], rows: list[tuple[Any, int, int | None, int]], max_age: int | None, delay: int | None
) -> tuple[int | None, int | None]:
    """The definition, read aloud."""
    key, moment = event
    best: tuple[Any, ...] | None = None
    for row_key, row_time, value, tie in rows:
        if key is None or row_key != key:
            continue
        available = row_time < moment if delay is None else row_time + delay <= moment
        fresh = max_age is None or moment - row_time <= max_age
        if not (available and fresh):
            continue
        rank = (row_time, value is not None, value or 0, tie)
        if best is None or rank > best[0]:
            best = (rank, value, tie)
    return (None, None) if best is None else (best[1], best[2])


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(st.tuples(KEYS, TICKS), max_size=12),
    rows=st.lists(st.tuples(KEYS, TICKS, st.none() | st.integers(-3, 3), st.integers(0, 3)), max_size=25),
    max_age=SPANS,
    delay=SPANS,
    slice_rows=st.integers(1, 30),
)
def test_the_join_is_its_definition(
    events: list[tuple[Any, int]],
    rows: list[tuple[Any, int, int | None, int]],
    max_age: int | None,
    delay: int | None,
    slice_rows: int,
) -> None:
    if max_age is not None and delay is not None and max_age < delay:
        max_age = delay
    spine = frame([(key, at(tick), number) for number, (key, tick) in enumerate(events)], "at", "number")
    features = frame([(key, at(tick), value, tie) for key, tick, value, tie in rows], "seen", "value", "tie")
    found = join_as_of(
        spine,
        features,
        by=["key"],
        spine_time="at",
        feature_time="seen",
        columns=["value", "tie"],
        max_age=None if max_age is None else timedelta(hours=max_age),
        delay=None if delay is None else timedelta(hours=delay),
        slice_rows=slice_rows,
    )
    assert found["number"].to_list() == list(range(len(events)))
    expected = [slow(event, rows, max_age, delay) for event in events]
    assert list(zip(found["value"], found["tie"], strict=True)) == expected


NUMBERS = st.sampled_from([None, math.nan, -1.0, 0.0, 2.0])


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["AA", "UA"]), st.integers(0, 2), NUMBERS, NUMBERS, NUMBERS), max_size=25),
    order=st.permutations(["a", "b", "c"]),
    taken=st.integers(1, 3),
    lazy=st.booleans(),
    slice_rows=st.integers(1, 30),
    seed=st.randoms(use_true_random=False),
)
def test_ties_are_broken_by_all_columns_of_the_view_whichever_are_taken(
    rows: list[tuple[Any, ...]], order: list[str], taken: int, lazy: bool, slice_rows: int, seed: Any
) -> None:
    """The declared order decides, NaN and null are the lowest value, and a table's own order or how it is read do
    not matter."""
    shuffled = rows.copy()
    seed.shuffle(shuffled)
    schema = {"key": pl.String, "seen": pl.Int64, **dict.fromkeys("abc", pl.Float64)}
    table = pl.DataFrame(shuffled, schema=schema, orient="row").with_columns(
        pl.lit(START).dt.offset_by(pl.format("{}h", "seen")).alias("seen")
    )
    spine = frame([(key, at(tick)) for key in ("AA", "UA") for tick in (1, 2, 3)], "at")
    found = join_as_of(
        spine, table.lazy() if lazy else table,
        by=["key"], spine_time="at", feature_time="seen", columns=order[:taken], slice_rows=slice_rows,
    )  # fmt: skip

    def lowest(value: float | None) -> float:
        return -math.inf if value is None or math.isnan(value) else value

    for key, moment, *values in found.iter_rows():
        known = [row for row in rows if row[0] == key and at(row[1]) < moment]
        best = max(known, key=lambda row: (row[1], *map(lowest, row[2:])), default=None)
        expected = [None if best is None else best["abc".index(name) + 2] for name in order[:taken]]
        assert [lowest(value) for value in values] == [lowest(value) for value in expected]
        assert not any(value is not None and math.isnan(value) for value in values)


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(st.tuples(st.sampled_from(["AA", "UA"]), TICKS), min_size=1, max_size=12),
    rows=st.lists(st.tuples(st.sampled_from(["AA", "UA"]), TICKS), max_size=25),
    delay=SPANS,
    order=st.randoms(use_true_random=False),
)
def test_no_row_is_ever_later_than_allowed_and_table_order_does_not_matter(
    events: list[tuple[str, int]], rows: list[tuple[str, int]], delay: int | None, order: Any
) -> None:
    spine = frame([(key, at(tick)) for key, tick in events], "at")
    shuffled = rows.copy()
    order.shuffle(shuffled)
    joins = [
        join_as_of(
            spine,
            frame([(key, at(tick), tick) for key, tick in table], "seen", "tick"),
            by=["key"],
            spine_time="at",
            feature_time="seen",
            columns=["tick"],
            delay=None if delay is None else timedelta(hours=delay),
        )
        for table in (rows, shuffled)
    ]
    assert joins[0].equals(joins[1])
    for (_, moment), tick in zip(events, joins[0]["tick"], strict=True):
        assert tick is None or (tick < moment if delay is None else tick + delay <= moment)


def newest_note(
    event: tuple[Any, int], notes: list[tuple[Any, int | None, int | None, int]], max_age: int | None
) -> int | None:
    """The definition of a view whose rows become known later than they happened."""
    key, moment = event
    known = [
        (happened, noted, value)
        for note_key, happened, noted, value in notes
        if key is not None and note_key == key and happened is not None and noted is not None
        if happened <= moment and noted <= moment and (max_age is None or moment - happened <= max_age)
    ]
    return max(known, default=(0, 0, None))[2]


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(st.tuples(KEYS, TICKS), max_size=12),
    notes=st.lists(st.tuples(KEYS, st.none() | TICKS, st.none() | TICKS, st.integers(0, 3)), max_size=25),
    max_age=SPANS,
    slice_rows=st.integers(1, 30),
    order=st.randoms(use_true_random=False),
)
def test_of_what_was_known_the_newest_by_event_time_counts(
    events: list[tuple[Any, int]],
    notes: list[tuple[Any, int | None, int | None, int]],
    max_age: int | None,
    slice_rows: int,
    order: Any,
) -> None:
    spine = frame([(key, at(tick), number) for number, (key, tick) in enumerate(events)], "at", "number")
    rows = [(key, *(None if tick is None else at(tick) for tick in ticks), value) for key, *ticks, value in notes]
    order.shuffle(rows)
    moment = pl.Datetime("us", "UTC")
    features = pl.DataFrame(
        rows, schema={"entity": pl.String, "seen": moment, "noted": moment, "value": pl.Int64}, orient="row"
    )
    found = join_as_of(
        spine, features, by=["entity"], keys=["key"], spine_time="at", feature_time="seen", available="noted",
        columns=["value"], max_age=None if max_age is None else timedelta(hours=max_age), slice_rows=slice_rows,
    )  # fmt: skip
    assert found["number"].to_list() == list(range(len(events)))
    assert found["value"].to_list() == [newest_note(event, notes, max_age) for event in events]


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(KEYS, max_size=12),
    rows=st.dictionaries(KEYS, st.none() | st.integers(0, 3), max_size=3),
)
def test_a_table_without_event_times_is_joined_by_its_key(events: list[Any], rows: dict[Any, int | None]) -> None:
    spine = pl.DataFrame({"key": pl.Series(events, dtype=pl.String), "entity": range(len(events))})
    features = pl.DataFrame(list(rows.items()), schema={"entity": pl.String, "value": pl.Int64}, orient="row")
    found = join_by_key(spine, features, by=["entity"], keys=["key"], columns=["value"])
    assert found["entity"].to_list() == list(range(len(events)))
    assert found["value"].to_list() == [None if key is None else rows.get(key) for key in events]
