"""Cron expressions: what may be written, which minutes match, until when, and when the next one comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api import cron
from framework.api.errors import FieldError

VIENNA = ZoneInfo("Europe/Vienna")


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    "expression",
    [
        "* * * * *",
        "0 3 * * 1",
        "*/5 22-23 * * *",
        "0,30 8-18/2 1,15 * *",
        "5/20 * * * *",
        "0 0 1 JAN-mar,dec *",
        "0 0 * * mon-FRI",
        "0 0 * * SUN,7,0",
        "0  0   * * *",
        "59 23 31 12 7",
        "0 0 29 2 *",
        "0 0 31 2 MON",
    ],
)
def test_what_cron_understands_may_be_written(expression: str) -> None:
    assert cron.check(expression) == expression


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("60 * * * *", "minute 60 is out of range: 0 to 59"),
        ("* 24 * * *", "hour 24 is out of range: 0 to 23"),
        ("* * 0 * *", "day of month 0 is out of range: 1 to 31"),
        ("* * 32 * *", "day of month 32 is out of range: 1 to 31"),
        ("* * * 13 *", "month 13 is out of range: 1 to 12"),
        ("* * * * 8", "day of week 8 is out of range: 0 to 7"),
        ("* 22-25 * * *", "hour '22-25': 25 is out of range: 0 to 23"),
        ("* 23-1 * * *", "hour '23-1' runs backwards; write it as two parts with a comma between them"),
        ("* * * * fri-mon", "day of week 'fri-mon' runs backwards; write it as two parts with a comma between them"),
        ("*/0 * * * *", "minute '*/0': a step is a whole number from 1 on, found '0'"),
        ("*/x * * * *", "minute '*/x': a step is a whole number from 1 on, found 'x'"),
        ("*/ * * * *", "minute '*/': a step is a whole number from 1 on, found ''"),
        ("1,,2 * * * *", "minute '' is not a number from 0 to 59"),
        ("-5 * * * *", "minute '-5': '' is not a number from 0 to 59"),
        ("1.5 * * * *", "minute '1.5' is not a number from 0 to 59"),
        ("٣ * * * *", "minute '٣' is not a number from 0 to 59"),
        ("mon * * * *", "minute 'mon' is not a number from 0 to 59"),
        ("* * L * *", "day of month 'L' is not a number from 1 to 31"),
        ("* * * * MON#2", "'MON#2' is not a number from 0 to 7, or a name (SUN, MON, TUE, WED, THU, FRI, SAT)"),
        ("0 0 30 2 *", "'0 0 30 2 *' never comes: no month has such a day"),
        ("0 0 31 4,6 *", "'0 0 31 4,6 *' never comes: no month has such a day"),
        ("@daily", "a cron expression has five fields (minute, hour, day of month, month, day of week), found 1"),
        ("0 * * * * *", "five fields (minute, hour, day of month, month, day of week), found 6"),
        ("", "found 0"),
    ],
)
def test_each_mistake_names_its_field(expression: str, says: str) -> None:
    with pytest.raises(FieldError) as error:
        cron.check(expression)

    assert says in str(error.value)


@pytest.mark.parametrize(
    ("expression", "meant"), [("0 0 * * MOM", "MON"), ("0 0 * sept *", "SEP"), ("0 0 * * x", None)]
)
def test_a_misspelt_name_is_recognised(expression: str, meant: str | None) -> None:
    with pytest.raises(FieldError) as error:
        cron.check(expression)

    assert error.value.suggestion == meant


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Viena", "Europe/Vienna"),
        ("vienna", "Europe/Vienna"),
        ("europe/vienna", "Europe/Vienna"),
        ("New York", "America/New_York"),
        ("utc", "UTC"),
        ("Europe", None),
        ("", None),
        ("../../etc/passwd", None),
        ("/etc/localtime", None),
        ("localtime", None),
        ("right/UTC", None),
        ("\0", None),
    ],
)
def test_an_unknown_timezone_is_refused(name: str, meant: str | None) -> None:
    with pytest.raises(FieldError, match="is not a timezone; write an IANA name") as error:
        cron.check_timezone(name)

    assert error.value.suggestion == meant


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Vienna", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Etc/GMT+5"]
)
def test_timezones(name: str) -> None:
    assert cron.check_timezone(name) == name


@pytest.mark.parametrize(
    ("expression", "moment", "answer"),
    [
        ("* 22-23 * * *", "2026-11-20T22:00:00", True),
        ("* 22-23 * * *", "2026-11-20T23:59:59.999999", True),
        ("* 22-23 * * *", "2026-11-21T00:00:00", False),
        ("* 22-23 * * *", "2026-11-20T21:59:59", False),
        ("*/15 * * * *", "2026-11-20T10:45:30", True),
        ("*/15 * * * *", "2026-11-20T10:46:00", False),
        ("* * 1 * MON", "2026-11-01T10:00:00", True),  # neither starts with *: the first of the month
        ("* * 1 * MON", "2026-11-02T10:00:00", True),  # or a Monday
        ("* * 1 * MON", "2026-11-03T10:00:00", False),
        ("* * */2 * MON", "2026-11-02T10:00:00", False),  # one starts with *: an odd day and a Monday
        ("* * */2 * MON", "2026-11-09T10:00:00", True),
        ("* * * * 0", "2026-11-22T10:00:00", True),
        ("* * * * 7", "2026-11-22T10:00:00", True),
        ("* * * DEC *", "2026-11-30T23:59:00", False),
    ],
)
def test_a_minute_matches_or_not(expression: str, moment: str, answer: bool) -> None:
    assert cron.matches(expression, at(moment)) is answer


def test_minutes_are_those_of_the_timezone() -> None:
    moment = at("2026-11-20T21:30:00")

    assert not cron.matches("* 22 * * *", moment)
    assert cron.matches("* 22 * * *", moment, "Europe/Vienna")
    assert cron.matches("* 22 * * *", moment.astimezone(ZoneInfo("Asia/Tokyo")), "Europe/Vienna")
    assert cron.matches("0 3 * * SAT", moment, "Asia/Kolkata")


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
    assert cron.closes(windows, at(now)) == (None if until is None else at(until))


def test_a_window_is_as_long_as_the_night_of_the_clock_change() -> None:
    night = [("* 0-5 * * *", "Europe/Vienna")]

    assert cron.closes(night, datetime(2026, 3, 29, 0, 0, tzinfo=VIENNA)) == datetime(2026, 3, 29, 4, tzinfo=UTC)
    assert cron.closes(night, datetime(2026, 10, 25, 0, 0, tzinfo=VIENNA)) == datetime(2026, 10, 25, 5, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_closed_twice_and_one_that_never_comes_not_at_all() -> None:
    hour = [("* 2 * * *", "Europe/Vienna")]

    assert cron.closes(hour, at("2026-10-25T00:00")) == at("2026-10-25T02:00")
    assert all(cron.closes(hour, at("2026-03-28T23:00") + timedelta(minutes=m)) is None for m in range(0, 240, 7))


def test_a_clock_that_is_set_back_within_an_hour_ends_it() -> None:
    """In 2010 St. John's went from one past midnight to a minute past eleven."""
    midnight = at("2010-11-07T02:30")

    assert cron.closes([("* 0 * * *", "America/St_Johns")], midnight) == midnight + timedelta(minutes=1)


