from __future__ import annotations

from dataclasses import replace

import pytest

from framework.ports import LATENCY_BOUNDS, Failure, VersionCounters
from framework.rollout.analysis.comparison import error_rate, judge, judged, latency_quantile
from framework.rollout.analysis.verdict import AnalysisOutcome, Verdict, overall
from framework.rollout.strategies import AnalysisMetric
from tests.builders import NOW
from tests.unit.rollout.counting import canary, counted, metric


def compare(bound: AnalysisMetric, candidate: VersionCounters, stable: VersionCounters, alpha: float = 0.01) -> Verdict:
    return judge(bound, candidate, stable, min_requests=100, alpha=alpha, look=1, now=NOW)


def test_no_worse_passes() -> None:
    assert compare(metric(), counted(1_000, 10), counted(9_000, 90)).outcome is AnalysisOutcome.PASS


def test_clearly_more_errors_fail() -> None:
    assert compare(metric(), counted(1_000, 100), counted(9_000, 90)).outcome is AnalysisOutcome.FAIL


def test_more_errors_than_allowed_that_chance_explains_are_inconclusive() -> None:
    verdict = compare(metric(), counted(200, 6), counted(2_000, 20))
    assert verdict.outcome is AnalysisOutcome.INCONCLUSIVE
    assert "chance is not ruled out" in verdict.message


def test_too_little_traffic_never_passes_silently() -> None:
    verdict = compare(metric(), counted(99), counted(9_000))
    assert verdict.outcome is AnalysisOutcome.INCONCLUSIVE
    assert "needs 100 requests" in verdict.message


def test_a_relative_bound_needs_traffic_on_stable_and_an_absolute_one_does_not() -> None:
    assert compare(metric(), counted(1_000), counted(5)).outcome is AnalysisOutcome.INCONCLUSIVE
    assert compare(metric(max=0.02), counted(1_000), counted(0)).outcome is AnalysisOutcome.PASS


def test_few_requests_that_all_fail_are_enough_to_fail() -> None:
    assert compare(metric(), counted(12, 12), counted(500, 0)).outcome is AnalysisOutcome.FAIL


def test_failing_stable_hides_no_bound_in_absolute_terms() -> None:
    both = counted(1_000, 500)
    assert compare(metric(), both, both).outcome is AnalysisOutcome.PASS
    assert compare(metric(max=0.1), both, both).outcome is AnalysisOutcome.FAIL


def test_slower_than_the_ratio_allows_fails() -> None:
    bound = metric("latency_p95", maxRatio=1.25)
    assert compare(bound, counted(1_000, latency=0.08), counted(9_000, latency=0.02)).outcome is AnalysisOutcome.FAIL
    assert compare(bound, counted(1_000, latency=0.02), counted(9_000, latency=0.02)).outcome is AnalysisOutcome.PASS


def test_one_bucket_slower_is_not_told_from_a_ratio_of_one_bucket() -> None:
    """Within 25 % by the histogram's resolution: no false Fail however much traffic there is."""
    bound = metric("latency_p50", maxRatio=1.25)
    slower = LATENCY_BOUNDS[20] * 0.99
    verdict = compare(bound, counted(100_000, latency=slower), counted(100_000, latency=slower / 1.25))
    assert verdict.outcome is AnalysisOutcome.PASS


def test_answers_beyond_the_last_bucket_have_no_upper_limit() -> None:
    estimate = latency_quantile(counted(1_000, latency=60.0), 0.01, 0.95)
    assert estimate.high is None
    assert estimate.low == LATENCY_BOUNDS[-1]


def test_a_quantile_lies_within_its_limits_and_they_narrow_with_traffic() -> None:
    def spread(n: int) -> float:
        buckets = [0] * (len(LATENCY_BOUNDS) + 1)
        for index in range(10, 30):
            buckets[index] = n
        estimate = latency_quantile(VersionCounters(20 * n, 0, 0, tuple(buckets)), 0.01, 0.5)
        assert estimate.value is not None
        assert estimate.high is not None
        assert estimate.low <= estimate.value <= estimate.high
        return estimate.high - estimate.low

    assert spread(500) < spread(5)


def test_a_version_that_times_out_does_not_look_fast() -> None:
    """One in five of its requests has no answer, whether their time was counted or not."""
    bound, stable = metric("latency_p95", maxRatio=1.25), counted(9_000, latency=0.02)
    fast, late = counted(800, latency=0.02), counted(200, latency=2.0)
    timed = VersionCounters(
        1_000, 200, 0, tuple(a + b for a, b in zip(fast.latency_buckets, late.latency_buckets, strict=True))
    )
    for candidate in (timed, VersionCounters(1_000, 200, 0, fast.latency_buckets), VersionCounters(200, 200)):
        assert compare(bound, candidate, stable).outcome is AnalysisOutcome.FAIL
        assert compare(metric("latency_p99", max=0.5), candidate, stable).outcome is AnalysisOutcome.FAIL
    assert compare(bound, counted(1_000, 200, latency=0.02), stable).outcome is AnalysisOutcome.PASS, (
        "they failed as fast"
    )


