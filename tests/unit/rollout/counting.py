"""What routers would have counted."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from framework.ports import LATENCY_BOUNDS, AppPhase, ReplicaCounters, VersionCounters
from framework.rollout.state import Signals
from framework.rollout.strategies import AnalysisMetric, Canary
from tests.builders import NOW

CANDIDATE, STABLE = "delay-bbbbbbbbbb", "delay-aaaaaaaaaa"


def counted(requests: int, errors: int = 0, latency: float = 0.02) -> VersionCounters:
    buckets = [0] * (len(LATENCY_BOUNDS) + 1)
    buckets[bisect_left(LATENCY_BOUNDS, latency)] = requests
    return VersionCounters(requests, errors, 0, tuple(buckets))


def router(candidate: VersionCounters, stable: VersionCounters, name: str = "router-0") -> ReplicaCounters:
    return ReplicaCounters(name, 1, NOW, {CANDIDATE: candidate, STABLE: stable})


def metric(name: str = "error_rate", **bound: float) -> AnalysisMetric:
    return AnalysisMetric.model_validate({"metric": name, **(bound or {"maxIncrease": 0.01})})


def canary(*steps: dict[str, Any], **more: Any) -> Canary:
    return Canary.model_validate(
        {
            "steps": steps or ({"setWeight": 10}, {"analyze": {"for": "60s"}}, {"setWeight": 100}),
            "analysis": [{"metric": "error_rate", "maxIncrease": 0.01}],
            "minRequests": 100,
            **more,
        }
    )


def signals(
    phase: AppPhase | None = AppPhase.RUNNING,
    *routers: ReplicaCounters,
    applied: bool = True,
    message: str = "",
) -> Signals:
    return Signals(CANDIDATE, STABLE, phase, message, applied, routers)
