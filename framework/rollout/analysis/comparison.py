"""Is the candidate worse than stable by more than the spec allows? One exact test for rates and latency quantiles.

Both are judged the same way. From the counts come a lower limit for the candidate and an upper limit for stable, each
exact at half the look's level. No normal approximation: rollouts are decided on dozens of requests, where
approximations raise several times the false alarms they claim.

* Rates: the limits of Clopper and Pearson (Biometrika 26, 1934).
* Quantiles: order statistics, whose ranks are binomial whatever the latencies' distribution is (David and Nagaraja,
  Order Statistics, section 7.1). The histogram tells the bucket of an order statistic; the edge that weakens the claim
  is taken.

Fail means: the candidate's lower limit exceeds what the bound allows above stable's upper limit. If the candidate in
truth keeps within the bound, one of the two limits must be wrong for that: it happens with at most the look's level.
Requests are taken as independent. A burst of failures that hits both versions alike moves both limits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from functools import partial

from framework.ports import BAD_REQUEST, LATENCY_BOUNDS, VersionCounters
from framework.probability import binomial_quantile, proportion_lower, proportion_upper
from framework.rollout.analysis.verdict import AnalysisOutcome, Estimate, Verdict
from framework.rollout.strategies import AnalysisMetric, Canary

_ROUNDING = 1e-9
"""Bucket edges are powers of 1.25, so that a ratio of exactly 1.25 must survive rounding."""


def error_rate(counters: VersionCounters, alpha: float) -> Estimate:
    """The share of requests that the version itself failed, with exact one-sided limits at ``alpha`` each."""
    return _share(min(counters.errors, counters.requests), counters.requests, alpha)


def refusal_rate(counters: VersionCounters, alpha: float) -> Estimate:
    """The share of what it was asked that the version refused as its callers' mistake, with limits as for errors."""
    return _share(counters.refused, counters.requests + counters.refused, alpha)


def _share(k: int, n: int, alpha: float) -> Estimate:
    value = k / n if n else None
    return Estimate(count=n, value=value, low=proportion_lower(k, n, alpha), high=proportion_upper(k, n, alpha))


def latency_quantile(counters: VersionCounters, alpha: float, q: float) -> Estimate:
    """The ``q`` quantile of latency in seconds, with distribution-free one-sided limits at ``alpha`` each.

    A failed request that nobody timed was slower than all that were: a version that times out must not look fast.
    """
    buckets = counters.latency_buckets or (0,) * (len(LATENCY_BOUNDS) + 1)
    untimed = max(0, min(counters.errors, counters.requests - sum(buckets)))
    buckets = (*buckets[:-1], buckets[-1] + untimed)
    n = sum(buckets)
    if n == 0:
        return Estimate(count=0, value=None, low=0.0, high=None)
    lower_rank = binomial_quantile(n, q, alpha)
    upper_rank = binomial_quantile(n, q, 1.0 - alpha) + 1
    low = _edges(_bucket_of(buckets, lower_rank))[0] if lower_rank >= 1 else 0.0
    high = _edges(_bucket_of(buckets, upper_rank))[1] if upper_rank <= n else None
    return Estimate(count=n, value=_interpolate(buckets, q * n), low=low, high=high)


def _bucket_of(buckets: tuple[int, ...], rank: int) -> int:
    """The bucket that holds the observation of this rank, counted from 1."""
    below = 0
    for index, count in enumerate(buckets):
        below += count
        if below >= rank:
            return index
    return len(buckets) - 1


def _edges(bucket: int) -> tuple[float, float | None]:
    low = LATENCY_BOUNDS[bucket - 1] if bucket else 0.0
    return low, LATENCY_BOUNDS[bucket] if bucket < len(LATENCY_BOUNDS) else None


def _interpolate(buckets: tuple[int, ...], position: float) -> float:
    """The value at ``position`` observations from the smallest, spread evenly within a bucket."""
    below = 0
    for index, count in enumerate(buckets):
        if count and below + count >= position:
            low, high = _edges(index)
            return low if high is None else low + (high - low) * max(0.0, position - below) / count
        below += count
    return LATENCY_BOUNDS[-1]


_MEASURES: dict[str, Callable[[VersionCounters, float], Estimate]] = {
    "error_rate": error_rate,
    "refusal_rate": refusal_rate,
    "latency_p50": partial(latency_quantile, q=0.50),
    "latency_p95": partial(latency_quantile, q=0.95),
    "latency_p99": partial(latency_quantile, q=0.99),
}

