"""XGBoost as a trainer: what becomes of a fit that goes on, of lists, of numbers and of failures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from framework.api.tasks import Task
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.formats import xgboost_ubj
from framework.workloads.training.metrics import measure, validated
from framework.workloads.training.trainer import Artifact, FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.test_tasks import ROWS, Reports, data
from tests.unit.training.test_trainers import DATA, SIGNATURE, Recorder

XGBOOST = TRAINERS["xgboost"]


class Kept(Reports):
    """Keeps the model of each report."""

    def __init__(self, start: tuple[int, Artifact] | None = None) -> None:
        super().__init__()
        self.start = start
        self.models: dict[int, Artifact] = {}

    def resume(self) -> tuple[int, Artifact] | None:
        return self.start

    def report(self, rounds: int, scores: Any, model: Any, *, last: bool = False) -> None:
        super().report(rounds, scores, model)
        self.models[rounds] = model()


@pytest.mark.parametrize(
    ("task", "params"),
    [
        *((task, {}) for task in Task),
        (Task.MULTICLASS, {"subsample": 0.5, "colsample_bytree": 0.5, "colsample_bynode": 0.5}),
        (Task.RANKING, {"lambdarank_pair_method": "mean"}),
        (Task.BINARY, {"booster": "dart", "rate_drop": 0.3}),
        (Task.BINARY, {"booster": "dart", "rate_drop": 0.3, "subsample": 0.5}),
        (Task.BINARY, {"subsample": 0.4, "sampling_method": "gradient_based", "base_score": 0.3}),
        (Task.REGRESSION, {"objective": "reg:absoluteerror", "num_parallel_tree": 2, "tree_method": "approx"}),
    ],
)
def test_a_fit_that_goes_on_from_a_checkpoint_ends_with_the_same_bytes(task: Task, params: dict[str, Any]) -> None:
    given, settings, whole = data(task, weighted=True), FitSettings(params, 20, 3, threads=2), Kept()
    artifact = XGBOOST.fit(given, settings, whole)
    watch = Kept((10, whole.models[10]))
    assert XGBOOST.fit(given, settings, watch).data == artifact.data
    assert watch.rounds == [12, 14, 16, 18, 20]


def test_what_is_stored_in_no_checkpoint_starts_over() -> None:
    given, whole = data(Task.RANKING), Kept()
    settings = FitSettings({"lambdarank_unbiased": True, "subsample": 0.5}, 20, 3)
    artifact = XGBOOST.fit(given, settings, whole)
    watch = Kept((10, whole.models[10]))
    assert XGBOOST.fit(given, settings, watch).data == artifact.data
    assert watch.rounds == whole.rounds
    assert XGBOOST.fit(given, settings, Kept((20, artifact))) is artifact


def test_another_seed_draws_otherwise() -> None:
    given = data(Task.REGRESSION)
    one, two = (XGBOOST.fit(given, FitSettings({"subsample": 0.5}, 10, seed), Reports()).data for seed in (1, 2))
    assert one != two


def test_a_list_weighs_what_its_rows_do_on_average() -> None:
    """Lists that weigh nothing teach nothing, whatever they say."""
    given = data(Task.RANKING)
    assert given.train.groups is not None
    spoilt = given.train.groups % 2 == 0
    y = np.where(spoilt, 2 - given.train.y, given.train.y)
    found = []
    for weight in (np.where(spoilt, 0.0, 1.0), np.ones(ROWS)):
        watch = Reports()
        part = Part(given.train.x, y, weight, given.train.groups)
        settings = FitSettings({"max_depth": 4}, 20, 3)
        XGBOOST.fit(TrainingData(part, given.validation, given.names, given.categories, given.output), settings, watch)
        assert watch.answers is not None
        found.append(measure(validated(given, watch.answers), "validation_")["validation_ndcg@10"])
    assert found[0] > 0.8
    assert found[0] > found[1] + 0.1


def test_gaps_and_numbers_beyond_float32_are_learned_from_and_answered(tmp_path: Path) -> None:
    far = DATA.train.x.copy()
    far[:5, 1], far[5:9, 2] = 1e300, -np.inf
    watch = Recorder()
    artifact = XGBOOST.fit(replace(DATA, train=Part(far, DATA.train.y)), FitSettings({"max_depth": 3}, 10, 3), watch)
    path, sha256 = models.save(str(tmp_path), artifact.data, artifact.format)
    predictor = models.load(path, sha256, artifact.format, SIGNATURE)
    rows = [{"carrier": "A", "delay": delay, "wind": 0.1} for delay in (1e300, 3e38, None)]
    huge, large, missing = predictor.predict(models.frame_of(rows, SIGNATURE))
    assert huge == large
    assert 0 < missing < 1


def test_several_threads_are_answered_alike() -> None:
    data = XGBOOST.fit(DATA, FitSettings({"max_depth": 3}, 20, 3), Recorder()).data
    alone = xgboost_ubj.load(data, DATA.output)(DATA.validation.x)
    for _ in range(5):
        ask = xgboost_ubj.load(data, DATA.output)
        with ThreadPoolExecutor(8) as pool:
            rows = [DATA.validation.x[start::40] for start in range(40)]
            for start, answers in enumerate(pool.map(ask, rows)):
                np.testing.assert_array_equal(answers, alone[start::40])


def test_bytes_that_are_no_model_are_told(tmp_path: Path) -> None:
    path, sha256 = models.save(str(tmp_path), b"no model", "xgboost-ubj")
    with pytest.raises(WorkloadError, match="is no valid xgboost-ubj file") as caught:
        models.load(path, sha256, "xgboost-ubj", SIGNATURE)
    assert caught.value.reason == "ArtifactUnreadable"
    assert "Stack trace" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"n_jobs": 8}, "n_jobs cannot be set: it follows from resources.cpusPerWorker"),
        ({"objective": "multi:softmax"}, "objective 'multi:softmax' is none of binary:logistic, reg:logistic"),
        ({"booster": "gblinear"}, "booster 'gblinear' is none of gbtree, dart"),
        ({"max_dept": 3}, "XGBoost has no parameter 'max_dept'"),
        ({"xgb_model": "m"}, "xgb_model cannot be set: it names a file"),
    ],
)
def test_the_trainer_refuses_by_itself_what_no_spec_may_set(params: dict[str, Any], told: str) -> None:
    """A spec may have come by a way that nobody examined."""
    with pytest.raises(WorkloadError, match=told) as caught:
        XGBOOST.fit(DATA, FitSettings(params, 2, 3), Recorder())
    assert caught.value.reason == "UnknownParameter"


def test_what_constrains_inputs_is_given_by_their_places() -> None:
    """Rising along the second input, and the first one beside no other."""
    params = {"monotone_constraints": [0, 1, 0], "interaction_constraints": [[0], [1, 2]]}
    artifact = XGBOOST.fit(DATA, FitSettings(params, 20, 3), Recorder())
    ask = xgboost_ubj.load(artifact.data, DATA.output)
    along = np.column_stack([np.zeros(50), np.linspace(-3, 3, 50), np.zeros(50)])
    assert (np.diff(ask(along)) >= 0).all()
    assert np.ptp(ask(along)) > 0.1
    trees = xgboost.Booster(model_file=bytearray(artifact.data)).get_dump()
    assert any("[carrier" in tree for tree in trees)
    assert not any("[carrier" in tree and ("[delay" in tree or "[wind" in tree) for tree in trees)


@pytest.mark.skipif(xgboost.build_info()["USE_CUDA"], reason="this XGBoost might find a GPU")
def test_a_device_that_is_not_there_is_told_and_not_replaced() -> None:
    with pytest.raises(WorkloadError, match=r"XGBoost finds no GPU: give resources\.gpusPerWorker") as caught:
        XGBOOST.fit(DATA, FitSettings({"device": "cuda"}, 2, 3), Recorder())
    assert caught.value.reason == "NoDevice"


def test_another_worker_that_is_gone_is_no_fault_of_the_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray Train tries again what it does not know; what the trainer tells as its own would fail for good."""

    def update(*_: Any) -> None:
        raise xgboost.core.XGBoostError("[01:02:03] /workspace/src/collective/result.cc:83: Ring Allreduce failed.")

    monkeypatch.setattr(xgboost.Booster, "update", update)
    with pytest.raises(xgboost.core.XGBoostError):
        XGBOOST.fit(DATA, FitSettings({}, 2, 3, workers=2), Recorder())
    with pytest.raises(WorkloadError, match=r"XGBoost refused: Ring Allreduce failed\.$"):
        XGBOOST.fit(DATA, FitSettings({}, 2, 3), Recorder())