def refusing(requests: int, refused: int) -> VersionCounters:
    return replace(counted(requests), refused=refused)


def test_refused_requests_are_no_requests() -> None:
    verdict = compare(metric(), refusing(99, 500), counted(9_000))
    assert (verdict.outcome, verdict.candidate.count) == (AnalysisOutcome.INCONCLUSIVE, 99)


def test_refusing_what_stable_takes_is_worse() -> None:
    bound = metric("refusal_rate")
    assert compare(bound, refusing(0, 200), refusing(9_000, 90)).outcome is AnalysisOutcome.FAIL
    verdict = compare(bound, refusing(990, 10), refusing(8_910, 90))
    assert (verdict.outcome, verdict.candidate.count, verdict.candidate.value) == (AnalysisOutcome.PASS, 1_000, 0.01)


@pytest.mark.parametrize(
    ("analysis", "shield", "bounds"),
    [
        ([{"metric": "error_rate", "maxIncrease": 0.03}], True, []),
        ([{"metric": "error_rate", "maxIncrease": 0.03}], False, [("refusal_rate", 0.03, None)]),
        ([{"metric": "error_rate", "max": 0.2}], False, [("refusal_rate", 0.2, None)]),
        ([{"metric": "error_rate", "maxRatio": 2}], False, [("refusal_rate", None, 2)]),
        ([{"metric": "latency_p95", "maxRatio": 2}], False, []),
        (
            [{"metric": "error_rate", "max": 0.2}, {"metric": "refusal_rate", "maxIncrease": 0.5}],
            False,
            [("refusal_rate", 0.5, None)],
        ),
    ],
)
def test_without_a_shield_whoever_watches_errors_watches_refusals(
    analysis: list[dict[str, object]], shield: bool, bounds: list[tuple[str, float | None, float | None]]
) -> None:
    found = judged(canary(analysis=analysis, shield=shield))
    assert [(m.metric, m.maxIncrease, m.maxRatio) for m in found if m.metric == "refusal_rate"] == bounds
    assert [m for m in found if m.metric != "refusal_rate"] == [
        m for m in canary(analysis=analysis).analysis if m.metric != "refusal_rate"
    ]


def test_a_fail_names_the_failure_that_is_behind_it() -> None:
    failures = (
        Failure("KeyError", "'plane_year'", "serving.py:28, in enrich", 60, NOW),
        Failure("BadRequest", "x is missing", "", 500, NOW),
        Failure("Timeout", "no answer within 2 s", "", 40, NOW),
    )
    candidate = replace(counted(1_000, 100), refused=500, failures=failures)
    assert compare(metric(), candidate, counted(9_000)).message.endswith(
        "; KeyError: 'plane_year' (serving.py:28, in enrich), 60 of them"
    )
    refusals = compare(metric("refusal_rate"), candidate, counted(9_000))
    assert refusals.message.endswith("; BadRequest: x is missing, 500 of them")
    assert "plane_year" not in compare(metric(), replace(candidate, errors=5), counted(9_000)).message


def test_no_traffic_is_no_estimate() -> None:
    assert error_rate(counted(0), 0.01).value is None
    assert latency_quantile(VersionCounters(), 0.01, 0.5).value is None


def test_a_verdict_shows_its_numbers() -> None:
    verdict = compare(metric(), counted(1_000, 100), counted(9_000, 90))
    assert (verdict.candidate.count, verdict.candidate.value) == (1_000, 0.1)
    assert verdict.limit == pytest.approx(0.02)
    assert verdict.candidate.low > 0.02
    assert "10.00%" in verdict.message
    assert "maxIncrease 0.01 allows 2.00%" in verdict.message
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


def test_overall() -> None:
    good = compare(metric(), counted(1_000), counted(1_000))
    bad = compare(metric(), counted(1_000, 900), counted(1_000))
    short = compare(metric(), counted(3), counted(3))
    assert overall([good, good]) is AnalysisOutcome.PASS
    assert overall([good, short]) is AnalysisOutcome.INCONCLUSIVE
    assert overall([good, short, bad]) is AnalysisOutcome.FAIL
    assert overall([]) is AnalysisOutcome.INCONCLUSIVE


def test_a_metric_that_cannot_be_judged_is_an_error() -> None:
    with pytest.raises(KeyError):
        compare(metric("prediction_drift", max=0.1), counted(1_000), counted(1_000))
