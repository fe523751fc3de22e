"""The fit of ``benchmarks.training`` without mlopsctl: alone in a process, and as a Ray task of a Ray job.

python -m benchmarks.bare alone FOLDER
python -m benchmarks.bare task FOLDER
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

INPUTS = 12
ROUNDS = 200
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


if __name__ == "__main__":
    {"alone": alone, "task": task}[sys.argv[1]](Path(sys.argv[2]))
