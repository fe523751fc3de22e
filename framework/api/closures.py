"""Windows, each a cron expression in a timezone: which minutes they close together, until when, and how long at a time.

Whole hours are looked at: 60 minutes are the bits of a number, the first minute the lowest. So a year costs no more
than its hours times the windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from cronsim import CronSim

from framework.api import cron

HORIZON = timedelta(days=366)
"""How far is looked."""

Window = tuple[str, str]
"""Expression and timezone."""

_A_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_ALL = (1 << 60) - 1
_Schedules = Mapping[tzinfo, Sequence[tuple[CronSim, int]]]
"""By timezone: schedules, each with its minutes of an hour."""


class Stretches(NamedTuple):
    """How long something is closed at a time at most, and how long in a year altogether."""

    longest: timedelta
    total: timedelta


def closes(windows: Iterable[Window], now: datetime) -> datetime | None:
    """The first minute (UTC) from ``now`` on that none of ``windows`` closes; None where that is the present one.
    Windows that follow each other without a gap count as one. Looks a year ahead: what never ends is told to end then.
    """
    start = now.astimezone(UTC).replace(second=0, microsecond=0)
    hour = start.replace(minute=0)
    for first, closed in _hours(windows, hour, start + HORIZON):
        ahead = _ALL if first > start else _ALL & ~((1 << start.minute) - 1)
        free = ~closed & ahead
        if free:
            found = first + ((free & -free).bit_length() - 1) * _MINUTE
            return None if found == start else min(found, start + HORIZON)
    return start + HORIZON


def never_opens(windows: Iterable[Window]) -> bool:
    """Whether ``windows`` together leave no minute of a year free."""
    return closes(windows, _A_LEAP_YEAR) == _A_LEAP_YEAR + HORIZON


def stretches(windows: Iterable[Window]) -> Stretches:
    """What ``windows`` close in a year, taken together."""
    longest = total = current = 0
    for _, closed in _hours(windows, _A_LEAP_YEAR, _A_LEAP_YEAR + HORIZON):
        if closed in {0, _ALL}:
            current = current + 60 if closed else 0
            longest = max(longest, current)
        else:
            for minute in range(60):
                current = current + 1 if closed >> minute & 1 else 0
                longest = max(longest, current)
        total += closed.bit_count()
    return Stretches(longest * _MINUTE, total * _MINUTE)


def _hours(windows: Iterable[Window], hour: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    """Hours of UTC from ``hour`` on, until ``end`` has come, each with its closed minutes."""
    schedules: dict[tzinfo, list[tuple[CronSim, int]]] = {}
    for expression, timezone in dict.fromkeys(windows):
        schedule = cron.parsed(expression)
        schedules.setdefault(cron.zone(timezone), []).append(
            (schedule, sum(1 << minute for minute in schedule.minutes))
        )
    while hour < end:
        yield hour, _closed(schedules, hour)
        hour += _HOUR


def _closed(schedules: _Schedules, hour: datetime) -> int:
    closed = 0
    for zone, some in schedules.items():
        local = hour.astimezone(zone)
        if (hour + _HOUR - _MINUTE).astimezone(zone).utcoffset() != local.utcoffset():
            closed |= _minute_by_minute(some, zone, hour)
            continue
        past = local.minute
        closed |= _of_hour(some, local) >> past
        if past:
            closed |= _of_hour(some, local + (60 - past) * _MINUTE) << (60 - past) & _ALL
    return closed


def _of_hour(schedules: Iterable[tuple[CronSim, int]], local: datetime) -> int:
    """The minutes of a local hour."""
    date, closed = local.date(), 0
    for schedule, minutes in schedules:
        if local.hour in schedule.hours and local.month in schedule.months and schedule.match_day(date):
            closed |= minutes
    return closed


def _minute_by_minute(schedules: Iterable[tuple[CronSim, int]], zone: tzinfo, hour: datetime) -> int:
    """An hour in which the clock is set."""
    closed = 0
    for minute in range(60):
        local = (hour + minute * _MINUTE).astimezone(zone)
        closed |= (_of_hour(schedules, local) >> local.minute & 1) << minute
    return closed
