"""The training workload on a real Ray: search, fit, champion, resuming after a crash, and telling what cannot work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xgboost

from framework.workloads import models

pytestmark = [pytest.mark.ray, pytest.mark.timeout(460)]

ROOT = Path(__file__).parents[2]
_LOOPBACK_ONLY = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
"""A network with nothing but lo: ports of libraries, which several workers need, have no setting for the address."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, Any]:
    """All runs, made once."""
    able = shutil.which("unshare") and subprocess.run([*_LOOPBACK_ONLY, "true"], capture_output=True).returncode == 0
    if not able:
        pytest.skip("needs unshare and ip for a network of its own")
    environment = {
        **os.environ,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "disabled",
        "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process for each fit, and nobody takes this machine away
        "PYTHONPATH": str(ROOT),
    }
    command = [*_LOOPBACK_ONLY, sys.executable, "-m", "tests.contract.training_driver", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=440)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    found: dict[str, Any] = json.loads((folder / "outcomes.json").read_text())
    return found


def test_a_run_returns_what_the_registry_keeps(outcomes: dict[str, Any], folder: Path) -> None:
    found = outcomes["boosted"]
    assert found["format"] == "lightgbm-text"
    assert found["metrics"]["auc"] > 0.7
    assert found["rows"] == {"train": 2400, "validation": 800, "test": 800, "dropped": 0}
    assert [column["name"] for column in found["signature"]["inputs"]] == ["carrier", "hour", "recent"]
    assert found["signature"]["inputs"][0]["categories"] == ["AA", "B6", "UA"]
    assert {row["value"] for row in found["slices"]} == {"AA", "B6", "UA"}
    assert found["lineage"]["views"]["flights"]["version"] == 0
    assert (Path(found["profile"]) / "whole.bin").stat().st_size > 0
    assert (Path(found["profile"]) / "period-0.bin").exists()
    assert "# delay boosted" in (folder / "models" / "boosted" / "README.md").read_text()
    assert "<title>delay boosted</title>" in (folder / "models" / "boosted" / "card.html").read_text()
    assert found["diagnosis"]["rows"] == 800
    predictor = models.load(found["artifact"], found["sha256"], found["format"], found["signature"])
    rows = [{"carrier": "AA", "hour": 20, "recent": 2.0}, {"carrier": "AA", "hour": 2, "recent": -2.0}]
    late, early = predictor.predict(models.frame_of(rows, found["signature"]))
    assert late > 0.6 > 0.3 > early


def test_every_trial_is_kept_and_the_best_one_is_fitted(outcomes: dict[str, Any]) -> None:
    found = outcomes["boosted"]
    assert len(found["trials"]) == 4
    best = max(found["trials"], key=lambda trial: trial["validation_auc"])
    assert {key: found["parameters"][key] for key in best["parameters"]} == best["parameters"]
    assert found["parameters"]["rounds"] == best["rounds"]
    assert found["metrics"]["validation_auc"] == pytest.approx(best["validation_auc"])
    assert any(trial["reports"] < 10 for trial in found["trials"]), "ASHA stopped nothing early"
    assert {trial["parameters"]["C"] for trial in outcomes["logistic"]["trials"]} == {0.01, 1.0}


def test_a_search_that_was_cut_off_takes_what_is_known_of_its_trials(outcomes: dict[str, Any]) -> None:
    found, whole = outcomes["cut-off"], outcomes["boosted-again"]
    assert len(found["trials"]) == 4
    assert found["trials"][0] == {**whole["trials"][0], "validation_auc": 0.99}
    assert found["trials"][1] == whole["trials"][1]
    assert found["origin"]["search"]["winner"] == 0
    assert found["metrics"]["validation_auc"] < 0.98
    assert any("best validation_auc 0.99 (trial 0)" in message for message in found["told"])


def test_a_search_keeps_its_bounds_and_its_best_trial_learns_from_the_validation_rows_too(
    outcomes: dict[str, Any],
) -> None:
    found = outcomes["bounded"]
    assert len(found["trials"]) == 3
    for trial in found["trials"]:
        assert ("num_leaves" in trial["parameters"]) == (trial["parameters"]["boosting"] == "gbdt")
        assert 0 < trial["latency_ms"] < 1000
    best = found["trials"][found["origin"]["search"]["winner"]]
    assert best["validation_recall"] >= 0.1
    assert found["metrics"]["validation_auc"] == pytest.approx(best["validation_auc"])
    assert any("on train and validation rows" in message for message in found["told"])


