from __future__ import annotations

import pytest

from framework.drift.performance import PerformanceFinding, PerformanceVerdict, judge_performance
from framework.ports import LabelledWindow


def judge(
    value: float | None, low: float | None = None, high: float | None = None, *, labelled: int = 1_000,
    baseline: float | None = 0.7,
) -> PerformanceVerdict:  # fmt: skip
    window = LabelledWindow("delay-aaaaaaaaaa", 4_000, labelled, "auc", value, low, high)
    return judge_performance(window, baseline, max_drop=0.05, min_labels=200)


def test_within_the_allowed_drop_it_holds() -> None:
    found = judge(0.66, 0.62, 0.70)
    assert found.finding is PerformanceFinding.HOLDS
    assert found.bound == pytest.approx(0.65)
    assert (
        found.message == "auc 0.660 [0.620, 0.700] against 0.700 when tested; 1,000 of 4,000 predictions are labelled"
    )


def test_degraded_only_where_the_whole_interval_is_below() -> None:
    assert judge(0.60, 0.57, 0.63).finding is PerformanceFinding.DEGRADED
    unsure = judge(0.60, 0.54, 0.66)
    assert unsure.finding is PerformanceFinding.INCONCLUSIVE
    assert "chance is not ruled out" in unsure.message


def test_a_value_without_an_interval_degrades_nothing() -> None:
    assert judge(0.5).finding is PerformanceFinding.INCONCLUSIVE


def test_too_few_labels_or_none() -> None:
    assert judge(0.3, 0.2, 0.4, labelled=199).finding is PerformanceFinding.INCONCLUSIVE
    assert "needs 200" in judge(None, labelled=0).message


def test_a_version_without_the_metric_has_no_baseline() -> None:
    found = judge(0.3, 0.2, 0.4, baseline=None)
    assert (found.finding, found.bound) == (PerformanceFinding.INCONCLUSIVE, None)
    assert "no auc from its test" in found.message
