"""Memory of a worker that learns from 10,000,000 rows under a bound, in processes of their own, without Ray.

python -m benchmarks.rows write|place|fit FOLDER
"""

from __future__ import annotations

import json
import pickle
import sys
import time
import warnings
from pathlib import Path
from typing import Any

ROWS, INPUTS, ROUNDS = 10_000_000, 12, 10
BOUND = "1GiB"
"""``resources.memoryPerWorker``. The rows that are learned from take 640 MiB as a matrix."""
NAMES = [f"x{number}" for number in range(INPUTS)]
COLUMNS = [("id", "Int64"), ("at", "Datetime"), ("late", "Int8"), *((name, "Float64") for name in NAMES)]


def write(folder: Path) -> dict[str, float]:
    """The table, as a FeatureView publishes it."""
    import numpy as np
    import polars as pl

    from framework.workloads.features.delta import publish

    generator = np.random.default_rng(5)
    inputs = {name: generator.normal(size=ROWS) for name in NAMES}
    late = (inputs["x0"] + inputs["x1"] * inputs["x2"] + generator.normal(size=ROWS) > 0).astype(np.int8)
    at = pl.Series(1_704_067_200_000_000 + np.arange(ROWS) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    rows = pl.DataFrame({"id": range(ROWS), "at": at, "late": late, **inputs})
    publish(str(folder / "rows"), [rows], COLUMNS, {})
    return {}


def place(folder: Path) -> dict[str, float]:
    """What a run does before it fits: the training set, its parts, and their files."""
    from framework.ports import TrainRequest
    from framework.workloads.context import RunContext
    from framework.workloads.training import train

    view = {
        "uri": str(folder / "rows"), "version": 0, "identity": "rows000000", "entities": ["id"], "timestamp": "at",
        "columns": COLUMNS,
    }  # fmt: skip
    fractions = {"train": 0.7, "validation": 0.15, "test": 0.15}
    spec = {
        "dataset": {
            "spine": "rows", "columns": NAMES, "label": "late", "window": {"from": "2024-01-01", "to": "2025-01-01"},
            "split": {"by": "time", "fractions": fractions}, "loading": "auto",
        },
        "trainer": {"lightgbm": {"params": {}, "rounds": ROUNDS}},
        "resources": {"workers": 1, "cpusPerWorker": 1, "memoryPerWorker": BOUND}, "evaluation": {},
    }  # fmt: skip
    payload = {
        "training": "fit", "identity": "i", "build": "b", "spec": spec, "seed": 1, "commit": "c0ffee0000",
        "views": {"rows": view}, "model_folder": str(folder / "model"),
    }  # fmt: skip
    context = RunContext("b", 1, payload, str(folder), str(folder / "run"), {}, lambda done, told: None)
    learned = train._prepared(context, TrainRequest.model_validate(payload), "lightgbm")
    (folder / "sent.pickle").write_bytes(pickle.dumps((learned.sent, learned.streamed)))
    return {}


def fit(folder: Path) -> dict[str, float]:
    """What the worker does."""
    from framework.workloads.training.alone import FitWorker
    from framework.workloads.training.trainer import FitSettings

    sent, streamed = pickle.loads((folder / "sent.pickle").read_bytes())
    settings = FitSettings({"num_leaves": 31}, ROUNDS, 1, stream=streamed)
    failure = FitWorker().fit(sent, "lightgbm", settings, {"every": 100, "keep": 1}, str(folder / "fit"))
    if failure is not None:
        raise SystemExit(f"{failure[0]}: {failure[1]}")
    return {"streamed": float(streamed)}


def main(kind: str, folder: Path) -> None:
    """Prints seconds, and the most bytes that the process held, libraries and mapped files included."""
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    doing: dict[str, Any] = {"write": write, "place": place, "fit": fit}
    started = time.perf_counter()
    found = doing[kind](folder)
    lines = Path("/proc/self/status").read_text().splitlines()
    most = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    print(json.dumps({**found, "seconds": time.perf_counter() - started, "most": most}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
