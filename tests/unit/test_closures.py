"""Windows of cron expressions: until when they close, whether they ever open, and how long they close at a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api import closures, cron
from tests.unit.test_cron import EXPRESSIONS, MOMENTS, VIENNA, ZONES, at


@pytest.mark.parametrize(
    ("windows", "now", "until"),
    [
        ([], "2026-11-20T22:10:30", None),
        ([("* 22-23 * * *", "UTC")], "2026-11-20T21:59:59", None),
        ([("* 22-23 * * *", "UTC")], "2026-11-20T22:10:30", "2026-11-21T00:00:00"),
        ([("30-44 * * * *", "UTC")], "2026-11-20T22:31:00", "2026-11-20T22:45:00"),
        ([("* * * * SAT,SUN", "UTC")], "2026-11-21T09:00:00", "2026-11-23T00:00:00"),
        ([("* * 20-31 12 *", "UTC")], "2026-12-24T18:00:00", "2027-01-01T00:00:00"),
        # one window opens where the other one ends, in another timezone: closed all through
        ([("* 22-23 * * *", "UTC"), ("* 1-4 * * *", "Europe/Vienna")], "2026-11-20T22:10:00", "2026-11-21T04:00:00"),
        ([("* 17-23 * * FRI", "UTC"), ("* * * * SAT,SUN", "UTC"), ("* 0-6 * * MON", "UTC")],
         "2026-11-20T20:00:00", "2026-11-23T07:00:00"),
    ],
)  # fmt: skip
def test_closed_until_the_first_free_minute(windows: list[tuple[str, str]], now: str, until: str | None) -> None:
    assert closures.closes(windows, at(now)) == (None if until is None else at(until))


def test_a_window_is_as_long_as_the_night_of_the_clock_change() -> None:
    night = [("* 0-5 * * *", "Europe/Vienna")]

    assert closures.closes(night, datetime(2026, 3, 29, 0, 0, tzinfo=VIENNA)) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    assert closures.closes(night, datetime(2026, 10, 25, 0, 0, tzinfo=VIENNA)) == datetime(2026, 10, 25, 5, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_closed_twice_and_one_that_never_comes_not_at_all() -> None:
    hour = [("* 2 * * *", "Europe/Vienna")]

    assert closures.closes(hour, at("2026-10-25T00:00")) == at("2026-10-25T02:00")
    assert all(closures.closes(hour, at("2026-03-28T23:00") + timedelta(minutes=m)) is None for m in range(0, 240, 7))


def test_a_clock_that_is_set_back_within_an_hour_ends_it() -> None:
    """In 2010 St. John's went from one past midnight to a minute past eleven."""
    midnight = at("2010-11-07T02:30")

    assert closures.closes([("* 0 * * *", "America/St_Johns")], midnight) == midnight + timedelta(minutes=1)


def test_windows_that_never_open() -> None:
    assert closures.never_opens([("* * * * *", "UTC")])
    assert closures.never_opens([("* 0-11 * * *", "UTC"), ("* 12-23 * * *", "UTC")])
    assert closures.never_opens([("0-29 * * * *", "Asia/Tokyo"), ("30-59 * * * 0-7", "UTC")])
    assert not closures.never_opens([("0-58 * * * *", "UTC")])
    assert not closures.never_opens([("* * * 1-11 *", "UTC")])
    assert not closures.never_opens([])
    now = at("2026-11-20T22:10:00")
    assert closures.closes([("* * * * *", "UTC")], now) == now + closures.HORIZON


@given(EXPRESSIONS, ZONES, MOMENTS)
def test_until_it_closes_every_minute_matches_and_then_one_does_not(
    expression: str, zone: str, moment: datetime
) -> None:
    """However it jumps over hours and days, it is the same as looking at each minute."""
    until = closures.closes([(expression, zone)], moment)
    minute = moment.replace(second=0, microsecond=0)
    if until is None:
        assert not cron.matches(expression, minute, zone)
    else:
        assert until == minute + closures.HORIZON or not cron.matches(expression, until, zone)
        minutes = int((until - minute) / timedelta(minutes=1))
        assert all(
            cron.matches(expression, minute + timedelta(minutes=passed), zone)
            for passed in {*range(0, minutes, max(1, minutes // 400)), minutes - 1}
        )


@given(st.lists(st.tuples(EXPRESSIONS, ZONES), min_size=1, max_size=3), MOMENTS)
def test_windows_together_close_what_any_of_them_closes(windows: list[tuple[str, str]], moment: datetime) -> None:
    until = closures.closes(windows, moment)
    minute = moment.replace(second=0, microsecond=0)
    first_open = until or minute
    closed = [minute + timedelta(minutes=passed) for passed in range(min(300, (first_open - minute).seconds // 60))]

    assert all(any(cron.matches(expression, when, zone) for expression, zone in windows) for when in closed)
    assert until == minute + closures.HORIZON or not any(
        cron.matches(expression, first_open, zone) for expression, zone in windows
    )


@pytest.mark.parametrize(
    ("windows", "longest", "hours"),
    [
        ([("0 22 * * 5", "UTC")], 1, 52 / 60),
        ([("* 22-23 * * *", "UTC")], 120, 732),
        ([("30-44 9 * * *", "Asia/Kolkata")], 15, 91.5),
        ([("* 22-23 * * *", "UTC"), ("* 0-1 * * *", "UTC")], 240, 1464),
        ([("* * * * SAT,SUN", "UTC")], 2880, 2496),
        ([("* 0-5 * * *", "Europe/Vienna")], 420, 2196),  # the night in which the clock is set back
        ([], 0, 0),
    ],
)
def test_how_long_something_is_closed(windows: list[tuple[str, str]], longest: int, hours: float) -> None:
    assert closures.stretches(windows) == (timedelta(minutes=longest), timedelta(hours=hours))


def test_many_windows_that_together_never_open_are_told_soon() -> None:
    """Each closes another minute of every hour, so that nothing can be skipped."""
    windows = [(f"{minute} * * * *", "Europe/Vienna") for minute in range(60)]
    started = time.process_time()

    assert closures.never_opens(windows)
    assert time.process_time() - started < 10
