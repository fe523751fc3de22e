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
    return found if found.tzinfo else found.replace(tzinfo=UTC)


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
        except ValueError:
            pass
        try:
            return instant(value)
        except ValueError as error:
            self.fail(f"{error}, nor a duration (2h)", param, ctx)


def operator() -> str:
    """Who gives the command, for the log: ``user@host``."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
