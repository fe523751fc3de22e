"""A whole run with folds and metrics of its own: what is on record, judged and shown. Fitted in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.kinds.training_job.evaluation import Evaluation
from framework.kinds.training_job.gates import judge
from framework.planning.reports.models import figures, model_report, model_row
from framework.ports import ModelVersion
from framework.render.models import model_json, model_text
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.training import train
from framework.workloads.training.alone import FitWorker, _finished
from framework.workloads.training.card import card_html, card_markdown, model_card
from framework.workloads.training.checkpoints import Checkpoints
from framework.workloads.training.fit import Fitted
from tests.builders import NOW
from tests.contract import training_driver as driver

EVALUATION = {
    "metrics": [
        {"name": "gain", "entrypoint": f"{__name__}:gain", "better": "larger", "columns": ["hour", "carrier"]},
        {"name": "miss", "entrypoint": f"{__name__}:miss", "better": "smaller"},
    ],
    "costs": {"0": {"1": 1.0}, "1": {"0": 5.0}},
    "crossValidation": {"folds": 3, "gap": "6h"},
    "gates": [
        {"metric": "cv_auc", "min": 0.6},
        {"metric": "cv_cost", "max": 0.001},
        {"metric": "gain", "min": -100},
        {"metric": "miss", "comparedTo": "live", "maxRise": 0.1},
    ],
    "slices": [{"by": "carrier", "metric": "miss", "max": 0.9, "minRows": 50}],
}
STOPS = {"lightgbm": {"params": {"num_leaves": 31, "learning_rate": 0.3, "min_data_in_leaf": 2}, "rounds": 60}}
STOPS["lightgbm"]["earlyStopping"] = {"metric": "validation_miss", "patience": 4, "minDelta": 0.0}


def gain(truth: Any, answers: Any, rows: Any) -> float:
    assert rows.columns == ["hour", "carrier"]
    return float(np.mean((truth - answers) * rows["hour"].to_numpy()))


def miss(truth: Any, answers: Any, rows: Any) -> float:
    return float(np.abs(truth - answers).mean())


_LISTS = {"by": "group", "group": "batch"}


class Ran:
    """``told`` is all that was told on the way, ``fitted`` the fits that did not find themselves finished."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.views = folder, driver.views(folder)
        self.told, self.fitted = list[tuple[float | None, str]](), list[str]()

    def fit(self, data: Any, trainer: str, settings: Any, workers: int, resources: Any, checkpoint: Any,
            folder: str, name: str, tell: Any, fewest: Any = None) -> Fitted:  # fmt: skip
        kept = Checkpoints(f"{folder}/{name}/checkpoints", 2)
        tell(None, "")
        if _finished(kept) is None:
            failed = FitWorker().fit(data, trainer, settings, checkpoint, f"{folder}/{name}")
            if failed is not None:
                raise WorkloadError(*failed[:2])
            self.fitted.append(name)
        tell(settings.rounds, "")
        found = _finished(kept)
        assert found is not None
        return found

    def run(self, spec: dict[str, Any], champion: Any = None) -> dict[str, Any]:
        payload = {
            "training": "delay", "identity": "i", "build": "b", "spec": spec, "views": self.views,
            "model_folder": str(self.folder / "model"), "commit": "c0ffee0000", "seed": 7, "champion": champion,
        }  # fmt: skip
        told = self.told
        context = RunContext(
            "b", 1, payload, str(self.folder), str(self.folder / "run"), {}, lambda *args: told.append(args)
        )
        return json.loads(json.dumps(dict(train.run(context))))


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    found = Ran(tmp_path)
    monkeypatch.setattr(train.cluster, "join", lambda: None)
    monkeypatch.setattr(train.cluster, "require", lambda *args: None)
    monkeypatch.setattr(train, "fit", found.fit)
    return found


def version(result: dict[str, Any]) -> ModelVersion:
    lineage = {
        **result["lineage"], "slices": result["slices"], "champion_metrics": result["champion_metrics"],
        "rows": result["rows"],
    }  # fmt: skip
    kept = {key: result[key] for key in ("artifact", "sha256", "format", "signature", "profile", "metrics")}
    return ModelVersion(
        training="delay", version="b", commit="c" * 40, created=NOW, parameters=result["parameters"], lineage=lineage,
        **kept,
    )  # fmt: skip


