"""Small phrases that every renderer says the same way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from framework.planning.reports.health import SHORT_COMMIT
from framework.render.terminal import one_line

_SHOWN = 5
_HEX = frozenset("0123456789abcdef")
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def second(moment: datetime) -> str:
    """A moment in UTC to the second, for a table that says that it is in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def short(commit: str) -> str:
    """The first characters of a commit, enough to find it; what is no commit (``worktree``) as it is."""
    return commit[:SHORT_COMMIT] if _HEX.issuperset(commit) else commit


def commit_title(commit: str, subject: str) -> str:
    """``3f2a1bc "what it says of itself"``."""
    return f'{short(commit)} "{one_line(subject)}"' if subject else short(commit)


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 resource``, ``1,234 resources``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def span(duration: timedelta) -> str:
    """A duration in its largest unit: ``45s``, ``3m``, ``2h``, ``5d``. Negative ones (clock jumps) are ``0s``."""
    seconds = int(duration.total_seconds())
    return next((f"{seconds // size}{unit}" for size, unit in _UNITS if seconds >= size), "0s")


def lasting(seconds: float) -> str:
    """``45s``, ``2m05s``, ``1h02m``, ``2d03h``; ``1s`` for less than a second."""
    whole = max(round(seconds), 1) if seconds > 0 else 0
    for (size, unit), (below, smaller) in pairwise(_UNITS):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit}{f'{rest:02}{smaller}' if rest else ''}"
    return f"{whole}s"


def some(names: Sequence[str]) -> str:
    """``a, b, c, d, e and 4 more``."""
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def ago(duration: timedelta) -> str:
    """How long something has been so: ``3m ago``; ``just now`` under a second."""
    return "just now" if duration < timedelta(seconds=1) else f"{span(duration)} ago"
