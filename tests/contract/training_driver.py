"""Runs the training workload in several ways on one Ray of its own and writes what came back as JSON.

    python -m tests.contract.training_driver FOLDER

A process of its own, so that a test can give it a deadline and a network of its own.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from framework import storage
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.training import train
from tests.unit.training.tables import published

START = datetime(2013, 1, 1, tzinfo=UTC)
BOOSTED = {"lightgbm": {"params": {"num_leaves": 7, "learning_rate": 0.1}, "rounds": 40}}
STOPPED = {"params": {"num_leaves": 31, "learning_rate": 0.3}, "rounds": 200}
XGBOOSTED = {"xgboost": {"params": {"max_depth": 4, "subsample": 0.8}, "rounds": 40}}
NETWORK = {
    "torch": {
        "entrypoint": "tests.unit.training.networks:layers",
        "params": {"hidden": 64},
        "epochs": 6,
        "batchSize": 64,
        "learningRate": 0.01,
        "optimizer": "adam",
        "precision": "float32",
    }
}
LOGISTIC = {"sklearn": {"estimator": "sklearn.linear_model.LogisticRegression", "params": {}}}
TUNE = {
    "search": {"num_leaves": {"randint": [4, 16]}, "learning_rate": {"loguniform": [0.02, 0.3]}},
    "metric": "validation_auc",
    "mode": "max",
    "trials": 4,
    "concurrency": 1,
    "algorithm": "optuna",
    "scheduler": "asha",
    "budget": "1m",
}
DEPTHS = {**TUNE, "search": {"max_depth": {"randint": [2, 6]}}, "metric": "validation_accuracy", "trials": 2}
BOUNDED = {
    **TUNE,
    "search": {
        "boosting": {"choice": ["gbdt", "dart"]},
        "num_leaves": {"lograndint": [4, 32], "when": {"boosting": ["gbdt"]}},
    },
    "trials": 3,
    "algorithm": "hyperopt",
    "scheduler": "hyperband",
    "constraints": [{"metric": "validation_recall", "min": 0.1}, {"latency": {"max": "1s"}}],
    "refit": "trainAndValidation",
}
POPULATION = {**TUNE, "trials": 2, "concurrency": 2, "scheduler": "pbt", "budget": None}
CHOICES = {**TUNE, "search": {"C": {"choice": [0.01, 1.0]}}, "algorithm": "grid", "scheduler": "none"}


def views(folder: Path) -> dict[str, Any]:
    """Flights whose lateness follows from the hour and from the carrier's recent delays."""
    generator = np.random.default_rng(5)
    rows = 4_000
    minutes = np.sort(generator.integers(0, 60 * 24 * 28, rows))
    carrier = generator.choice(["AA", "B6", "UA"], rows)
    hour = (minutes // 60) % 24
    recent = generator.normal(size=rows)
    late = generator.random(rows) < 1 / (1 + np.exp(-(recent + (hour - 12) / 6 - 1)))
    at = pl.Series([START + timedelta(minutes=int(value)) for value in minutes], dtype=pl.Datetime("us", "UTC"))
    flights = pl.DataFrame(
        {"flight": range(rows), "at": at, "carrier": carrier, "hour": hour, "late": late}
    ).with_columns(
        delay=recent * 10 + hour,
        season=pl.Series(np.array(["high", "low", "mid"])[np.digitize(hour + recent, [8, 16])]),
        stars=pl.Series(np.digitize(hour + 3 * recent, [8, 16])),
        near=pl.Series(recent + generator.normal(size=rows) / 4),
        batch=pl.Series(np.arange(rows) // 20),
    )
    delays = pl.DataFrame({"flight": range(rows), "seen": at - timedelta(minutes=1), "recent": recent})
    return {
        "flights": published(folder, "flights", flights, ["flight"], "at"),
        "delays": published(folder, "delays", delays, ["flight"], "seen"),
    }


def task(form: str, label: str, columns: list[str], metric: str, **more: Any) -> dict[str, Any]:
    """A training of another task on the same rows, without the other view."""
    wanted = spec(BOOSTED)
    dataset = {**wanted["dataset"], "features": [], "label": label, "columns": columns, "task": form, **more}
    bars = {"slices": [{"by": "carrier", "metric": metric, "minRows": 50}]}
    return {**wanted, "dataset": dataset, "evaluation": bars}


def spec(trainer: dict[str, Any], tune: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "dataset": {
            "spine": "flights",
            "columns": ["carrier", "hour"],
            "features": [{"view": "delays", "columns": "all", "maxAge": "1h"}],
            "label": "late",
            "window": {"from": "2013-01-01", "to": "2013-02-01"},
            "split": {"by": "time", "fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        },
        "trainer": trainer,
        "tune": tune,
        "resources": {"workers": 1, "cpusPerWorker": 1.0, "gpusPerWorker": 0.0},
        "evaluation": {"slices": [{"by": "carrier", "metric": "auc", "min": 0.5, "minRows": 50}]},
        "checkpoint": {"every": 1, "keep": 2},
        **changes,
    }


def streamed(form: dict[str, Any]) -> dict[str, Any]:
    """The same with rows that come from files, a batch at a time."""
    return {**form, "dataset": {**form["dataset"], "loading": "stream"}}


class Runs:
    """Runs by name, with everything that was said on the way."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.views = folder, views(folder)
        self.outcomes: dict[str, Any] = {}

    def run(
        self, name: str, form: dict[str, Any], champion: Any = None, run: str = "", live_task: str = ""
    ) -> dict[str, Any]:
        told: list[str] = []
        lock = threading.Lock()

        def progress(done: float | None, message: str) -> None:
            with lock:  # like the runner's, it cannot be sent to another process
                told.append(message)

        context = RunContext(
            name=run or name,
            attempt=1,
            payload={
                "training": "delay",
                "identity": name,
                "build": name,
                "spec": form,
                "views": self.views,
                "model_folder": str(self.folder / "models" / name),
                "commit": "c0ffee0000",
                "seed": 7,
                "champion": champion,
                "live_task": live_task,
            },
            storage=str(self.folder),
            folder=str(self.folder / "runs" / (run or name)),
            metadata={},
            progress=progress,
        )
        began = time.monotonic()
        try:
            outcome = json.loads(json.dumps(dict(train.run(context))))
        except WorkloadError as error:
            outcome = {"reason": error.reason, "message": str(error), "kind": error.kind}
        self.outcomes[name] = {**outcome, "told": told, "wall": time.monotonic() - began}
        print(name, round(time.monotonic() - began, 1), flush=True)
        return outcome


def kill_worker_after_checkpoint(folder: Path, ray_folder: str) -> Callable[[], None]:
    """Wait in the background until there is a checkpoint, then kill the worker as a crash would."""

    def work() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any((folder / "fit" / "checkpoints").glob("*.json")):
                for pid in workers(ray_folder):
                    os.kill(pid, 9)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread.join


def begin_with(folder: Path, other: Path, trials: int) -> None:
    """As if a search had been cut off after so many trials of another one; the first of them was much better."""
    for number in range(trials):
        name = f"search/over/{number:06d}.json"
        note = storage.readable_json(str(other / name))
        for report in note["reports"] if number == 0 else ():
            report["validation_auc"] = 0.99
        storage.write_sealed(str(folder / name), note)


def workers(ray_folder: str) -> list[int]:
    """Workers of a fit below our own raylet."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            if b"FitWorker" in (entry / "cmdline").read_bytes():
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if ray_folder.encode() in (Path("/proc") / parent / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def main(folder: Path) -> None:
    import ray

    ray_folder = str(folder / "ray")
    ray.init(
        num_cpus=2,
        num_gpus=1,
        resources={"accelerator_type:T4": 1},
        labels={"pool": "trains"},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="warning",
        _temp_dir=ray_folder,
    )
    runs = Runs(folder)
    first = runs.run("logistic", spec(LOGISTIC, CHOICES))
    champion = {"version": "logistic", **{key: first[key] for key in ("artifact", "sha256", "format", "signature")}}
    runs.run("boosted", spec(BOOSTED, TUNE), champion)
    backwards = dict(reversed(TUNE["search"].items()))
    runs.run("boosted-again", spec(BOOSTED, {**TUNE, "search": backwards}), champion)
    runs.run("boosted-after-the-end", spec(BOOSTED, TUNE), champion, run="boosted")
    begin_with(folder / "runs" / "cut-off", folder / "runs" / "boosted-again", trials=2)
    runs.run("cut-off", spec(BOOSTED, TUNE))
    one = {"workers": 1, "cpusPerWorker": 1.0, "gpusPerWorker": 0.0}
    runs.run("bounded", spec(BOOSTED, BOUNDED, resources={**one, "labels": {"pool": "in(serves,trains)"}}))
    runs.run("population", spec(BOOSTED, POPULATION))
    long = {"lightgbm": {**BOOSTED["lightgbm"], "rounds": 4000}}
    joined = kill_worker_after_checkpoint(folder / "runs" / "killed", ray_folder)
    runs.run("killed", spec(long))
    joined()
    compared = {
        "gates": [{"metric": "auc", "comparedTo": "live", "maxDrop": 0.1, "confidence": 0.9}],
        "fairness": [{"attribute": "carrier", "metric": "equal_opportunity_difference", "max": 0.5}],
        "robustness": [{"perturb": "unseen", "amount": 1.0, "metric": "auc", "maxDrop": 0.5}],
    }
    there = {**one, "accelerator": "T4", "gpusPerWorker": 1.0}
    runs.run("decided", spec(BOOSTED, decision={"recall": 0.9}, evaluation=compared, resources=there), champion)
    inputs = ["carrier", "hour", "near"]
    classes = task("multiclass", "season", inputs, "f1", classWeights="balanced")
    live = runs.run("classes", classes)
    runs.run("classes-by-xgboost", {**classes, "trainer": XGBOOSTED, "tune": DEPTHS})
    numbers = task("regression", "delay", inputs, "rmse")
    folds = {**numbers["evaluation"], "crossValidation": {"folds": 2, "gap": "1h"}}
    runs.run("numbers", {**numbers, "evaluation": folds, "export": {"onnx": "required"}})
    asked = {**TUNE, "metric": "validation_pinball", "mode": "min", "trials": 2}
    quantiles = task("quantile", "delay", inputs, "coverage", quantiles=[0.1, 0.5, 0.9])
    runs.run("quantiles", {**quantiles, "tune": asked})
    runs.run("ranking", task("ranking", "stars", inputs, "ndcg@5", query="batch"))
    undeclared = {**classes, "dataset": {**classes["dataset"], "task": None}}
    runs.run("another-task", undeclared, live_task="binary")
    wrong = {**classes, "evaluation": {"gates": [{"metric": "rmse", "max": 1}]}}
    runs.run("another-metric", wrong, {**champion, "signature": live["signature"]})
    runs.run("no-such-accelerator", spec(BOOSTED, resources={**one, "accelerator": "H100"}))
    runs.run("no-such-node", spec(BOOSTED, resources={**one, "labels": {"pool": "!trains"}}))
    two = {**one, "workers": 2}
    stops = {"lightgbm": {**STOPPED, "earlyStopping": {"metric": "validation_log_loss", "patience": 4}}}
    runs.run("two-workers-that-stop", streamed(spec(stops, resources=two)))
    between = {**one, "elastic": {"min": 1, "max": 8}, "cpusPerWorker": 0.75, "labels": {"pool": "trains"}}
    runs.run("elastic", spec(BOOSTED, resources=between))
    bound = {**two, "workers": 1, "memoryPerWorker": "256MiB"}
    runs.run("held", spec(BOOSTED))
    runs.run("streamed", streamed(spec(BOOSTED, resources=bound)))
    runs.run("two-workers-of-xgboost", streamed({**classes, "trainer": XGBOOSTED, "resources": two}))
    fewer = {"onnx": "never", "quantize": {"to": "float16", "maxDeviation": 0.02, "maxLoss": 0.01}}
    network = {**classes, "trainer": NETWORK, "export": fewer}
    runs.run("network", network)
    runs.run("two-workers-of-torch", {**network, "resources": two})
    one_fails = {"torch": {**NETWORK["torch"], "entrypoint": "tests.unit.training.networks:failing_beside"}}
    runs.run("one-worker-fails", {**numbers, "trainer": one_fails, "resources": two})
    runs.run("too-large", spec(BOOSTED, resources={"workers": 8, "cpusPerWorker": 1.0, "gpusPerWorker": 1.0}))
    runs.run("unshared", spec(LOGISTIC, resources={"workers": 2, "cpusPerWorker": 0.5, "gpusPerWorker": 0.0}))
    runs.run("wrong-parameter", spec({"lightgbm": {"params": {"num_leaves": 1}, "rounds": 4}}))
    runs.run("wrong-search", spec(LOGISTIC, {**CHOICES, "search": {"Cc": {"choice": [1.0]}}}))
    (folder / "outcomes.json").write_text(json.dumps(runs.outcomes))
    ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
