"""When an Environment takes no new commits, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from framework.api import closures
from framework.api.fields import format_duration
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.kind import CrossProblem

_HARDLY_MEANT = timedelta(minutes=5)


def closed_until(spec: EnvironmentSpec, now: datetime) -> datetime | None:
    """The first minute (UTC) from ``now`` on at which a new commit may take effect; None: it may now."""
    return closures.closes(((window.deny, window.timezone) for window in spec.windows), now)


def described(spec: EnvironmentSpec) -> str:
    """How long the windows close, taken together; empty where there are none."""
    if not spec.windows:
        return ""
    longest, total = closures.stretches((window.deny, window.timezone) for window in spec.windows)
    return f"its windows close for {format_duration(longest)} at a time at most, {format_duration(total)} of a year"


def remarks(spec: EnvironmentSpec) -> Iterator[CrossProblem]:
    """Windows as whoever comes from schedules with a duration writes them: every minute that matches is closed, and
    the others are not."""
    for index, window in enumerate(spec.windows):
        minute, rest = window.deny.split(maxsplit=1)
        if minute == "*":
            continue
        longest, total = closures.stretches([(window.deny, window.timezone)])
        if longest <= _HARDLY_MEANT:
            told = f"closes for {format_duration(longest)} at a time, {format_duration(total)} of a year"
            yield CrossProblem(
                f"spec.windows[{index}].deny",
                f"{told}: each minute that matches, and no more; '*' as the minute closes whole hours",
                suggestion=f"* {rest}",
            )
