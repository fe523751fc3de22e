"""Cron expressions of five fields: what is wrong with one, which minutes match it, and until when they do.

An expression is read in the local time of an IANA timezone. ``matches`` and ``closes`` ask minute by minute: where a
clock is set back, the repeated hour matches twice; where it is set forward, the minutes that never come match nothing.
``next_after`` is for schedules and follows Debian's cron: what falls into a gap runs right after it, what falls into a
repeated hour runs once. As in cron, day of month and day of week are both needed where one of them starts with ``*``,
and either is enough where neither does.

The rules of timezones are data that Python reads from the system, like those of Unicode.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from framework.api.errors import FieldError


class _Field(NamedTuple):
    name: str
    first: int
    last: int
    words: tuple[str, ...] = ()
    """Names of its values from ``first`` on."""


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of week", 0, 7, _DAYS),
)
_A_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
HORIZON = timedelta(days=366)
"""How far ``closes`` looks."""

_NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""Files among the timezones that mean something else on each machine, or nothing."""


def check(expression: str) -> str:
    """``expression``, if every field of it can be read and it comes at all.

    Raises:
        FieldError: says which field is wrong, what stands there and what may.
    """
    parts = expression.split()
    if len(parts) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise FieldError(f"a cron expression has five fields ({names}), found {len(parts)}")
    for part, field in zip(parts, _FIELDS, strict=True):
        for term in part.split(","):
            _check_term(field, term)
    if _never_comes(expression):
        raise FieldError(f"{expression!r} never comes: no month has such a day")
    return expression


def check_timezone(name: str) -> str:
    """``name``, if it is one of the IANA timezones.

    Raises:
        FieldError: with the likely meant one as its suggestion.
    """
    try:
        _zone(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder of timezones, such as Europe
        raise FieldError(
            f"{name!r} is not a timezone; write an IANA name such as UTC or Europe/Vienna", _nearest_zone(name)
        ) from None
    return name


def matches(expression: str, moment: datetime, timezone: str = "UTC") -> bool:
    """Whether the minute that ``moment`` lies in is one of the expression's."""
    return _stays(_parsed(expression), _zone(timezone), _minute(moment)) > timedelta()


def closes(windows: Iterable[tuple[str, str]], now: datetime) -> datetime | None:
    """The first minute (UTC) from ``now`` on that none of ``windows``, pairs of expression and timezone, matches; None
    where that is the present one. Windows that follow each other without a gap count as one. Looks a year ahead: what
    never ends is told to end then."""
    opened = [(_parsed(expression), _zone(timezone)) for expression, timezone in windows]
    start = moment = _minute(now)
    while moment < start + HORIZON:
        stay = max((_stays(schedule, zone, moment) for schedule, zone in opened), default=timedelta())
        if not stay:
            break
        moment += stay
    return None if moment == start else min(moment, start + HORIZON)


def never_opens(windows: Iterable[tuple[str, str]]) -> bool:
    """Whether ``windows`` together leave no minute of a year free."""
    return closes(windows, _A_LEAP_YEAR) == _A_LEAP_YEAR + HORIZON


def next_after(expression: str, moment: datetime, timezone: str = "UTC") -> datetime:
    """The first time (UTC) after ``moment`` at which the schedule is due."""
    return next(CronSim(expression, moment.astimezone(_zone(timezone)))).astimezone(UTC)


# -- reading ---------------------------------------------------------------------------------------------------------


def _check_term(field: _Field, term: str) -> None:
    body, slash, step = term.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        raise FieldError(f"{field.name} {term!r}: a step is a whole number from 1 on, found {step!r}")
    if body == "*":
        return
    first, dash, last = body.partition("-")
    start = _value(field, first, term)
    if dash and _value(field, last, term) < start:
        raise FieldError(f"{field.name} {term!r} runs backwards; write it as two parts with a comma between them")


def _value(field: _Field, text: str, term: str) -> int:
    where = field.name if text == term else f"{field.name} {term!r}:"
    if text.upper() in field.words:
        return field.first + field.words.index(text.upper())
    if not (text.isascii() and text.isdigit()):
        named = f", or a name ({', '.join(field.words)})" if field.words else ""
        near = difflib.get_close_matches(text.upper()[:3], field.words, n=1)
        raise FieldError(
            f"{where} {text!r} is not a number from {field.first} to {field.last}{named}", near[0] if near else None
        )
    if not field.first <= int(text) <= field.last:
        raise FieldError(f"{where} {text} is out of range: {field.first} to {field.last}")
    return int(text)


def _never_comes(expression: str) -> bool:
    try:
        next(CronSim(expression, _A_LEAP_YEAR))
    except (CronSimError, StopIteration):  # the fields are sound: only their days can fail to meet
        return True
    return False


@lru_cache(maxsize=1024)
def _parsed(expression: str) -> CronSim:
    return CronSim(expression, _A_LEAP_YEAR)


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if name in _NO_PLACES or name.startswith(("posix/", "right/")):
        raise ValueError(name)
    return ZoneInfo(name)


def _nearest_zone(name: str) -> str | None:
    """A timezone of almost this name, or of this city: ``vienna``, ``Europe/Viena``, ``utc``."""
    known = {zone.casefold(): zone for zone in sorted(available_timezones() - _NO_PLACES)}
    cities = {form.rpartition("/")[2]: zone for form, zone in known.items() if "/" in form}
    form = name.strip().casefold().replace(" ", "_")
    for names in (known, cities):
        near = difflib.get_close_matches(form, names, n=1, cutoff=0.8)
        if near:
            return names[near[0]]
    return None


# -- minutes ---------------------------------------------------------------------------------------------------------


def _minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def _stays(schedule: CronSim, zone: tzinfo, moment: datetime) -> timedelta:
    """For how long from ``moment``, a whole minute in UTC, every minute is one of the schedule's; zero if this one is
    not. It may go on being so after that: the answer ends with the hour or the day."""
    local = moment.astimezone(zone)
    if not (
        local.minute in schedule.minutes
        and local.hour in schedule.hours
        and local.month in schedule.months
        and schedule.match_day(local.date())
    ):
        return timedelta()
    if len(schedule.minutes) < 60:
        return _MINUTE
    if len(schedule.hours) == 24:
        midnight = datetime.combine(local.date() + _DAY, time(), tzinfo=zone)
        return max(midnight.astimezone(UTC) - moment, _MINUTE)
    hour = (60 - local.minute) * _MINUTE
    unmoved = (moment + hour).astimezone(zone).utcoffset() == local.utcoffset()
    return hour if unmoved else _MINUTE
