"""The traffic that one analysis sees: counters since it began, summed over router replicas.

Routers count from their own start, so the counters at the beginning are kept per replica and taken off. A replica that
appears later starts from zero; one that disappears keeps what it had counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from framework.api.meta import Stored
from framework.ports import Failure, Recent, ReplicaCounters, VersionCounters
from framework.rollout.analysis.comparison import judge, judged
from framework.rollout.analysis.verdict import Verdict
from framework.rollout.strategies import Canary

FIRST_LOOK = 10
"""What the candidate must have been asked before the first look."""
LOOK_GROWTH = 1.5
"""The next look is due once the candidate was asked this many times as much as at the last one."""

Counts = dict[str, VersionCounters]


class AnalysisWindow(Stored):
    """``start`` and ``last`` are counters by replica and app; ``verdicts`` those of the last look."""

    opened: datetime
    candidate: str
    stable: str
    start: dict[str, Counts]
    last: dict[str, Counts]
    fed_at: datetime | None = None
    """When the candidate was last seen to have been asked something."""
    looks: int = 0
    looked_at: int = 0
    """What the candidate had been asked at the last look, refused requests included."""
    closed: bool = False
    """The step's time was up and its closing look was taken; later looks wait for more traffic."""
    verdicts: tuple[Verdict, ...] = ()

    @property
    def fed(self) -> datetime:
        """Since when the candidate has got nothing."""
        return self.fed_at or self.opened

    def follow(self, replicas: Iterable[ReplicaCounters], now: datetime) -> AnalysisWindow:
        """Take in what the routers say now."""
        start, last = dict(self.start), dict(self.last)
        for replica in replicas:
            counts = _of(replica, (self.candidate, self.stable))
            if any(_requests(counts, app) < _requests(last.get(replica.replica, {}), app) for app in counts):
                start.pop(replica.replica, None)  # the same name counting from zero again
            last[replica.replica] = {**last.get(replica.replica, {}), **counts}
        if start == self.start and last == self.last:
            return self
        followed = self.model_copy(update={"start": start, "last": last})
        return followed.model_copy(update={"fed_at": now}) if followed.asked() != self.asked() else followed

    def total(self, app: str) -> VersionCounters:
        """What ``app`` was asked and answered since the window opened."""
        found = [
            _minus(counts.get(app, VersionCounters()), self.start.get(replica, {}).get(app, VersionCounters()))
            for replica, counts in self.last.items()
        ]
        return VersionCounters(
            requests=sum(item.requests for item in found),
            errors=sum(item.errors for item in found),
            shielded=sum(item.shielded for item in found),
            latency_buckets=_add(item.latency_buckets for item in found),
            refused=sum(item.refused for item in found),
            failures=together(failure for item in found for failure in item.failures),
        )

    def asked(self) -> int:
        """How often the candidate was asked since the window opened, refused requests included."""
        total = self.total(self.candidate)
        return total.requests + total.refused

    def look_due(self, min_requests: int) -> bool:
        """Whether there is enough new traffic to look again. Depends on counts only, never on outcomes."""
        asked = self.asked()
        reached = self.looked_at < min_requests <= asked
        return reached or asked >= max(FIRST_LOOK, math.ceil(self.looked_at * LOOK_GROWTH))

    def look(self, spec: Canary, share: float, now: datetime) -> AnalysisWindow:
        """Judge every metric once more. ``share`` is the chance of a false alarm that one metric may spend here.

        Look j spends share / (j (j + 1)), which adds up to ``share`` however many looks there are; by the union bound
        the chance that a good candidate ever fails stays below it (alpha spending: Lan and DeMets, Biometrika, 1983).
        """
        number = self.looks + 1
        candidate, stable = self.total(self.candidate), self.total(self.stable)
        verdicts = tuple(
            judge(
                metric,
                candidate,
                stable,
                min_requests=spec.minRequests,
                alpha=share / (number * (number + 1)),
                look=number,
                now=now,
            )
            for metric in judged(spec)
        )
        return self.model_copy(update={"looks": number, "looked_at": self.asked(), "verdicts": verdicts})


def open_window(replicas: Iterable[ReplicaCounters], candidate: str, stable: str, now: datetime) -> AnalysisWindow:
    """Start counting now."""
    counts = {replica.replica: _of(replica, (candidate, stable)) for replica in replicas}
    return AnalysisWindow(opened=now, candidate=candidate, stable=stable, start=counts, last=counts)


def together(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """The same failures of several replicas as one each, the most frequent first."""
    found: dict[tuple[str, str], Failure] = {}
    for failure in failures:
        other = found.get(failure.key)
        newest = failure if other is None or failure.last >= other.last else other
        found[failure.key] = replace(newest, count=failure.count + (other.count if other else 0))
    return tuple(sorted(found.values(), key=lambda failure: (-failure.count, failure.key)))


def _of(replica: ReplicaCounters, apps: tuple[str, ...]) -> Counts:
    """Without what changes by itself as time passes: a window in which nothing happens is not worth a write."""
    return {app: replace(replica.versions[app], recent=Recent()) for app in apps if app in replica.versions}


def _requests(counts: Mapping[str, VersionCounters], app: str) -> int:
    return counts[app].requests + counts[app].refused if app in counts else 0


def _minus(now: VersionCounters, before: VersionCounters) -> VersionCounters:
    earlier = (*before.latency_buckets, *(0,) * len(now.latency_buckets))
    return VersionCounters(
        requests=max(0, now.requests - before.requests),
        errors=max(0, now.errors - before.errors),
        shielded=max(0, now.shielded - before.shielded),
        latency_buckets=tuple(max(0, a - b) for a, b in zip(now.latency_buckets, earlier, strict=False)),
        refused=max(0, now.refused - before.refused),
        failures=tuple(_new_failures(now, before)),
    )


def _new_failures(now: VersionCounters, before: VersionCounters) -> Iterator[Failure]:
    counted = {failure.key: failure.count for failure in before.failures}
    for failure in now.failures:
        since = failure.count - counted.get(failure.key, 0)
        if since:  # a kind that was forgotten meanwhile counts from zero again
            yield replace(failure, count=since if since > 0 else failure.count)


def _add(buckets: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    total: list[int] = []
    for counts in buckets:
        total.extend([0] * (len(counts) - len(total)))
        for index, count in enumerate(counts):
            total[index] += count
    return tuple(total)
