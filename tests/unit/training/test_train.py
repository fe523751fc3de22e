"""What a run leaves beside its model: all that a card can be made of again. Fitted in this process, without Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework import storage
from framework.api.tasks import Task
from framework.backends.profiles.files import read_profile
from framework.ports import ReadView
from framework.workloads.context import RunContext
from framework.workloads.training import shards, train
from framework.workloads.training.card import card_html, card_markdown, model_card
from framework.workloads.training.fit import Fitted
from framework.workloads.training.loading import opened
from framework.workloads.training.shards import Shards
from framework.workloads.training.trainer import FitSettings, TrainingData
from framework.workloads.training.trainers import TRAINERS
from framework.workloads.training.tuning import SearchResult
from tests.contract import training_driver as driver
from tests.unit.training.test_tasks import Reports

FORMS: dict[Task, dict[str, Any]] = {
    Task.BINARY: driver.spec(driver.BOOSTED),
    Task.MULTICLASS: driver.task("multiclass", "season", ["carrier", "hour"], "accuracy"),
    Task.REGRESSION: driver.task("regression", "delay", ["carrier", "hour"], "rmse"),
    Task.QUANTILE: driver.task("quantile", "delay", ["carrier", "hour"], "coverage", quantiles=[0.1, 0.5, 0.9]),
    Task.RANKING: driver.task("ranking", "stars", ["carrier", "hour"], "ndcg@5", query="batch"),
}
KEPT = {
    Task.BINARY: {"rows", "confusion", "calibration"},
    Task.MULTICLASS: {"rows", "confusion", "calibration"},
    Task.REGRESSION: {"rows", "agreement", "residuals"},
    Task.QUANTILE: {"rows", "quantiles", "width"},
    Task.RANKING: {"rows", "lists"},
}


TRIAL = {"number": 0, "parameters": {"num_leaves": 5}, "rounds": 8, "reports": 8, "validation_auc": 0.7, "error": None}
FOUND = SearchResult({"num_leaves": 5}, 8, [TRIAL], winner=0)


def fit(data: TrainingData | Shards, trainer: str, settings: FitSettings, *_: Any) -> Fitted:
    return Fitted(TRAINERS[trainer].fit(opened(data, settings), settings, Reports()), settings.rounds, ())


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Task], dict[str, Any]]:
    monkeypatch.setattr(train.cluster, "join", lambda: None)
    monkeypatch.setattr(train.cluster, "require", lambda *_: None)
    monkeypatch.setattr(train, "fit", fit)
    monkeypatch.setattr(train, "search", lambda *_: FOUND)

    def run(task: Task, **changes: Any) -> dict[str, Any]:
        payload = {
            "training": "delay", "identity": "i", "build": "b", "spec": {**FORMS[task], **changes},
            "views": driver.views(tmp_path), "model_folder": str(tmp_path / "model"), "commit": "c0ffee0000", "seed": 7,
            "description": "Tells travellers when to leave.",
        }  # fmt: skip
        context = RunContext("b", 1, payload, str(tmp_path), str(tmp_path / "run"), {}, lambda done, told: None)
        return json.loads(json.dumps(dict(train.run(context))))

    return run


@pytest.mark.parametrize("task", Task)
def test_its_card_can_be_made_again_without_the_rows(
    ran: Callable[[Task], dict[str, Any]], tmp_path: Path, task: Task
) -> None:
    result = ran(task)
    assert set(result["diagnosis"]) == KEPT[task]
    assert result["diagnosis"]["rows"] == result["rows"]["test"]
    kept = storage.read_json(str(tmp_path / "model" / "version.json"))
    assert kept == result
    card = model_card("delay", "b", kept)
    assert (tmp_path / "model" / "README.md").read_text() == card_markdown(card)
    assert (tmp_path / "model" / "card.html").read_text() == card_html(card)
    text = card_markdown(card)
    assert "Tells travellers when to leave." in text
    assert "4,000 | 2013-01-" in text, "rows and times of a view"
    assert "before that was kept" not in text


def test_what_can_change_the_last_digits_is_kept(ran: Callable[[Task], dict[str, Any]]) -> None:
    lineage = ran(Task.BINARY)["lineage"]
    assert {"python", "lightgbm", "numpy", "scipy", "polars"} <= set(lineage["libraries"])
    assert set(lineage["machine"]) == {
        "system", "architecture", "processor", "cpus", "threads", "workers", "gpus",
    }  # fmt: skip
    assert (lineage["machine"]["threads"], lineage["machine"]["workers"]) == (1, 1)
    assert all(lineage["machine"][name] for name in ("system", "architecture", "cpus"))
    for name, read in lineage["views"].items():
        kept = ReadView.model_validate({**read, **lineage["meanings"][name]})
        assert kept.timestamp in dict(kept.columns)


def profiled(folder: Path) -> int:
    """Rows that the profile of a model's training data is of."""
    return read_profile((folder / "model" / "profile" / "whole.bin").read_bytes())["late"].count


def test_a_model_that_learned_from_the_validation_rows_is_judged_on_them_by_the_one_that_did_not(
    ran: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    dataset = {**driver.spec(driver.BOOSTED)["dataset"], "classWeights": "balanced"}
    rows = {"dataset": dataset, "decision": {"recall": 0.8}}
    plain = ran(Task.BINARY, tune=driver.TUNE, **rows)
    counted = profiled(tmp_path)
    both = ran(Task.BINARY, tune={**driver.TUNE, "refit": "trainAndValidation"}, **rows)
    validated = {name for name in plain["metrics"] if name.startswith("validation_")}
    assert {name: both["metrics"][name] for name in validated} == {name: plain["metrics"][name] for name in validated}
    assert both["signature"] == plain["signature"], "the threshold is that of the winner, too"
    assert both["sha256"] != plain["sha256"]
    assert both["parameters"] == plain["parameters"]
    assert both["metrics"]["auc"] != plain["metrics"]["auc"]
    parts = plain["rows"]
    assert counted == parts["train"]
    assert profiled(tmp_path) == parts["train"] + parts["validation"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "the model learned once more from the train and the validation part" in card
    assert "test rows are equal to training or validation rows, label included" in card


def test_a_run_whose_rows_stream_comes_to_the_same_version(
    ran: Callable[[Task], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tune = {**driver.TUNE, "refit": "trainAndValidation"}
    held = ran(Task.BINARY, tune=tune)
    monkeypatch.setattr(shards, "FILE_BYTES", 8 * 3 * 500)
    dataset = {**FORMS[Task.BINARY]["dataset"], "loading": "stream"}
    streamed = ran(Task.BINARY, tune=tune, dataset=dataset)
    told = ("sha256", "metrics", "signature", "slices", "rows")
    assert {name: streamed[name] for name in told} == {name: held[name] for name in told}
    assert not (tmp_path / "run" / "shards").exists()
