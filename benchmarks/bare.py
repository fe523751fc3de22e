"""The work of ``benchmarks.training`` without mlopsctl, as somebody who knows Ray would write it down in an hour.

python -m benchmarks.bare alone FOLDER      a fit in this process
python -m benchmarks.bare task FOLDER       the same as a task of a Ray job
python -m benchmarks.bare workers FOLDER    XGBoost on two workers of Ray Train
python -m benchmarks.bare trials FOLDER     trials of Ray Tune, and a fit of the best
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

INPUTS = 12
ROUNDS = 200
WORKER_ROUNDS = 200
TRIALS, TRIAL_ROUNDS = 16, 60
PARAMS: dict[str, Any] = {"num_leaves": 31, "learning_rate": 0.1, "min_data_in_leaf": 50}


def fit(folder: Path) -> str:
    """Read the rows, learn from the first 70 %, and give back the model's text."""
    import lightgbm
    import polars as pl

    rows = pl.read_parquet(folder / "data/rows.parquet").sort("at")
    learn = rows.head(round(rows.height * 0.7))
    x = learn.select(f"x{number}" for number in range(INPUTS)).to_numpy()
    data = lightgbm.Dataset(x, learn["late"].to_numpy())
    ours = {"objective": "binary", "verbosity": -1, "seed": 0, "num_threads": 1, "deterministic": True}
    booster = lightgbm.train({**PARAMS, **ours, "force_row_wise": True}, data, ROUNDS)
    return str(booster.model_to_string())


def alone(folder: Path) -> None:
    started = time.perf_counter()
    model = fit(folder)
    (folder / "alone.txt").write_text(model)
    print(json.dumps({"seconds": time.perf_counter() - started}))


def task(folder: Path) -> None:
    import ray

    ray.init(address="auto", log_to_driver=False, logging_level="warning")
    remote: Any = ray.remote(num_cpus=1)(fit)
    (folder / "task.txt").write_text(ray.get(remote.remote(folder)))


def _learned(folder: Path) -> tuple[Any, Any, Any, Any]:
    """x and y of the first 70 %, and of the 15 % after them."""
    import polars as pl

    rows = pl.read_parquet(folder / "data/rows.parquet").sort("at")
    first, second = round(rows.height * 0.7), round(rows.height * 0.85)
    parts = rows[:first], rows[first:second]
    names = [f"x{number}" for number in range(INPUTS)]
    (x, y), (vx, vy) = ((part.select(names).to_numpy(), part["late"].to_numpy()) for part in parts)
    return x, y, vx, vy


def workers(folder: Path) -> None:
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.xgboost import XGBoostTrainer

    ray.init(address="auto", log_to_driver=False, logging_level="warning")

    def loop() -> None:
        import tempfile

        import ray.train
        import xgboost

        world = ray.train.get_context()
        rank, size = world.get_world_rank(), world.get_world_size()
        x, y, vx, vy = _learned(folder)
        data, validation = xgboost.DMatrix(x[rank::size], y[rank::size]), xgboost.DMatrix(vx, vy)
        params = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "nthread": 1, "eval_metric": "auc"}
        booster = xgboost.train(params, data, WORKER_ROUNDS, evals=[(validation, "v")], verbose_eval=False)
        with tempfile.TemporaryDirectory() as place:
            booster.save_model(f"{place}/model.ubj")
            kept = ray.train.Checkpoint.from_directory(place) if rank == 0 else None
            ray.train.report({"rounds": WORKER_ROUNDS}, checkpoint=kept)

    result = XGBoostTrainer(
        loop,
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(name=f"bare-{time.time_ns()}", storage_path=str(folder / ".mlops/bare")),
    ).fit()
    if result.checkpoint is None:
        raise SystemExit("no model")


def trials(folder: Path) -> None:
    import lightgbm
    import ray
    from ray import tune
    from sklearn.metrics import roc_auc_score

    ray.init(address="auto", log_to_driver=False, logging_level="warning")
    fixed = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 50}

    def trial(params: dict[str, Any], data: Any) -> None:
        x, y, vx, vy = data
        booster = lightgbm.train({**fixed, **params}, lightgbm.Dataset(x, y), TRIAL_ROUNDS)
        tune.report({"auc": roc_auc_score(vy, booster.predict(vx))})

    data = _learned(folder)
    found = tune.Tuner(
        tune.with_resources(tune.with_parameters(trial, data=data), {"CPU": 1}),
        param_space={"learning_rate": tune.uniform(0.05, 0.2), "num_leaves": tune.randint(15, 32)},
        tune_config=tune.TuneConfig(
            metric="auc", mode="max", num_samples=TRIALS, max_concurrent_trials=2, reuse_actors=True
        ),
        run_config=tune.RunConfig(name=f"bare-{time.time_ns()}", storage_path=str(folder / ".mlops/bare"), verbose=0),
    ).fit()
    best = found.get_best_result().config or {}
    booster = lightgbm.train({**fixed, **best}, lightgbm.Dataset(data[0], data[1]), TRIAL_ROUNDS)
    booster.save_model(folder / "trials.txt")


if __name__ == "__main__":
    {"alone": alone, "task": task, "workers": workers, "trials": trials}[sys.argv[1]](Path(sys.argv[2]))
