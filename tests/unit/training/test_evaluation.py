"""Slices, the champion on the same rows, what the cluster lacks, checkpoints, and the model card."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from framework.api.metrics import measured
from framework.api.tasks import Task
from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.scores import Answered, auc
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.formats import skops
from framework.workloads.training.card import card_markdown, model_card
from framework.workloads.training.champion import live_answers
from framework.workloads.training.checkpoints import CheckpointState, read_checkpoint, write_checkpoint
from framework.workloads.training.evaluation import slices
from framework.workloads.training.metrics import measure
from framework.workloads.training.trainer import Part, TrainingData
from framework.workloads.training.tuning import checked_metric
from framework.workloads.training.tuning.trials import TrialWatch

SIGNATURE = {
    "inputs": [{"name": "x", "dtype": "Float64", "nullable": False}],
    "output": {"name": "late", "kind": "probability"},
}


def known(rows: pl.DataFrame, answers: Any) -> Answered:
    return Answered(rows["late"].cast(pl.Float64).to_numpy(), answers)


def champion_metrics(champion: dict[str, Any], rows: pl.DataFrame) -> tuple[dict[str, float] | None, str]:
    found = live_answers(champion, rows)
    return None if found.answered is None else measure(found.answered), found.problem


def judged_on(truth: Any) -> TrainingData:
    part = Part(np.zeros((len(truth), 1)), truth)
    return TrainingData(part, part, ("x",), {})


@pytest.fixture
def rows() -> pl.DataFrame:
    generator = np.random.default_rng(1)
    x = generator.normal(size=400)
    late = (x + generator.normal(size=400) > 0).astype(np.int8)
    origin = ["EWR"] * 200 + ["JFK"] * 195 + [None] * 5
    return pl.DataFrame({"x": x, "late": late, "origin": origin})


@pytest.fixture
def champion(rows: pl.DataFrame, tmp_path: Path) -> dict[str, Any]:
    model = LogisticRegression().fit(rows.select("x").to_numpy(), rows["late"].to_numpy())
    artifact, sha256 = models.save(str(tmp_path), skops.dump(model), "skops")
    return {"version": "v1", "artifact": artifact, "sha256": sha256, "format": "skops", "signature": SIGNATURE}


def test_the_champion_is_judged_on_the_same_rows(champion: dict[str, Any], rows: pl.DataFrame) -> None:
    found, problem = champion_metrics(champion, rows)
    assert found is not None
    assert found["auc"] == pytest.approx(auc(rows["late"].cast(pl.Float64).to_numpy(), rows["x"].to_numpy()))
    assert problem == ""


def test_a_champion_that_cannot_be_asked_is_told_with_the_reason(champion: dict[str, Any], rows: pl.DataFrame) -> None:
    found, problem = champion_metrics(champion, rows.drop("x"))
    assert found is None
    assert "needs x" in problem
    found, problem = champion_metrics({**champion, "sha256": "0" * 64}, rows)
    assert found is None
    assert "cannot be loaded" in problem


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (pl.Series("x", ["n/a"] * 400), "the live model v1 knows x as Float64, this training set has String"),
        (pl.Series("x", [True, False] * 200), "knows x as Float64, this training set has Boolean"),
    ],
)
def test_a_champion_that_knows_a_column_as_something_else_is_not_asked(
    champion: dict[str, Any], rows: pl.DataFrame, now: pl.Series, told: str
) -> None:
    found, problem = champion_metrics(champion, rows.with_columns(now))
    assert found is None
    assert told in problem


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int8, pl.UInt64])
def test_a_champion_takes_one_number_for_another(
    champion: dict[str, Any], rows: pl.DataFrame, dtype: pl.DataType
) -> None:
    found, problem = champion_metrics(champion, rows.with_columns(x=(pl.col("x").abs() * 10).cast(dtype)))
    assert found is not None
    assert (set(found), problem) == (set(measured(Task.BINARY)), "")


def test_a_champion_that_cannot_answer_is_told_with_what_happened(
    champion: dict[str, Any], rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(found: Any) -> tuple[dict[str, float] | None, str]:
        def load(*_: Any) -> Any:
            return models.Predictor(found, SIGNATURE)

        monkeypatch.setattr(models, "load", load)
        return champion_metrics(champion, rows)

    def fails(matrix: Any) -> Any:
        raise ValueError("Input X contains infinity\nand more")

    assert answer(fails) == (None, "the live model v1 cannot be asked: ValueError: Input X contains infinity")
    some = np.where(np.arange(400) < 3, np.nan, 0.5)
    assert answer(lambda _: some) == (None, "the live model v1 answers 3 of 400 rows with no finite number")


def test_slices_have_numbers_and_small_ones_are_left_out(rows: pl.DataFrame) -> None:
    scores = rows["x"].to_numpy()
    bars = [{"by": "origin", "metric": "auc", "minRows": 195}, {"by": "late", "metric": "auc"}]
    found = slices(bars, rows, known(rows, scores))
    assert [(row["value"], row["rows"]) for row in found[:2]] == [("EWR", 200), ("JFK", 195)]
    truth = rows["late"].cast(pl.Float64).to_numpy()
    assert found[0]["score"] == pytest.approx(auc(truth[:200], scores[:200]))
    assert [(row["value"], row["score"]) for row in found[2:]] == [("0", None), ("1", None)]
    assert slices([{"by": "origin", "metric": "auc"}], rows, known(rows, scores))[-1]["value"] == "None"
    for least in (201, 500):
        (row,) = slices([{"by": "origin", "metric": "auc", "minRows": least}], rows, known(rows, scores))
        assert (row["value"], row["rows"], row["score"]) == (None, 200, None)
    with pytest.raises(WorkloadError, match="'carrier'"):
        slices([{"by": "carrier", "metric": "auc"}], rows, known(rows, scores))


@pytest.mark.parametrize(("metric", "bound"), [("accuracy", {"min": 0.9}), ("brier", {"max": 0.01})])
def test_the_worst_slice_is_named_with_its_rows_and_an_interval(
    metric: str, bound: dict[str, float], rows: pl.DataFrame
) -> None:
    wrong = (rows["origin"] == "JFK").fill_null(False).to_numpy()
    truth = rows["late"].cast(pl.Float64).to_numpy()
    answered = Answered(truth, np.where(wrong & (np.arange(400) % 2 == 0), 1 - truth, truth))
    bar = {"by": "origin", "metric": metric, **bound}
    found = slices([bar], rows, answered, 7)
    assert [row["value"] for row in found if "of" in row] == ["JFK"]
    gates = judge(Evaluation.model_validate({"slices": [bar]}), {}, {"slices": found})
    assert [row["passed"] for row in gates] == [True, False, True]
    low, high = found[1]["interval"]
    assert low < found[1]["score"] < high
    told = f"(the worst of 3 parts, 195 rows, {low:.4f} to {high:.4f} in 95 of 100 draws), bar"
    assert told in gates[1]["message"]
    assert "worst" not in gates[0]["message"]


def test_rows_without_a_value_are_one_slice(rows: pl.DataFrame) -> None:
    wind = rows.with_columns(wind=pl.Series([1.0, math.nan, None, 2.0] * 100))
    found = slices([{"by": "wind", "metric": "auc"}], wind, known(wind, rows["x"].to_numpy()))
    assert [(row["value"], row["rows"]) for row in found] == [("1.0", 100), ("2.0", 100), ("None", 200)]


def test_a_trial_is_worth_its_best_round() -> None:
    truth = np.array([0.0, 0.0, 1.0, 1.0])
    reports: list[dict[str, Any]] = []
    watch = TrialWatch(judged_on(truth), "validation_auc", "max", reports.append)
    for rounds, scores in ((5, [0.1, 0.6, 0.5, 0.9]), (10, [0.1, 0.2, 0.8, 0.9]), (15, [0.9, 0.2, 0.8, 0.1])):
        watch.report(rounds, np.array(scores), lambda: pytest.fail("a trial keeps no model"))
    assert [(row["rounds"], row["validation_auc"]) for row in reports] == [(5, 0.75), (10, 1.0), (10, 1.0)]


def test_a_trial_whose_scores_are_no_numbers_fails_by_that_name() -> None:
    watch = TrialWatch(
        judged_on(np.array([0.0, 1.0])), "validation_auc", "max", lambda _: pytest.fail("nothing to report")
    )
    with pytest.raises(WorkloadError, match="answers 1 of 2 validation rows with no finite number"):
        watch.report(5, np.array([0.5, np.nan]), lambda: pytest.fail("a trial keeps no model"))


def test_a_search_that_cannot_run_is_named() -> None:
    with pytest.raises(WorkloadError, match="did you mean 'auc'"):
        checked_metric("validation_acu", Task.BINARY)


def test_a_checkpoint_reads_back(tmp_path: Path) -> None:
    for state in (
        CheckpointState(20, "lightgbm-text", False, (8,)),
        CheckpointState(0, "", False, (), ("WrongType", "no number", "Traceback")),
    ):
        write_checkpoint(f"{tmp_path}/one", state, b"model")
        assert read_checkpoint(f"{tmp_path}/one") == (state, b"model")


def test_the_card_says_what_matters() -> None:
    result = {
        "format": "skops",
        "sha256": "ab12",
        "signature": SIGNATURE,
        "metrics": {"auc": 0.7123},
        "champion_metrics": {"auc": 0.6543},
        "parameters": {"C": 0.5},
        "lineage": {
            "commit": "c0ffee00000000",
            "seed": 7,
            "dataset": "d1",
            "views": {"flights": {"version": 3, "identity": "i1"}},
        },
        "rows": {"train": 1000, "validation": 200, "test": 300, "dropped": 4},
        "trials": [],
        "slices": [
            {"by": "origin", "value": "EWR", "metric": "auc", "rows": 200, "score": None},
            {"by": "carrier", "value": None, "metric": "auc", "rows": 150, "score": None},
        ],
    }
    text = card_markdown(model_card("delay", "1234567890", result))
    for part in (
        "| auc | higher | 0.7123 |  | 0.6543 |",
        "1,000 rows to learn from",
        "| flights | 3 | i1 |  |  |  |",
        "| C | 0.5 |",
        "ab12",
        "| largest part by carrier, too small | auc |  | 150 |",
    ):
        assert part in text
