"""Cron expressions of five fields: what is wrong with one, which minutes match it, and when the next one comes.

An expression is read in the local time of an IANA timezone. ``matches`` asks minute by minute: where a clock is set
back, the repeated hour matches twice; where it is set forward, the minutes that never come match nothing.
``next_after`` is for schedules and follows Debian's cron: what falls into a gap runs right after it, what falls into a
repeated hour runs once. As in cron, day of month and day of week are both needed where one of them starts with ``*``,
and either is enough where neither does.

The rules of timezones are data that Python reads from the system, like those of Unicode.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from framework.api.errors import FieldError
from framework.api.nearest import nearest


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
_DAYS_OF_WEEK = 7
LONGEST = 400
"""Characters of an expression. One that lists every minute, hour, day and month by itself has 391."""
_LONGEST_NUMBER = 4
_A_LEAP_YEAR = datetime(2024, 1, 1, tzinfo=UTC)

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
        zone(name)
    except (KeyError, ValueError, OSError):  # OSError: a folder of timezones, such as Europe
        raise FieldError(
            f"{name!r} is not a timezone; write an IANA name such as UTC or Europe/Vienna", _nearest_zone(name)
        ) from None
    return name


def matches(expression: str, moment: datetime, timezone: str = "UTC") -> bool:
    """Whether the minute that ``moment`` lies in is one of the expression's."""
    schedule, local = parsed(expression), moment.astimezone(zone(timezone))
    return (
        local.minute in schedule.minutes
        and local.hour in schedule.hours
        and local.month in schedule.months
        and schedule.match_day(local.date())
    )


def next_after(expression: str, moment: datetime, timezone: str = "UTC") -> datetime:
    """The first time (UTC) after ``moment`` at which the schedule is due."""
    return next(CronSim(expression, moment.astimezone(zone(timezone)))).astimezone(UTC)


# -- reading ---------------------------------------------------------------------------------------------------------


def _check_term(field: _Field, term: str) -> None:
    body, slash, step = term.partition("/")
    start, end = _range(field, body, term)
    if end < start:
        raise FieldError(f"{field.name} {term!r} runs backwards; write it as two parts with a comma between them")
    if slash and start == end and "-" in body:
        raise FieldError(
            f"{field.name} {term!r}: a range of one value leaves no room for a step; write {start} for it alone, or "
            f"{start}/{step} for every so many up to {field.last}"
        )
    if slash:
        # A single value with a step goes on to the end of the field.
        _check_step(field, term, step, start, field.last if start == end else end)


def _range(field: _Field, body: str, term: str) -> tuple[int, int]:
    if body == "*":
        return field.first, field.last
    first, dash, last = body.partition("-")
    start = _value(field, first, term)
    return start, _value(field, last, term) if dash else start


def _check_step(field: _Field, term: str, step: str, start: int, end: int) -> None:
    """A step that leaves its range at once looks like every so many minutes, and is the first one alone."""
    if not (step.isascii() and step.isdigit()) or not step.strip("0"):
        raise FieldError(f"{field.name} {term!r}: a step is a whole number from 1 on, found {step!r}")
    size = min(end - start + 1, _DAYS_OF_WEEK) if field.words == _DAYS else end - start + 1
    if len(step) > _LONGEST_NUMBER or int(step) >= max(size, 2):
        raise FieldError(
            f"{field.name} {term!r}: a step of {step} leads from {start} out of the range {start} to {end} at once, so "
            f"that only {start} would match; write {start} for that, or a step below {max(size, 2)}"
        )


def _value(field: _Field, text: str, term: str) -> int:
    where = field.name if text == term else f"{field.name} {term!r}:"
    if text.upper() in field.words:
        return field.first + field.words.index(text.upper())
    if not (text.isascii() and text.isdigit()):
        named = f", or a name ({', '.join(field.words)})" if field.words else ""
        near = nearest(text[:3], field.words)
        raise FieldError(f"{where} {text!r} is not a number from {field.first} to {field.last}{named}", near)
    if len(text) > _LONGEST_NUMBER or not field.first <= int(text) <= field.last:
        raise FieldError(f"{where} {text} is out of range: {field.first} to {field.last}")
    return int(text)


def _never_comes(expression: str) -> bool:
    try:
        next(CronSim(expression, _A_LEAP_YEAR))
    except (CronSimError, StopIteration):  # the fields are sound: only their days can fail to meet
        return True
    return False


@lru_cache(maxsize=1024)
def parsed(expression: str) -> CronSim:
    """An expression that ``check`` found right, taken apart."""
    return CronSim(expression, _A_LEAP_YEAR)


def zone(name: str) -> tzinfo:
    """The rules of a timezone. Raises KeyError, ValueError or OSError where there is none of that name."""
    if name == "UTC":
        return UTC
    if name in _NO_PLACES or name.startswith(("posix/", "right/")):
        raise ValueError(name)
    return ZoneInfo(name)


def _nearest_zone(name: str) -> str | None:
    """A timezone of almost this name, or of this city: ``vienna``, ``Europe/Viena``, ``utc``."""
    known = sorted(available_timezones() - _NO_PLACES)
    cities = {zone.rpartition("/")[2]: zone for zone in known if "/" in zone}
    city = nearest(name, cities, cutoff=0.8)
    return nearest(name, known, cutoff=0.8) or (cities[city] if city else None)
