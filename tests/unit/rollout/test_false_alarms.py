"""Whole rollouts, simulated: the promise is about all looks of a rollout together, not about one."""

from __future__ import annotations

import random
from bisect import bisect_left

import pytest

from framework.ports import LATENCY_BOUNDS, AppPhase, VersionCounters
from framework.probability import binomial_quantile
from framework.rollout.canary import advance, begin
from framework.rollout.state import Course, Decision
from framework.rollout.strategies import Canary
from tests.builders import NOW, at
from tests.unit.rollout.counting import canary, router, signals

pytestmark = pytest.mark.slow

ROLLOUTS = 150
RATE = 0.1
TOLERATED = binomial_quantile(ROLLOUTS, RATE, 0.99)
"""Aborts that a true rate of 10 % stays below in 99 of 100 suites; the true rate is lower, as the test is exact."""


class Traffic:
    """Requests that fail with ``errors`` and take a log-normal time around ``median`` seconds."""

    def __init__(self, chance: random.Random, errors: float, median: float) -> None:
        self._chance, self._errors, self._median = chance, errors, median
        self._failed = self._requests = 0
        self._buckets = [0] * (len(LATENCY_BOUNDS) + 1)

    def send(self, requests: int) -> VersionCounters:
        for _ in range(requests):
            self._failed += self._chance.random() < self._errors
            self._buckets[bisect_left(LATENCY_BOUNDS, self._chance.lognormvariate(0, 0.6) * self._median)] += 1
        self._requests += requests
        return VersionCounters(self._requests, self._failed, 0, tuple(self._buckets))


def roll_out(spec: Canary, chance: random.Random, *, errors: float, stable_errors: float, slower: float) -> Decision:
    """A canary at 10 % of the traffic, looked at every second until it is decided."""
    candidate, stable = Traffic(chance, errors, 0.02 * slower), Traffic(chance, stable_errors, 0.02)
    state = begin(spec, NOW)
    for second in range(200):
        seen = router(candidate.send(6 if second else 0), stable.send(54 if second else 0))
        state, decision = advance(spec, state, signals(AppPhase.RUNNING, seen), at(second))
        if decision.course is not Course.CONTINUE:
            return decision
    raise AssertionError("undecided")


def aborted(spec: Canary, *, errors: float = 0.03, stable_errors: float = 0.03, slower: float = 1.0) -> int:
    chance = random.Random(20261120)
    return sum(
        roll_out(spec, chance, errors=errors, stable_errors=stable_errors, slower=slower).course is Course.ABORT
        for _ in range(ROLLOUTS)
    )


def spec(**metric: object) -> Canary:
    return canary(analysis=[metric], falseAlarmRate=RATE, onInconclusive="promote", minRequests=50)


@pytest.mark.parametrize(
    ("bound", "errors"), [({"maxIncrease": 0.0}, 0.03), ({"maxIncrease": 0.02}, 0.05), ({"max": 0.03}, 0.03)]
)
def test_a_candidate_just_within_the_bound_on_errors_is_seldom_aborted(bound: dict[str, float], errors: float) -> None:
    assert aborted(spec(metric="error_rate", **bound), errors=errors) <= TOLERATED


def test_a_candidate_as_fast_as_stable_is_seldom_aborted() -> None:
    assert aborted(spec(metric="latency_p95", maxRatio=1.0)) <= TOLERATED


def test_a_candidate_with_many_errors_is_always_aborted() -> None:
    assert aborted(spec(metric="error_rate", maxIncrease=0.01), errors=0.25) == ROLLOUTS


def test_a_candidate_three_times_slower_is_always_aborted() -> None:
    assert aborted(spec(metric="latency_p95", maxRatio=1.25), slower=3.0) == ROLLOUTS
