"""How differently groups are treated: by the library's definitions, and said clearly where nothing can be compared."""

from __future__ import annotations

from typing import Any

import fairlearn.metrics
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework import installed
from framework.api.fairness import FAIRNESS, FairnessMetric, why_unfit
from framework.api.tasks import Task
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.scores import Answered, score
from framework.workloads.context import WorkloadError
from framework.workloads.training.fairness import MOST_GROUPS, fairness
from framework.workloads.training.judging import wanted
from tests.unit.training.test_diagnosis import drawn

RATES = [metric for metric, measure in FAIRNESS.items() if measure.rates]


def bar(metric: str = "demographic_parity_difference", **more: Any) -> dict[str, Any]:
    return {"attribute": "origin", "metric": metric, "max": 0.2, **more}


def of(groups: list[Any], known: Answered, **asked: Any) -> dict[str, Any]:
    (found,) = fairness([bar(**asked)], pl.DataFrame({"origin": groups}), known)
    return found


def two_groups() -> tuple[list[Any], Answered]:
    """Of EWR 3 of 4 are predicted positive, of JFK 1 of 4."""
    truth = np.array([1.0, 1, 0, 0] * 2)
    given = np.array([0.9, 0.8, 0.7, 0.1, 0.9, 0.1, 0.2, 0.3])
    return ["EWR"] * 4 + ["JFK"] * 4, Answered(truth, given)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.floats(0, 1)), min_size=8, max_size=60),
    st.sampled_from(RATES),
    st.sampled_from([0.3, 0.5]),
)
def test_it_is_what_the_library_says(
    rows: list[tuple[str, bool, float]], metric: FairnessMetric, threshold: float
) -> None:
    rows = [*rows, *((group, label, 0.4) for group in "abc" for label in (True, False))]
    groups = [group for group, _, _ in rows]
    known = Answered(
        np.array([float(label) for _, label, _ in rows]), np.array([p for _, _, p in rows]), threshold=threshold
    )
    found = of(groups, known, metric=metric.value)
    library = getattr(fairlearn.metrics, metric.value)
    assert found["value"] == pytest.approx(library(known.truth, known.predicted, sensitive_features=groups))
    assert sum(row["rows"] for row in found["groups"]) == len(rows)
    assert 0 <= found["value"] <= FAIRNESS[metric].most


@pytest.mark.parametrize("task", [task for task in Task if task is not Task.RANKING])
def test_losses_of_groups_are_those_of_their_rows(task: Task) -> None:
    known = drawn(task)
    groups = ["a" if place % 3 else "b" for place in range(len(known.truth))]
    found = of(groups, known, metric="group_loss_difference")
    (loss,) = found["groups"][0]["values"]
    for row in found["groups"]:
        rows = np.flatnonzero(np.array(groups) == row["group"])
        assert row["values"][loss] == pytest.approx(score(loss, known.of(rows)))
    values = [row["values"][loss] for row in found["groups"]]
    assert found["value"] == pytest.approx(max(values) - min(values))


def test_rows_without_a_value_are_a_group_and_no_name_is_mistaken_for_them() -> None:
    known = Answered(np.array([1.0, 0] * 4), np.array([0.9] * 2 + [0.1] * 2 + [0.9, 0.1] * 2))
    found = of([None, None, float("nan"), float("nan"), 1.0, 1.0, 2.0, 2.0], known)
    assert [(row["group"], row["rows"]) for row in found["groups"]] == [("1.0", 2), ("2.0", 2), (None, 4)]
    found = of([None] * 4 + ["None"] * 4, known)
    assert {row["group"]: row["rows"] for row in found["groups"]} == {"None": 4, None: 4}


@pytest.mark.parametrize(
    ("groups", "more", "told"),
    [
        (["EWR"] * 8, {}, "all 8 test rows have origin = EWR, so there is nothing to compare"),
        ([None] * 8, {}, "origin has no value in any of 8 test rows"),
        (["EWR"] * 6 + ["JFK"] * 2, {"minRows": 5}, "only one group has 5 test rows, the largest has 6"),
        (list("abcdefgh"), {"minRows": 2}, "no group has 2 test rows, the largest has 1"),
        (["EWR"] * 6 + ["JFK"] * 2, {"metric": "equal_opportunity_difference"},
         "no true_positive_rate of the 2 rows with origin = JFK: none of them is positive"),
    ],
)  # fmt: skip
def test_where_nothing_can_be_compared_the_bar_fails_and_says_why(
    groups: list[Any], more: dict[str, Any], told: str
) -> None:
    found = of(groups, two_groups()[1], **more)
    assert found["value"] is None
    assert told in found["problem"]
    (row,) = judge(Evaluation.model_validate({"fairness": [bar(**more)]}), {}, {"fairness": [found]})
    assert (row["passed"], told in row["message"]) == (False, True)


def test_a_number_or_a_name_makes_no_groups() -> None:
    rows = MOST_GROUPS + 1
    known = Answered(np.arange(rows) % 2.0, np.full(rows, 0.7))
    assert "are no groups" in of([f"é {place}" for place in range(rows)], known)["problem"]


def test_answers_that_are_no_numbers_compare_nothing() -> None:
    groups, known = two_groups()
    broken = Answered(known.truth, np.where(np.arange(8) == 3, np.nan, known.given))
    assert of(groups, broken)["problem"] == "1 answers to test rows are not finite"


def test_a_bar_is_a_gate_with_the_value_of_every_group() -> None:
    found = of(*two_groups())
    assert found["value"] == pytest.approx(0.5)
    for most, passes in ((0.5, True), (0.2, False)):
        evaluation = Evaluation.model_validate({"fairness": [bar() | {"max": most}]})
        (row,) = judge(evaluation, {"auc": 0.9}, {"fairness": [found]})
        assert row["passed"] is passes
        assert "(selection_rate EWR 0.7500, JFK 0.2500), bar <= " in row["message"]
    (row,) = judge(Evaluation.model_validate({"fairness": [bar(minRows=2)]}), {}, {"fairness": [found]})
    assert not row["passed"]  # that was not measured


@pytest.mark.parametrize(
    ("metric", "loss", "task", "told"),
    [
        ("equalized_odds_difference", None, Task.MULTICLASS, "has no positive class; group_loss_difference compares"),
        ("demographic_parity_difference", None, Task.REGRESSION, "label of task regression has no positive class"),
        ("group_loss_difference", None, Task.RANKING, "a ranking is judged by lists"),
        ("group_loss_difference", "mae", Task.BINARY, "mae is no metric of binary"),
    ],
)
def test_what_says_nothing_of_a_task_is_refused_before_a_fit(
    metric: str, loss: str | None, task: Task, told: str
) -> None:
    assert told in (why_unfit(FairnessMetric(metric), loss, task) or "")
    with pytest.raises(WorkloadError, match=told):
        wanted({"fairness": [bar(metric, loss=loss)]}, task)


def test_without_the_library_nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "is_there", lambda name: name != "fairlearn")
    with pytest.raises(WorkloadError, match="fairlearn is not installed: pip install 'mlopsctl\\[train\\]"):
        wanted({"fairness": [bar()]}, Task.BINARY)
    assert wanted({}, Task.BINARY) == []


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(WorkloadError, match="fairness is by 'origin', the training set has carrier"):
        fairness([bar()], pl.DataFrame({"carrier": ["AA"]}), Answered(np.ones(1), np.ones(1)))


def test_every_rate_is_a_function_of_the_library() -> None:
    rates = {rate for measure in FAIRNESS.values() for rate in measure.rates}
    assert all(callable(getattr(fairlearn.metrics, rate)) for rate in rates)
