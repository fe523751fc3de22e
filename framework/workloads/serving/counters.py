"""What a router replica counts, by version, since it started."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from framework.ports import LATENCY_BOUNDS


@dataclass
class _Version:
    requests: int = 0
    errors: int = 0
    shielded: int = 0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))


class Counters:
    """Cumulative, and touched by the event loop only. The control plane takes differences."""

    def __init__(self) -> None:
        self._versions: dict[str, _Version] = {}
        self.changes = 0
        """Grows with every count, so that a writer knows whether there is news."""

    def answered(self, app: str, seconds: float | None) -> None:
        """``app`` answered, after ``seconds`` of its own time.

        None for the time of a client's mistake, which says nothing about how fast a version predicts.
        """
        version = self._version(app)
        version.requests += 1
        if seconds is not None:
            version.buckets[bisect_left(LATENCY_BOUNDS, seconds)] += 1

    def failed(self, app: str) -> None:
        """``app`` raised, timed out or died."""
        version = self._version(app)
        version.requests += 1
        version.errors += 1

    def shielded(self, app: str) -> None:
        """Stable answered in place of ``app``, whose failure was counted before."""
        self._version(app).shielded += 1

    def snapshot(self, replica: str, generation: int, written: datetime) -> dict[str, Any]:
        """The counter file's content."""
        return {
            "replica": replica,
            "generation": generation,
            "written": written.isoformat(),
            "versions": {
                app: {
                    "requests": version.requests,
                    "errors": version.errors,
                    "shielded": version.shielded,
                    "latency_buckets": list(version.buckets),
                }
                for app, version in self._versions.items()
            },
        }

    def _version(self, app: str) -> _Version:
        self.changes += 1
        return self._versions.setdefault(app, _Version())