def test_a_population_ends_with_the_model_of_its_winner(outcomes: dict[str, Any]) -> None:
    found = outcomes["population"]
    assert [trial["rounds"] for trial in found["trials"]] == [8, 8, 16, 16, 24, 24, 32, 32, 40, 40]
    winner = found["origin"]["search"]["winner"]
    best = found["trials"][winner]
    assert Path(found["artifact"]).read_text().count("Tree=") == best["rounds"]
    assert found["metrics"]["validation_auc"] == pytest.approx(best["validation_auc"], abs=1e-12)


def test_the_champion_is_judged_on_the_same_rows(outcomes: dict[str, Any]) -> None:
    assert outcomes["logistic"]["champion_metrics"] is None
    assert outcomes["boosted"]["champion_metrics"]["auc"] == pytest.approx(outcomes["logistic"]["metrics"]["auc"])


def test_the_same_fingerprint_gives_the_same_bytes(outcomes: dict[str, Any]) -> None:
    one, two = outcomes["boosted"], outcomes["boosted-again"]
    assert one["lineage"]["dataset"] == two["lineage"]["dataset"]
    assert one["sha256"] == two["sha256"]
    assert one["metrics"] == two["metrics"]


def test_an_attempt_after_a_finished_fit_trains_nothing_again(outcomes: dict[str, Any]) -> None:
    found = outcomes["boosted-after-the-end"]
    assert found["sha256"] == outcomes["boosted"]["sha256"]
    assert not any(message.startswith("searching") for message in found["told"])
    assert found["lineage"]["resumed_at_rounds"] == []


def test_it_tells_how_many_trials_are_over_and_that_it_waits_until_a_worker_runs(outcomes: dict[str, Any]) -> None:
    told = [message for message in outcomes["boosted"]["told"] if "trials done" in message or "worker" in message]
    trials = len(outcomes["boosted"]["trials"])
    assert told[0] == f"waits for a worker (needs 1 CPU): 0 of {trials} trials done"
    assert any(f": {trials} of {trials} trials done" in message for message in told)
    assert "waits for a worker (needs 1 CPU)" in told, "before the fit"


def test_a_killed_worker_resumes_from_its_checkpoint(outcomes: dict[str, Any]) -> None:
    found = outcomes["killed"]
    assert found["lineage"]["resumed_at_rounds"], found
    assert found["lineage"]["resumed_at_rounds"][0] >= 400
    assert Path(found["artifact"]).read_text().count("Tree=") == 4000
    assert found["metrics"]["auc"] > 0.6


def test_a_threshold_is_chosen_on_validation_rows_and_the_live_model_compared_by_pairs(
    outcomes: dict[str, Any],
) -> None:
    found = outcomes["decided"]
    assert 0 < found["signature"]["output"]["threshold"] < 0.5
    assert found["metrics"]["validation_recall"] >= 0.9
    assert found["metrics"]["recall"] > 0.8
    compared = found["comparisons"]["auc"]
    assert compared["difference"] == pytest.approx(found["metrics"]["auc"] - found["champion_metrics"]["auc"])
    assert compared["quantiles"][4] < compared["difference"] < compared["quantiles"][-5]


def test_a_model_is_looked_at_from_all_sides(outcomes: dict[str, Any]) -> None:
    """At the threshold that was chosen, on the file that was stored, and told on its card."""
    found = outcomes["decided"]
    (fair,) = found["fairness"]
    rates = {row["group"]: (row["rows"], row["values"]["true_positive_rate"]) for row in fair["groups"]}
    assert sum(rows for rows, _ in rates.values()) == found["rows"]["test"]
    assert (
        min(rate for _, rate in rates.values()) <= found["metrics"]["recall"] <= max(rate for _, rate in rates.values())
    )
    (robust,) = found["robustness"]
    assert robust["columns"] == ["carrier"]
    assert robust["value"] < robust["clean"] == found["metrics"]["auc"]
    low, high = found["intervals"]["auc"]
    assert low < found["metrics"]["auc"] < high
    for looked, by in (("importance", "drop"), ("contributions", "mean")):
        assert found[looked]["problem"] == ""
        assert found[looked]["inputs"][0][by] > 0
    assert found["leakage"]["model"] == pytest.approx(found["metrics"]["auc"], abs=1e-5)
    card = (Path(found["artifact"]).parent / "README.md").read_text()
    for title in ("Fairness", "Robustness", "What it goes by", "What moves its answers", "Signs of leakage"):
        assert f"## {title}" in card


