"""How well a model answers disturbed rows: each disturbance is what it says, the same every time, and a bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training.judging import wanted
from framework.workloads.training.robustness import robustness

OUTPUT = ModelOutput("y", Task.REGRESSION)
ROWS = 2_000


@pytest.fixture
def rows() -> pl.DataFrame:
    generator = np.random.default_rng(1)
    gaps = [None if place % 10 == 0 else float(value) for place, value in enumerate(generator.normal(size=ROWS))]
    return pl.DataFrame(
        {
            "a": generator.normal(size=ROWS) * 5,
            "whole n": generator.integers(0, 100, ROWS),
            "gaps": gaps,
            "same": np.ones(ROWS),
            "wild": [np.inf, np.nan, *([1.0] * (ROWS - 2))],
            "ort": ["é", "b"] * (ROWS // 2),
            "flag": [True, False] * (ROWS // 2),
        }
    ).with_columns(y=pl.col("a"))


class Model:
    """Answers with ``a``, and keeps what it was asked."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.asked: list[Matrix] = []
        self.names = rows.columns[:-1]
        self.predictor = models.Predictor(self.score, models.signature_of(rows, self.names, [], OUTPUT))

    def score(self, matrix: Matrix) -> Matrix:
        self.asked.append(matrix)
        return np.nan_to_num(matrix[:, 0])

    def changed(self) -> dict[str, Matrix]:
        """By input, the rows in which it was not as it is."""
        clean, disturbed = self.asked[-2:]
        same = (clean == disturbed) | (np.isnan(clean) & np.isnan(disturbed))
        return {name: np.flatnonzero(~same[:, place]) for place, name in enumerate(self.names)}


def bar(perturb: str, **more: Any) -> dict[str, Any]:
    return {"perturb": perturb, "metric": "rmse", "maxRise": 1.0, **more}


def of(model: Model, rows: pl.DataFrame, *bars: dict[str, Any], seed: int = 7) -> list[dict[str, Any]]:
    return robustness(bars, model.predictor, OUTPUT, rows, None, seed)


def test_noise_is_as_large_as_it_says_and_whole_numbers_stay_whole(rows: pl.DataFrame) -> None:
    model = Model(rows)
    (found,) = of(model, rows, bar("noise", amount=0.2))
    clean, disturbed = model.asked
    assert (disturbed[:, 0] - clean[:, 0]).std() == pytest.approx(0.2 * clean[:, 0].std(), rel=0.05)
    assert found["clean"] == 0
    assert found["value"] == pytest.approx(0.2 * clean[:, 0].std(), rel=0.05)
    assert (disturbed[:, 1] == disturbed[:, 1].round()).all()
    changed = model.changed()
    assert all(len(changed[name]) for name in ("a", "whole n", "gaps"))
    assert not any(len(changed[name]) for name in ("same", "ort", "flag"))
    assert np.isnan(disturbed[:, 2]).sum() == ROWS // 10
    assert disturbed[0, 4] == np.inf


def test_values_are_missing_where_they_may_be(rows: pl.DataFrame) -> None:
    model = Model(rows)
    (found,) = of(model, rows, bar("missing", amount=0.3))
    assert found["columns"] == ["gaps", "wild"]
    changed = model.changed()
    assert len(changed["gaps"]) == pytest.approx(0.3 * 0.9 * ROWS, rel=0.15)
    assert {name for name, places in changed.items() if len(places)} == {"gaps", "wild"}
    assert np.isnan(model.asked[-1][changed["gaps"], 2]).all()


def test_strings_become_ones_that_training_never_saw(rows: pl.DataFrame) -> None:
    model = Model(rows)
    of(model, rows, bar("unseen", amount=1.0))
    assert len(model.changed()["ort"]) == ROWS
    assert np.isnan(model.asked[-1][:, 5]).all()


def test_equal_seeds_disturb_alike_and_bars_do_not_disturb_each_other(rows: pl.DataFrame) -> None:
    model = Model(rows)
    first, second = bar("noise"), bar("noise", amount=0.5)
    found = of(model, rows, first, second)
    assert found == of(model, rows, first, second)
    assert found[0] == of(model, rows, first)[0]
    assert found[0] != of(model, rows, first, seed=8)[0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (bar("missing", columns=["a"]), "missing needs an input that may be missing, which a is not"),
        (bar("unseen", columns=["a", "ort"]), "unseen needs an input that is a String, which a is not"),
        (bar("noise", columns=["flag"]), "noise needs an input that is a number, which flag is not"),
    ],
)
def test_what_cannot_be_done_fails_its_bar_and_says_why(asked: dict[str, Any], told: str, rows: pl.DataFrame) -> None:
    found = of(Model(rows), rows, asked)
    assert found[0]["problem"] == told
    (row,) = judge(Evaluation.model_validate({"robustness": [asked]}), {}, {"robustness": found})
    assert (row["value"], row["passed"], told in row["message"]) == (None, False, True)


def test_where_nothing_may_be_missing_the_bar_fails(rows: pl.DataFrame) -> None:
    whole = rows.select("a", "y")
    (found,) = of(Model(whole), whole, bar("missing"))
    assert found["problem"] == "missing needs an input that may be missing, and there is none"


def test_a_model_that_breaks_on_disturbed_rows_passes_nothing(rows: pl.DataFrame) -> None:
    model = Model(rows)
    model.predictor = models.Predictor(lambda matrix: matrix[:, 2], model.predictor.signature)
    (found,) = of(model, rows, bar("missing"))
    assert found["value"] is None
    (row,) = judge(Evaluation.model_validate({"robustness": [bar("missing")]}), {}, {"robustness": [found]})
    assert not row["passed"]


@pytest.mark.parametrize(
    ("metric", "bound", "clean", "passing"),
    [("rmse", {"maxRise": 0.5}, 2.0, {2.4}), ("r2", {"maxDrop": 0.5}, 2.6, {2.4, 2.6})],
)
def test_a_bar_bounds_how_much_worse_it_may_be(
    metric: str, bound: dict[str, float], clean: float, passing: set[float]
) -> None:
    asked = {"perturb": "noise", "metric": metric, **bound}
    evaluation = Evaluation.model_validate({"robustness": [asked]})
    for value in (2.4, 2.6):
        row = {"perturb": "noise", "amount": 0.1, "metric": metric, "columns": ["a"], "clean": clean, "value": value}
        (told,) = judge(evaluation, {}, {"robustness": [row]})
        assert told["passed"] is (value in passing)
        assert f"{metric} under noise of 0.1 = {value:.4f}, bar " in told["message"]
    (told,) = judge(evaluation, {}, {"robustness": [{**row, "amount": 0.2}]})
    assert not told["passed"]  # another one was measured


def test_a_metric_of_another_task_is_refused_before_a_fit() -> None:
    with pytest.raises(WorkloadError, match="auc is no metric of regression"):
        wanted({"robustness": [{"perturb": "noise", "metric": "auc", "maxDrop": 0.1}]}, Task.REGRESSION)
