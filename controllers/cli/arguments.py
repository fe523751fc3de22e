"""What arguments of commands stand for. Light: ``--help`` loads it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import click

from framework.api.fields import parse_duration


def resource_ref(text: str) -> Any:
    """The Ref of ``KIND/NAME``.

    Raises:
        BadParameter: the text has another shape.
    """
    from framework.api.meta import Ref

    try:
        return Ref.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def instant(text: str) -> datetime:
    """``2026-11-20`` (its first moment), ``2026-11-20T12:00``, ``2026-11-20T12:00+01:00``; UTC where it says nothing.

    Raises:
        ValueError: neither a date nor a time.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is neither a date (2026-11-20) nor a time (2026-11-20T12:00, 2026-11-20T12:00+01:00)"
        raise ValueError(message) from None
    try:
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} lies before or after all time") from None


MOST = 2**31 - 1
"""More than there is of anything."""


class Count(click.IntRange):
    """How many, and at least so many. More than there ever is means all."""

    def __init__(self, least: int = 0) -> None:
        super().__init__(min=least)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found: int = super().convert(value, param, ctx)
        return min(found, MOST)


class Text(click.ParamType[str]):
    """What can be written down: nothing in it is no character, as bytes of a command line may be."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail(f"{text!r} is no text", param, ctx)
        return text


class Duration(click.ParamType[timedelta]):
    """``90s``, ``5m``, ``1h``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        except OverflowError:
            self.fail(f"{value!r} is longer than can be reckoned with", param, ctx)


class Moment(click.ParamType[tuple[datetime, datetime]]):
    """A day or a moment, as the first instant and the first one after it; for a moment twice the same."""

    name = "date"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[datetime, datetime]:
        if isinstance(value, tuple):
            return value
        try:
            start = datetime.combine(date.fromisoformat(value), time(), UTC)
            return start, start + timedelta(days=1)
        except OverflowError:
            return start, start  # the last day that there is
        except ValueError:
            pass
        try:
            moment = instant(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return moment, moment


class Since(click.ParamType[datetime | timedelta]):
    """From when on: a date, a time, or how long ago (``90s``, ``2h``, ``3d``)."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if not isinstance(value, str):
            found: datetime | timedelta = value
            return found
        try:
            return parse_duration(value)
        except OverflowError:
            return timedelta.max
        except ValueError:
            pass
        try:
            return instant(value)
        except ValueError as error:
            self.fail(f"{error}, nor a duration (2h)", param, ctx)


def before(now: datetime, since: datetime | timedelta | None) -> datetime | None:
    """From when on, where ``since`` may say how long ago that is. Before there was time, there is everything."""
    if not isinstance(since, timedelta):
        return since
    try:
        return now - since
    except OverflowError:
        return None


def operator() -> str:
    """Who gives the command, for the log: ``user@host``."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
