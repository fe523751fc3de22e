"""A paired bootstrap says how sure it is that one model is better than another on the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from framework.api.tasks import TASKS, Task
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.scores import Answered, score
from framework.workloads.training import comparison
from framework.workloads.training.comparison import LEVELS, compare
from framework.workloads.training.evaluation import comparisons, intervals
from tests.unit.training.test_diagnosis import drawn


def models(seed: int, rows: int = 400, better: float = 0.0) -> tuple[Answered, Answered]:
    """Two regressions whose errors are alike but for ``better``."""
    generator = np.random.default_rng(seed)
    truth, common = generator.normal(size=rows), generator.normal(size=rows)
    ours, theirs = (common + generator.normal(size=rows) * 0.3 for _ in range(2))
    scale = 1 - better
    return (
        Answered(truth, truth + scale * ours, Task.REGRESSION),
        Answered(truth, truth + theirs, Task.REGRESSION),
    )


def interval(found: dict[str, Any]) -> tuple[float, float]:
    return found["quantiles"][LEVELS.index(0.025)], found["quantiles"][LEVELS.index(0.975)]


def test_equal_models_are_told_apart_as_rarely_as_the_interval_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MOST_DRAWS", 200)
    held = 0
    for seed in range(40):
        found = compare("rmse", *models(seed, 200), seed)
        assert found is not None
        low, high = interval(found)
        held += low <= 0 <= high
    assert held >= 34  # of 40; 38 are expected


def test_a_better_model_is_found_and_the_same_again() -> None:
    ours, theirs = models(1, better=0.3)
    found = compare("rmse", ours, theirs, 7)
    assert found is not None
    assert interval(found)[1] < 0
    assert found["draws"] == 1_000
    assert found == compare("rmse", ours, theirs, 7)
    assert sorted(found["quantiles"]) == found["quantiles"]
    assert len(found["quantiles"]) == len(LEVELS) == 199


def test_pairs_say_more_than_two_intervals_would() -> None:
    """Errors that both models make cancel out."""
    ours, theirs = models(3)
    paired = compare("rmse", ours, theirs, 7)
    apart = compare("rmse", ours, models(4)[1], 7)
    assert paired is not None
    assert apart is not None
    assert interval(paired)[1] - interval(paired)[0] < (interval(apart)[1] - interval(apart)[0]) / 2


def test_lists_are_drawn_whole() -> None:
    groups = np.repeat(np.arange(30.0), 10)
    truth = np.tile(np.arange(10.0) % 3, 30)
    ours = Answered(truth, truth, Task.RANKING, groups=groups)
    found = compare("ndcg@3", ours, Answered(truth, -truth, Task.RANKING, groups=groups), 7)
    assert found is not None
    assert found["difference"] > 0.5
    assert np.ptp(found["quantiles"]) < 1e-9  # every list is alike


def test_what_is_not_defined_is_not_compared() -> None:
    one_class = Answered(np.zeros(10), np.linspace(0, 1, 10))
    assert compare("auc", one_class, one_class, 7) is None


COMPARED = {"auc": {"difference": -0.004, "draws": 1000, "quantiles": [-0.02 + 0.0002 * step for step in range(199)]}}


@pytest.mark.parametrize(
    ("gate", "passed", "told"),
    [
        ({"maxDrop": 0.005}, True, ">= 0.7000 - 0.005 (live, same rows); difference -0.0192 to +0.0188 in 95 of"),
        ({"maxDrop": 0.005, "confidence": 0.95}, False, "sure by 0.95: at worst -0.0182"),
        ({"maxDrop": 0.02, "confidence": 0.95}, True, "sure by 0.95: at worst -0.0182"),
    ],
)
def test_a_gate_counts_the_worst_that_is_likely_where_it_is_asked_to(
    gate: dict[str, Any], passed: bool, told: str
) -> None:
    evaluation = Evaluation.model_validate({"gates": [{"metric": "auc", "comparedTo": "live", **gate}]})
    (row,) = judge(evaluation, {"auc": 0.696}, {"champion_metrics": {"auc": 0.7}, "comparisons": COMPARED})
    assert row["passed"] is passed
    assert told in row["message"]


def test_a_loss_is_sure_on_the_other_side() -> None:
    gate = {"metric": "rmse", "comparedTo": "live", "maxRise": 0.01, "confidence": 0.9}
    evaluation = Evaluation.model_validate({"gates": [gate]})
    compared = {"rmse": {**COMPARED["auc"], "difference": 0.0}}
    known = {"champion_metrics": {"rmse": 2.0}, "comparisons": compared}
    (row,) = judge(evaluation, {"rmse": 2.0}, known)
    assert not row["passed"]
    assert "<= 2.0000 + 0.01 (live, same rows)" in row["message"]
    assert "sure by 0.9: at worst +0.0158" in row["message"]


def test_a_gate_that_nobody_measured_the_certainty_of_fails() -> None:
    gate = {"metric": "auc", "comparedTo": "live", "maxDrop": 0.1, "confidence": 0.9}
    (row,) = judge(Evaluation.model_validate({"gates": [gate]}), {"auc": 0.7}, {"champion_metrics": {"auc": 0.7}})
    assert not row["passed"]
    assert "how sure it is was not measured" in row["message"]


# -- one model by itself -----------------------------------------------------------------------------------------------


def test_an_interval_holds_the_true_value_as_often_as_it_says() -> None:
    held = 0
    for seed in range(60):
        errors = np.random.default_rng(seed).normal(size=150)
        low, high = comparison.interval("rmse", Answered(errors, np.zeros(150), Task.REGRESSION), seed) or (0.0, 0.0)
        held += low <= 1.0 <= high
    assert 51 <= held < 60  # 57 are expected


@pytest.mark.parametrize("task", Task)
def test_an_interval_is_around_what_was_measured_and_the_same_again(task: Task) -> None:
    known, name = drawn(task), TASKS[task].headline
    found = comparison.interval(name, known, 7)
    assert found is not None
    assert found == comparison.interval(name, known, 7)
    assert found[0] < score(name, known) < found[1]


def test_more_rows_are_surer_and_what_is_not_defined_has_none() -> None:
    def width(rows: int) -> float:
        low, high = comparison.interval("rmse", models(1, rows)[0], 7) or (0.0, 0.0)
        return high - low

    assert width(4_000) < width(400) < width(40)
    assert comparison.interval("auc", Answered(np.ones(50), np.linspace(0, 1, 50)), 7) is None
    assert comparison.interval("rmse", Answered(np.array([1.0]), np.array([2.0]), Task.REGRESSION), 7) == [1.0, 1.0]


def test_what_the_task_is_told_by_and_what_bars_name_has_an_interval() -> None:
    known = models(1, rows=50)[0]
    assert intervals(["mae"], known, 7).keys() == {"rmse", "mae"}


def test_a_preview_is_told_how_sure_it_is_also_where_no_gate_compares() -> None:
    ours, theirs = models(1, rows=50)
    gates = [{"metric": "mae", "max": 1.0}, {"metric": "r2", "comparedTo": "live", "maxDrop": 0.1}]
    assert comparisons(gates, ours, theirs, 7).keys() == {"r2"}
    assert comparisons(gates, ours, theirs, 7, also=True).keys() == {"mae", "r2", "rmse"}
    assert comparisons(gates, ours, None, 7, also=True) == {}
