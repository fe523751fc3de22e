"""The threshold of a decision is the best one there is, by its own rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.scores import Answered, score
from framework.workloads.context import WorkloadError
from framework.workloads.training.decision import threshold

rows = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.500001, 0.9, 1.0])), min_size=2, max_size=40
).filter(lambda pairs: len({positive for positive, _ in pairs}) == 2)


def arrays(pairs: list[tuple[bool, float]]) -> tuple[Any, Any]:
    return np.array([float(positive) for positive, _ in pairs]), np.array([answer for _, answer in pairs])


@given(rows, st.sampled_from(["f1", "mcc", "balanced_accuracy", "accuracy"]))
def test_no_other_threshold_has_more_of_the_metric(pairs: list[tuple[bool, float]], metric: str) -> None:
    truth, answers = arrays(pairs)
    by_threshold = {t: score(metric, Answered(truth, answers, threshold=t)) for t in sorted(set(answers))}
    found = threshold({"maximize": metric, "cost": None}, truth, answers)
    best = max(by_threshold.values())
    assert by_threshold[found] == pytest.approx(best, abs=1e-12)
    assert all(value < best - 1e-9 for t, value in by_threshold.items() if t > found + 1e-12)


@given(rows, st.floats(0, 10), st.floats(0.1, 10))
def test_no_other_threshold_costs_less(pairs: list[tuple[bool, float]], wrong: float, missed: float) -> None:
    truth, answers = arrays(pairs)

    def cost(t: float) -> float:
        said = answers >= t
        return float(wrong * (said & (truth == 0)).sum() + missed * (~said & (truth == 1)).sum())

    found = threshold({"cost": {"falsePositive": wrong, "falseNegative": missed}}, truth, answers)
    assert cost(found) == pytest.approx(min(map(cost, set(answers))))


@given(rows, st.floats(0.01, 1))
def test_recall_is_reached_and_no_higher_threshold_reaches_it(pairs: list[tuple[bool, float]], least: float) -> None:
    truth, answers = arrays(pairs)
    recall = {t: score("recall", Answered(truth, answers, threshold=t)) for t in set(answers)}
    found = threshold({"recall": least}, truth, answers)
    assert recall[found] >= least - 1e-9
    assert all(value < least for t, value in recall.items() if t > found)


@given(rows, st.floats(0.01, 1))
def test_precision_is_reached_by_the_lowest_threshold_or_told(pairs: list[tuple[bool, float]], least: float) -> None:
    truth, answers = arrays(pairs)
    precise = [t for t in set(answers) if score("precision", Answered(truth, answers, threshold=t)) >= least - 1e-12]
    if precise:
        assert threshold({"precision": least}, truth, answers) == min(precise)
    else:
        with pytest.raises(WorkloadError, match="no threshold reaches a precision of"):
            threshold({"precision": least}, truth, answers)
