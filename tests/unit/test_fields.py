"""Field types that kinds share: what they take, and that nothing a person can write ends in anything but a mistake."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from framework.api import cron
from framework.api.fields import (
    LONGEST_DURATION,
    CronExpression,
    format_duration,
    format_memory,
    parse_duration,
    parse_memory,
)


@pytest.mark.parametrize(
    ("text", "seconds", "shortest"),
    [
        ("90s", 90, "90s"),
        ("120s", 120, "2m"),
        ("1.5h", 5400, "90m"),
        ("48h", 172_800, "2d"),
        ("2ms", 0.002, "2ms"),
        ("123456.789ms", 123.456789, "123456.789ms"),
        ("0.001ms", 0.000001, "0.001ms"),
        ("0s", 0, "0ms"),
        ("36500d", 36_500 * 86_400, "36500d"),
    ],
)
def test_durations_read_and_written(text: str, seconds: float, shortest: str) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)
    assert format_duration(parse_duration(text)) == shortest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("36501d", "'36501d' is longer than 36500d, a century"),
        ("99999999999d", "is longer than 36500d"),
        ("1e9d", "is not a duration"),
        ("9" * 60 + "h", "is longer than 36500d"),
        ("9" * 100_000 + "h", "a number of 100000 characters"),
        ("0.0001ms", "'0.0001ms' is shorter than a microsecond"),
        ("-1s", "is not a duration"),
        ("٣s", "is not a duration"),
        ("infs", "is not a duration"),
        (7, "7 is not a duration"),
        (None, "None is not a duration"),
    ],
)
def test_what_is_no_duration_is_told(text: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=LONGEST_DURATION))
def test_every_duration_reads_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.integers(1, 2**42))
def test_every_size_of_memory_reads_back(value: int) -> None:
    assert parse_memory(format_memory(value)) == value


def test_times_of_our_days_take_any_duration() -> None:
    assert datetime(2200, 1, 1, tzinfo=UTC) + 10 * LONGEST_DURATION
    assert datetime(2026, 1, 1, tzinfo=UTC) - 10 * LONGEST_DURATION


def test_a_cron_expression_has_room_for_every_value_by_itself_and_for_no_more() -> None:
    """Each is gone through term by term, and an Environment may have many."""
    numbers = (range(60), range(24), range(1, 32))
    lists = [",".join(map(str, values)) for values in numbers]
    months, days = "JAN,FEB,MAR,APR,MAY,JUN,JUL,AUG,SEP,OCT,NOV,DEC", "SUN,MON,TUE,WED,THU,FRI,SAT"
    longest = " ".join([*lists, months, days])
    read = TypeAdapter(CronExpression).validate_python

    assert read(longest) == longest
    with pytest.raises(ValidationError, match=f"at most {cron.LONGEST} characters"):
        read(longest + ",SUN,SUN,SUN")
    with pytest.raises(ValidationError, match=f"at most {cron.LONGEST} characters"):
        read(",".join(["0-59/1"] * 2_000) + " * * * *")
