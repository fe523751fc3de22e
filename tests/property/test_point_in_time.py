"""The point-in-time join against an obvious, slow implementation of its definition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.workloads.training.dataset import join_as_of

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
)
def test_the_join_is_its_definition(
    events: list[tuple[Any, int]],
    rows: list[tuple[Any, int, int | None, int]],
    max_age: int | None,
    delay: int | None,
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
    )
    assert found["number"].to_list() == list(range(len(events)))
    expected = [slow(event, rows, max_age, delay) for event in events]
    assert list(zip(found["value"], found["tie"], strict=True)) == expected


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