@pytest.mark.parametrize(
    ("name", "kind", "metric", "least"),
    [
        ("classes", "probabilities", "accuracy", 0.8),
        ("classes-by-xgboost", "probabilities", "accuracy", 0.8),
        ("network", "probabilities", "accuracy", 0.7),
        ("two-workers-of-torch", "probabilities", "accuracy", 0.7),
        ("numbers", "number", "r2", 0.8),
        ("quantiles", "quantiles", "coverage", 0.6),
        ("ranking", "score", "ndcg@5", 0.8),
    ],
)
def test_each_task_is_trained_measured_and_answers(
    outcomes: dict[str, Any], name: str, kind: str, metric: str, least: float
) -> None:
    found = outcomes[name]
    assert found["metrics"][metric] > least
    assert {row["value"] for row in found["slices"]} == {"AA", "B6", "UA"}
    assert all(row["score"] is not None for row in found["slices"])
    assert found["signature"]["output"]["kind"] == kind
    predictor = models.load(found["artifact"], found["sha256"], found["format"], found["signature"])
    rows = [{"carrier": "AA", "hour": 20, "near": 0.5}, {"carrier": "B6", "hour": 2, "near": -0.5}]
    answers = predictor.predict(models.frame_of(rows, found["signature"]))
    predictor.output.check(answers, 2)
    assert (Path(found["profile"]) / "whole.bin").stat().st_size > 0


@pytest.mark.parametrize(
    ("name", "form", "format"), [("numbers", "onnx", "onnx"), ("network", "quantized", "torch-safetensors")]
)
def test_another_form_of_the_model_answers_as_it_does(
    outcomes: dict[str, Any], name: str, form: str, format: str
) -> None:
    found = outcomes[name]
    made = found["lineage"]["forms"][form]
    assert (made["passed"], made["reason"], made["format"]) == (True, "", format)
    assert "forms" not in outcomes["classes"]["lineage"]
    rows = [{"carrier": "AA", "hour": 20, "near": 0.5}, {"carrier": "none seen", "hour": 2, "near": -0.5}]
    native = models.load(found["artifact"], found["sha256"], found["format"], found["signature"])
    other = models.load(made["artifact"], made["sha256"], made["format"], found["signature"])
    frame = models.frame_of(rows, found["signature"])
    assert other.predict(frame) == pytest.approx(native.predict(frame), abs=0.02)
    assert f"The form {form} may serve." in (Path(found["artifact"]).parent / "README.md").read_text()


def test_a_search_with_xgboost_fits_its_best_trial(outcomes: dict[str, Any]) -> None:
    found = outcomes["classes-by-xgboost"]
    assert found["format"] == "xgboost-ubj"
    assert len(found["trials"]) == 2
    best = max(found["trials"], key=lambda trial: trial["validation_accuracy"])
    assert found["parameters"] == {"subsample": 0.8, **best["parameters"], "rounds": best["rounds"]}
    assert found["lineage"]["libraries"]["xgboost"]


def test_two_workers_fit_one_model_of_xgboost(outcomes: dict[str, Any]) -> None:
    """A model of half the rows alone would have half of them."""
    found, alone = outcomes["two-workers-of-xgboost"], outcomes["classes-by-xgboost"]
    assert found["metrics"]["accuracy"] == pytest.approx(alone["metrics"]["accuracy"], abs=0.04)
    booster = xgboost.Booster(model_file=found["artifact"])
    assert booster.num_boosted_rounds() == 40
    roots = [json.loads(tree)["cover"] for tree in booster.get_dump(dump_format="json", with_stats=True)[:3]]
    whole = xgboost.Booster(model_file=alone["artifact"])
    same = [json.loads(tree)["cover"] for tree in whole.get_dump(dump_format="json", with_stats=True)[:3]]
    assert roots == pytest.approx(same, rel=0.1)