def test_all_of_it_is_on_record_judged_and_shown(ran: Ran) -> None:
    spec = driver.spec(STOPS, evaluation=EVALUATION)
    result = ran.run(spec)
    champion = {key: result[key] for key in ("artifact", "sha256", "format", "signature")}
    result = ran.run(spec, {"version": "delay@1", **champion})
    found, crossed = result["metrics"], result["lineage"]["cross_validation"]
    assert 4 < result["parameters"]["rounds"] < 60
    assert {"gain", "validation_gain", "cv_gain", "cv_cost", "cv_auc", "validation_cost"} <= set(found)
    for name in ("auc", "miss"):
        each = [fold["metrics"][name] for fold in crossed["folds"]]
        assert found[f"cv_{name}"] == pytest.approx(np.mean(each))
        assert crossed["metrics"][name]["std"] == pytest.approx(np.std(each, ddof=1))
    assert sum(fold["held"] for fold in crossed["folds"]) == 2400, "of 3,200 rows the first block is only learned from"
    assert result["champion_metrics"]["gain"] == found["gain"]
    assert result["comparisons"]["miss"]["difference"] == 0.0

    rows = judge(Evaluation.model_validate(EVALUATION), found, result)
    verdicts = {row["gate"]: row["passed"] for row in rows}
    assert verdicts == {
        "cv_auc": True, "cv_cost": False, "gain": True, "miss against live": True, "miss where carrier = AA": True,
        "miss where carrier = B6": True, "miss where carrier = UA": True,
    }  # fmt: skip

    card = model_card("delay", "b", result)
    text = card_markdown(card)
    assert "## Cross-validation" in text
    assert (
        "3 fits with the same parameters and rounds on parts of the train and validation rows, divided by time" in text
    )
    assert "| gain | higher |" in text
    assert "| miss | lower |" in text
    assert "one split" not in text
    assert "Cross-validation" in card_html(card)
    row = model_row(version(result))
    shown = {one.name: one for one in figures(row.model)}
    assert (shown["miss"].loss, shown["gain"].loss, shown["cost"].loss) == (True, False, True)
    assert shown["auc"].cv == (found["cv_auc"], crossed["metrics"]["auc"]["std"])
    assert not any(name.startswith("cv_") for name in shown)
    terminal = model_text(model_report(row, None), NOW, width=200)
    assert "Cross-validation" in terminal
    assert json.loads(model_json("local", model_report(row, None)))["cross_validation"] == crossed


def test_each_fold_is_told_and_one_that_is_finished_is_not_fitted_again(ran: Ran) -> None:
    spec = driver.spec(driver.BOOSTED, evaluation={"crossValidation": {"folds": 3, "gap": None}})
    first = ran.run(spec)
    assert ran.fitted == ["fit", "fold-1", "fold-2", "fold-3"]
    said = [text for _, text in ran.told if text.startswith("fold")]
    assert said[0] == "fold 1 of 3: waits for a worker (needs 1 CPU)"
    assert said[-1] == "fold 3 of 3: fitting lightgbm on 1 worker: 40 of 40 rounds done"
    done = [part for part, text in ran.told if text.startswith("fold") and part is not None]
    assert done == sorted(done)
    (Path(ran.folder) / "run" / "fold-2" / "checkpoints" / "000000040.json").unlink()
    again = ran.run(spec)
    assert ran.fitted[4:] == ["fold-2"]
    assert again["lineage"]["cross_validation"] == first["lineage"]["cross_validation"]


@pytest.mark.parametrize(
    ("form", "more"),
    [
        (driver.task("multiclass", "season", ["carrier", "hour"], "f1"), {"by": "stratified"}),
        (driver.task("regression", "delay", ["carrier", "hour"], "rmse"), _LISTS),
        (driver.task("quantile", "delay", ["carrier", "hour"], "coverage", quantiles=[0.1, 0.9]), {"by": "random"}),
        (driver.task("ranking", "stars", ["carrier", "hour"], "ndcg@5", query="batch"), _LISTS),
    ],
    ids=["multiclass", "regression", "quantile", "ranking"],
)  # fmt: skip
def test_every_task_and_every_kind_of_split_has_its_folds(ran: Ran, form: dict[str, Any], more: dict[str, Any]) -> None:
    split = {"fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}, **more}
    folds = {"crossValidation": {"folds": 2}, "gates": []}
    result = ran.run({**form, "dataset": {**form["dataset"], "split": split}, "evaluation": folds})
    crossed = result["lineage"]["cross_validation"]
    known = result["rows"]["train"] + result["rows"]["validation"]
    assert (crossed["by"], sum(fold["held"] for fold in crossed["folds"])) == (more["by"], known)
    names = {name.removeprefix("cv_") for name in result["metrics"] if name.startswith("cv_")}
    assert names == {name.removeprefix("validation_") for name in result["metrics"] if name.startswith("validation_")}


def test_a_split_with_a_gap_says_how_many_rows_are_in_none(ran: Ran) -> None:
    spec = driver.spec(driver.BOOSTED)
    split = {**spec["dataset"]["split"], "gap": "12h"}
    whole = ran.run(spec)
    assert "gap" not in whole["rows"]
    gapped = {**spec, "dataset": {**spec["dataset"], "split": split}}
    ran.folder = ran.folder / "other"
    result = ran.run(gapped)
    assert result["rows"]["gap"] > 20
    assert result["rows"]["test"] == whole["rows"]["test"]
    assert sum(result["rows"][name] for name in ("train", "validation", "test", "gap")) == 4000
    text = card_markdown(model_card("delay", "b", result))
    assert f"{result['rows']['gap']:,} rows between two parts are in none of them." in text


def test_what_a_metric_of_ones_own_does_wrong_ends_the_run_before_it_is_judged(ran: Ran) -> None:
    wrong = [{"name": "bad", "entrypoint": "tests.unit.training.kpi:breaks", "better": "larger", "columns": ["hour"]}]
    with pytest.raises(WorkloadError, match=r"metric bad: .*breaks raised ZeroDivisionError: .*kpi\.py:\d+"):
        ran.run(driver.spec(driver.BOOSTED, evaluation={"metrics": wrong}))