EVALUATED = frozenset(_MEASURES)
"""The metrics that can be judged from the routers' counters."""


def judged(spec: Canary) -> tuple[AnalysisMetric, ...]:
    """What is looked at: the metrics of the spec. Without a shield nobody can tell whether a refused request was wrong,
    so whoever watches errors watches refusals, too: as far above stable as errors may lie, or as their ``max``."""
    watched = [metric for metric in spec.analysis if metric.metric == "error_rate"]
    if spec.shield or not watched or any(metric.metric == "refusal_rate" for metric in spec.analysis):
        return spec.analysis
    first = watched[0]
    increase = first.maxIncrease if first.maxIncrease is not None else first.max
    bound = {"maxRatio": first.maxRatio} if increase is None else {"maxIncrease": increase}
    return (*spec.analysis, AnalysisMetric.model_validate({"metric": "refusal_rate", **bound}))


def judge(
    metric: AnalysisMetric,
    candidate: VersionCounters,
    stable: VersionCounters,
    *,
    min_requests: int,
    alpha: float,
    look: int,
    now: datetime,
) -> Verdict:
    """Compare the two versions over the same window.

    A Fail needs no minimum of traffic, because the test is exact at any count; a Pass needs ``min_requests`` on the
    candidate and, for a bound that is relative, on stable. Raises KeyError for a metric that is not in ``EVALUATED``.
    """
    relative = metric.max is None
    measure = _MEASURES[metric.metric]
    level = alpha / 2.0 if relative else alpha
    ours, theirs = measure(candidate, level), measure(stable, level)
    bound, limit, hard_limit = _limits(metric, theirs)
    short = ours.count < min_requests or (relative and theirs.count < min_requests)
    if ours.low > hard_limit * (1.0 - _ROUNDING):
        outcome = AnalysisOutcome.FAIL
    elif short or ours.value is None or limit is None or ours.value > limit * (1.0 + _ROUNDING):
        outcome = AnalysisOutcome.INCONCLUSIVE
    else:
        outcome = AnalysisOutcome.PASS
    return Verdict(
        metric=metric.metric,
        outcome=outcome,
        candidate=ours,
        stable=theirs,
        bound=bound,
        limit=limit,
        look=look,
        alpha=alpha,
        time=now,
        message=_message(metric.metric, outcome, ours, theirs, bound, limit, short, min_requests)
        + (_because(metric.metric, candidate) if outcome is AnalysisOutcome.FAIL else ""),
    )


def _because(metric: str, counters: VersionCounters) -> str:
    """The most frequent of the failures that are behind a rate."""
    if not metric.endswith("_rate"):
        return ""
    mistakes = metric == "refusal_rate"
    behind = [failure for failure in counters.failures if (failure.type == BAD_REQUEST) is mistakes]
    if not behind:
        return ""
    most = max(behind, key=lambda failure: failure.count)
    return f"; {most.text}, {most.count:,} of them"


def _limits(metric: AnalysisMetric, stable: Estimate) -> tuple[str, float | None, float]:
    """The bound in words, what it allows given stable's estimate, and what it allows given stable's upper limit."""
    if metric.max is not None:
        return f"max {metric.max:g}", metric.max, metric.max
    high = math.inf if stable.high is None else stable.high
    if metric.maxIncrease is not None:
        by = metric.maxIncrease
        return f"maxIncrease {by:g}", None if stable.value is None else stable.value + by, high + by
    assert metric.maxRatio is not None
    ratio = metric.maxRatio
    return f"maxRatio {ratio:g}", None if stable.value is None else stable.value * ratio, high * ratio


def _message(
    metric: str,
    outcome: AnalysisOutcome,
    candidate: Estimate,
    stable: Estimate,
    bound: str,
    limit: float | None,
    short: bool,
    min_requests: int,
) -> str:
    def side(estimate: Estimate) -> str:
        value, low, high = (_number(metric, item) for item in (estimate.value, estimate.low, estimate.high))
        return f"{value} [{low}, {high}] of {estimate.count:,}"

    text = f"{metric} {side(candidate)} against {side(stable)}; {bound} allows {_number(metric, limit)}"
    if outcome is AnalysisOutcome.INCONCLUSIVE:
        text += f"; needs {min_requests:,} requests" if short else "; beyond the bound, but chance is not ruled out"
    return text


def _number(metric: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.2%}" if metric.endswith("_rate") else f"{value * 1000:.1f} ms"
