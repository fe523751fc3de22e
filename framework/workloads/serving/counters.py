"""What a router replica counts, by version, since it started."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from framework.ports import LATENCY_BOUNDS, RECENT_SECONDS

KEPT_FAILURES = 10
"""Ways of failing that are told apart by version; beyond, the one that was not seen for longest is forgotten."""

_SLICE_SECONDS = 10.0
"""What lies further back than RECENT_SECONDS is forgotten a slice at a time."""


@dataclass
class _Failure:
    type: str
    message: str
    where: str
    count: int
    last: datetime


@dataclass
class _Version:
    totals: Counter[str] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    failures: dict[tuple[str, str], _Failure] = field(default_factory=dict)
    """By type and place; where there is no place, by what was said. The newest last."""
    slices: deque[tuple[float, Counter[str]]] = field(default_factory=deque)

    def count(self, name: str, now: float) -> None:
        self.totals[name] += 1
        if not self.slices or now - self.slices[-1][0] >= _SLICE_SECONDS:
            self.slices.append((now, Counter()))
            self._forget(now)
        self.slices[-1][1][name] += 1

    def recent(self, now: float) -> Counter[str]:
        self._forget(now)
        return sum((counts for _, counts in self.slices), Counter())

    def _forget(self, now: float) -> None:
        while self.slices and now - self.slices[0][0] > RECENT_SECONDS:
            self.slices.popleft()


class Counters:
    """Cumulative, and touched by the event loop only. The control plane takes differences.

    ``clock`` is monotonic; ``wall`` says when a failure was.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._versions: dict[str, _Version] = {}
        self.changes = 0
        """Grows with every count, so that a writer knows whether there is news."""

    def answered(self, app: str, seconds: float) -> None:
        """``app`` answered, after ``seconds`` of its own time."""
        version = self._count(app, "requests")
        version.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1

    def failed(self, app: str, seconds: float, failure: Mapping[str, str] | None = None) -> None:
        """``app`` raised, timed out, died, or refused what stable answers, after ``seconds``. ``failure`` is
        ``{"type", "message", "where"}``."""
        version = self._count(app, "requests", "errors")
        version.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1
        self._remember(version, failure)

    def refused(self, app: str, failure: Mapping[str, str] | None = None) -> None:
        """``app`` found a mistake of the caller's. That says nothing about how well or how fast it predicts."""
        self._remember(self._count(app, "refused"), failure)

    def shielded(self, app: str) -> None:
        """Stable answered in place of ``app``, whose failure is counted as such."""
        self._count(app, "shielded")

    def snapshot(self, replica: str, generation: int, written: datetime) -> dict[str, Any]:
        """The counter file's content."""
        now = self._clock()
        return {
            "replica": replica,
            "generation": generation,
            "written": written.isoformat(),
            "versions": {app: _document(version, now) for app, version in self._versions.items()},
        }

    def _count(self, app: str, *names: str) -> _Version:
        self.changes += 1
        version, now = self._versions.setdefault(app, _Version()), self._clock()
        for name in names:
            version.count(name, now)
        return version

    def _remember(self, version: _Version, failure: Mapping[str, str] | None) -> None:
        if failure is None:
            return
        kind, message, where = (failure[name] for name in ("type", "message", "where"))
        key = (kind, where or message)
        seen = version.failures.pop(key, None)
        version.failures[key] = _Failure(kind, message, where, seen.count + 1 if seen else 1, self._wall())
        if len(version.failures) > KEPT_FAILURES:
            del version.failures[next(iter(version.failures))]


def _document(version: _Version, now: float) -> dict[str, Any]:
    recent, totals = version.recent(now), version.totals
    return {
        "requests": totals["requests"],
        "errors": totals["errors"],
        "shielded": totals["shielded"],
        "refused": totals["refused"],
        "latency_buckets": list(version.buckets),
        "recent": {name: recent[name] for name in ("requests", "errors", "refused")},
        "failures": [{**vars(seen), "last": seen.last.isoformat()} for seen in version.failures.values()],
    }
