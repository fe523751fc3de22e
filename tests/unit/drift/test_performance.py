from __future__ import annotations

from typing import Any

import pytest

from framework.drift.performance import PerformanceFinding, PerformanceVerdict, judge_performance
from framework.ports import LabelledWindow, Unusable


def judge(
    value: float | None, low: float | None = None, high: float | None = None, *, labelled: int = 1_000,
    baseline: float | None = 0.7,
) -> PerformanceVerdict:  # fmt: skip
    window = LabelledWindow("delay-aaaaaaaaaa", 4_000, labelled, "auc", value, low, high)
    return judge_performance(window, baseline, allowed=0.05, min_labels=200)


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


def of(labelled: int, value: float | None = 0.66, **more: Any) -> PerformanceVerdict:
    window = LabelledWindow("delay-aaaaaaaaaa", 1_300, labelled, "auc", value, 0.62, 0.70, **more)
    return judge_performance(window, 0.7, allowed=0.05, min_labels=200)


def test_one_class_alone_is_said_and_which() -> None:
    found = of(1_204, None, classes={"True": 1_204})
    assert found.finding is PerformanceFinding.INCONCLUSIVE
    assert found.message == "only one class has arrived (1,204 of True); 1,204 of 1,300 predictions are labelled"


@pytest.mark.parametrize(("count", "finding"), [(1, "Holds"), (12, "Holds"), (60, "Inconclusive")])
def test_labels_that_are_unusable_are_told_and_many_of_them_leave_nothing_to_say(count: int, finding: str) -> None:
    found = of(1_000, unusable=(Unusable("neither 0 nor 1", count, "7: 17"),))
    assert found.finding == finding
    assert (found.value is None) is (finding == "Inconclusive")
    assert f"{count} label{' is' if count == 1 else 's are'} neither 0 nor 1 (7: 17)" in found.message


def test_a_column_that_is_no_outcome_is_never_judged() -> None:
    found = of(210, 0.51, unusable=(Unusable("neither 0 nor 1", 800, "7: 17"),))
    assert (found.finding, found.value) == (PerformanceFinding.INCONCLUSIVE, None)
    assert found.message.startswith("800 of 1,010 labels are unusable, at most 1% may be")


def test_what_keeps_labels_and_predictions_apart_is_told() -> None:
    found = of(0, None, keyless=900, apart=("7", "UA-1"), damaged=("a.parquet", "b.parquet"))
    assert found.message == (
        "0 of 1,300 predictions are labelled; needs 200; 900 predictions carry no key; "
        "none of the logged keys, '7' for one, is among those of the labels, 'UA-1' for one; "
        "2 files of the prediction log are damaged and left out: a.parquet, b.parquet"
    )


def test_a_problem_with_the_labels_is_the_verdict() -> None:
    found = of(0, None, problem="the label table has no column late")
    assert (found.finding, found.message) == (PerformanceFinding.INCONCLUSIVE, "the label table has no column late")


def loss(value: float, low: float, high: float, *, allowed: float | None = 2.0) -> PerformanceVerdict:
    window = LabelledWindow("delay-aaaaaaaaaa", 4_000, 1_000, "rmse", value, low, high)
    return judge_performance(window, 10.0, allowed=allowed, min_labels=200)


@pytest.mark.parametrize(
    ("value", "low", "high", "finding", "told"),
    [
        (11.5, 11.0, 12.5, "Holds", "rmse 11.5 [11, 12.5] against 10 when tested; 1,000 of"),
        (9.0, 8.0, 10.0, "Holds", "rmse 9 [8, 10] against 10 when tested; 1,000 of"),
        (12.5, 11.5, 13.5, "Inconclusive", "rmse 12.5 [11.5, 13.5] is above 12, but chance is not ruled out"),
        (13.0, 12.5, 13.5, "Degraded", "rmse 13 [12.5, 13.5] against 10 when tested, at most 2 more is allowed"),
    ],
)
def test_what_is_better_when_smaller_degrades_upwards(
    value: float, low: float, high: float, finding: str, told: str
) -> None:
    found = loss(value, low, high)
    assert (found.finding, found.bound) == (finding, 12.0)
    assert found.message.startswith(told)


def test_a_loss_that_may_rise_by_nobody_knows_how_much_is_not_judged() -> None:
    found = loss(99.0, 98.0, 100.0, allowed=None)
    assert found.finding is PerformanceFinding.INCONCLUSIVE
    assert "performance.maxRise does not say how much more is no loss yet" in found.message