def test_two_workers_fit_one_network(outcomes: dict[str, Any]) -> None:
    found, alone = outcomes["two-workers-of-torch"], outcomes["network"]
    assert found["format"] == alone["format"] == "torch-safetensors"
    assert found["metrics"]["accuracy"] == pytest.approx(alone["metrics"]["accuracy"], abs=0.06)
    assert found["parameters"]["rounds"] == 6
    assert found["parameters"]["batchSize"] == 64
    assert found["lineage"]["libraries"]["torch"]
    assert any("fitting torch on 2 workers" in told for told in found["told"]), found["told"]


def test_workers_do_not_wait_for_one_that_failed(outcomes: dict[str, Any]) -> None:
    """They would for five minutes, and tell that somebody is gone."""
    assert outcomes["one-worker-fails"]["wall"] < 200


def test_rows_that_stream_to_a_worker_make_the_same_model(outcomes: dict[str, Any], folder: Path) -> None:
    found, held = outcomes["streamed"], outcomes["held"]
    assert found["sha256"] == held["sha256"]
    assert found["metrics"] == held["metrics"]
    assert list((folder / "runs").glob("*/shards/*")) == []


def test_two_workers_stop_at_the_same_round(outcomes: dict[str, Any]) -> None:
    found = outcomes["two-workers-that-stop"]
    rounds = found["parameters"]["rounds"]
    assert rounds < 100
    assert Path(found["artifact"]).read_text().count("Tree=") == rounds
    assert found["metrics"]["auc"] > 0.7


def test_folds_are_fitted_beside_the_model(outcomes: dict[str, Any], folder: Path) -> None:
    found = outcomes["numbers"]
    each = [fold["metrics"]["rmse"] for fold in found["lineage"]["cross_validation"]["folds"]]
    assert found["metrics"]["cv_rmse"] == pytest.approx(sum(each) / 2)
    assert (folder / "runs" / "numbers" / "fold-2" / "checkpoints").is_dir()


@pytest.mark.parametrize(
    ("name", "reason", "kind", "told"),
    [
        ("too-large", "NotEnoughResources", "Infrastructure", "2 CPU of 8 needed"),
        ("unshared", "UnsupportedWorkers", "User", "several: lightgbm, xgboost, torch"),
        ("one-worker-fails", "TrainerFailed", "User", "LookupError: the second worker has no luck"),
        ("wrong-parameter", "TrainerFailed", "User", "num_leaves"),
        ("wrong-search", "TrialsFailed", "User", "did you mean 'C'"),
        ("another-task", "TaskChanged", "User", "say which is meant by dataset.task"),
        ("another-metric", "UnknownMetric", "User", "rmse is no metric of multiclass"),
    ],
)
def test_what_cannot_work_is_named(outcomes: dict[str, Any], name: str, reason: str, kind: str, told: str) -> None:
    found = outcomes[name]
    assert (found["reason"], found["kind"]) == (reason, kind)
    assert told in found["message"]


def test_as_many_workers_fit_one_model_as_there_is_room_for(outcomes: dict[str, Any]) -> None:
    found = outcomes["elastic"]
    assert found["metrics"]["auc"] == pytest.approx(outcomes["boosted"]["metrics"]["auc"], abs=0.03)
    assert Path(found["artifact"]).read_text().count("Tree=") == 40
    assert found["lineage"]["machine"]["workers"] == int(2 / 0.75)


def test_a_worker_gets_the_gpu_that_its_spec_asks_for_on_a_node_that_has_it(outcomes: dict[str, Any]) -> None:
    found = outcomes["decided"]
    assert found["metrics"]["auc"] > 0.7
    assert found["lineage"]["machine"]["gpus"] == 1.0


@pytest.mark.parametrize("name", ["bounded", "elastic"])
def test_trials_and_workers_start_on_nodes_with_the_labels_that_their_spec_asks_for(
    outcomes: dict[str, Any], name: str
) -> None:
    assert outcomes[name]["metrics"]["auc"] > 0.6


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no-such-accelerator", "needs 1 x (1 CPU on a node with H100), but the cluster has no H100"),
        ("no-such-node", "but no node of the cluster has pool: !trains (pool is trains)"),
    ],
)
def test_what_no_node_has_is_not_waited_for(outcomes: dict[str, Any], name: str, told: str) -> None:
    found = outcomes[name]
    assert (found["reason"], found["kind"]) == ("NotEnoughResources", "Infrastructure")
    assert told in found["message"]
