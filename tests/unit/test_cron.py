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
        "*/59 */23 */30 */11 */6",
        "5/1 0-1/1 * * *",
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
        ("*/90 * * * *", "minute '*/90': a step of 90 leads from 0 out of the range 0 to 59 at once"),
        ("*/60 * * * *", "so that only 0 would match; write 0 for that, or a step below 60"),
        ("0-59/90 * * * *", "minute '0-59/90': a step of 90 leads from 0 out of the range 0 to 59 at once"),
        ("50/20 * * * *", "minute '50/20': a step of 20 leads from 50 out of the range 50 to 59 at once"),
        ("7/60 * * * *", "minute '7/60': a step of 60 leads from 7 out of the range 7 to 59 at once"),
        ("1-3/9 * * * *", "minute '1-3/9': a step of 9 leads from 1 out of the range 1 to 3 at once"),
        (
            "30-30/2 * * * *",
            "minute '30-30/2': a range of one value leaves no room for a step; write 30 for it alone, or",
        ),
        ("* * * * MON-MON/1", "write 1 for it alone, or 1/1 for every so many up to 7"),
        ("1,*/99999999999999999999 * * * *", "out of the range 0 to 59 at once"),
        (f"*/{'9' * 5000} * * * *", "out of the range 0 to 59 at once"),
        (f"{'9' * 5000} * * * *", "is out of range: 0 to 59"),
        ("* */24 * * *", "hour '*/24': a step of 24 leads from 0 out of the range 0 to 23 at once"),
        ("* * */31 * *", "day of month '*/31': a step of 31 leads from 1 out of the range 1 to 31 at once"),
        ("* * * */12 *", "month '*/12': a step of 12 leads from 1 out of the range 1 to 12 at once"),
        ("* * * JAN-MAR/3 *", "month 'JAN-MAR/3': a step of 3 leads from 1 out of the range 1 to 3 at once"),
        ("* * * * */7", "day of week '*/7': a step of 7 leads from 0 out of the range 0 to 7 at once"),
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


def fields(first: int, last: int) -> st.SearchStrategy[str]:
    numbers = st.integers(first, last)
    ranges = st.tuples(numbers, numbers).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.integers(1, min(last - first, 6)).flatmap(
        lambda step: st.one_of(
            st.just(f"*/{step}"), st.integers(first, last - step).map(lambda start: f"{start}-{last}/{step}")
        )
    )
    term = st.one_of(st.just("*"), numbers.map(str), ranges, steps)
    return st.lists(term, min_size=1, max_size=2).map(",".join)


EXPRESSIONS = st.tuples(
    fields(0, 59), fields(0, 23), st.one_of(st.just("*"), fields(1, 28)), fields(1, 12), fields(0, 7)
).map(" ".join)
ZONES = st.sampled_from(["UTC", "Europe/Vienna", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Kolkata"])
MOMENTS = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


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