def test_windows_that_never_open() -> None:
    assert cron.never_opens([("* * * * *", "UTC")])
    assert cron.never_opens([("* 0-11 * * *", "UTC"), ("* 12-23 * * *", "UTC")])
    assert cron.never_opens([("0-29 * * * *", "Asia/Tokyo"), ("30-59 * * * 0-7", "UTC")])
    assert not cron.never_opens([("0-58 * * * *", "UTC")])
    assert not cron.never_opens([("* * * 1-11 *", "UTC")])
    assert not cron.never_opens([])
    now = at("2026-11-20T22:10:00")
    assert cron.closes([("* * * * *", "UTC")], now) == now + cron.HORIZON


def fields(first: int, last: int) -> st.SearchStrategy[str]:
    numbers = st.integers(first, last)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.tuples(st.one_of(st.just("*"), ranges), st.integers(1, 40)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    term = st.one_of(st.just("*"), numbers.map(str), ranges, steps)
    return st.lists(term, min_size=1, max_size=2).map(",".join)


EXPRESSIONS = st.tuples(
    fields(0, 59), fields(0, 23), st.one_of(st.just("*"), fields(1, 28)), fields(1, 12), fields(0, 7)
).map(" ".join)
ZONES = st.sampled_from(["UTC", "Europe/Vienna", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata"])
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(EXPRESSIONS, ZONES, MOMENTS)
def test_until_it_closes_every_minute_matches_and_then_one_does_not(
    expression: str, zone: str, moment: datetime
) -> None:
    """However it jumps over hours and days, it is the same as looking at each minute."""
    until = cron.closes([(expression, zone)], moment)
    minute = moment.replace(second=0, microsecond=0)
    if until is None:
        assert not cron.matches(expression, minute, zone)
    else:
        assert until == minute + cron.HORIZON or not cron.matches(expression, until, zone)
        minutes = int((until - minute) / timedelta(minutes=1))
        assert all(
            cron.matches(expression, minute + timedelta(minutes=passed), zone)
            for passed in {*range(0, minutes, max(1, minutes // 400)), minutes - 1}
        )


@given(EXPRESSIONS, ZONES, MOMENTS)
def test_the_next_time_is_later_and_in_a_matching_minute(expression: str, zone: str, moment: datetime) -> None:
    cron.check(expression)
    due = cron.next_after(expression, moment, zone)

    assert due > moment
    assert due.utcoffset() == timedelta()
    local = due.astimezone(ZoneInfo(zone))
    moved = {(due + timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset() for hours in (-3, 3)}
    assert len(moved) > 1 or cron.matches(expression, local, zone)


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 3 * * 1", "2026-11-20T12:00:00", "2026-11-23T03:00:00"),
        ("0 3 * * 1", "2026-11-23T03:00:00", "2026-11-30T03:00:00"),
        ("* * * * *", "2026-11-20T12:00:59.5", "2026-11-20T12:01:00"),
        ("0 0 29 2 *", "2026-11-20T12:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time(expression: str, after: str, due: str) -> None:
    assert cron.next_after(expression, at(after)) == at(due)


def test_the_next_time_where_the_clock_changes() -> None:
    """Half past two does not come on the day of the change: it runs right after; twice in autumn: it runs once."""
    spring = cron.next_after("30 2 * * *", datetime(2026, 3, 28, 12, tzinfo=VIENNA), "Europe/Vienna")
    autumn = cron.next_after("30 2 * * *", datetime(2026, 10, 24, 12, tzinfo=VIENNA), "Europe/Vienna")

    assert spring == at("2026-03-29T01:00:00")
    assert autumn == at("2026-10-25T00:30:00")
    assert cron.next_after("30 2 * * *", autumn, "Europe/Vienna") == at("2026-10-26T01:30:00")
