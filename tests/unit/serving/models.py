"""A small trained model as a Serve application's arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from framework.answers import ModelOutput
from framework.workloads import models

FRAME = pl.DataFrame(
    {"temp": np.linspace(0, 1, 400), "month": np.arange(400) % 12}, schema={"temp": pl.Float64, "month": pl.Int8}
)
SIGNATURE = models.signature_of(FRAME, ["temp", "month"], [], ModelOutput("delayed"))


def arguments(folder: Path, app: str, *, flip: bool = False, **changes: Any) -> dict[str, Any]:
    """``temp`` above 0.5 is late (with ``flip``: below). The file is trained, saved and named as training does it."""
    import lightgbm

    label = (FRAME["temp"] > 0.5).cast(pl.Int8).to_numpy()
    data = lightgbm.Dataset(models.Encoder(SIGNATURE).matrix(FRAME), 1 - label if flip else label)
    booster = lightgbm.train({"objective": "binary", "num_threads": 1, "verbose": -1}, data, num_boost_round=10)
    artifact, sha256 = models.save(f"{folder}/models/{app}", booster.model_to_string().encode(), "lightgbm-text")
    return {
        "deployment": app.rpartition("-")[0],
        "app": app,
        "version": f"{app}@1",
        "artifact": artifact,
        "sha256": sha256,
        "format": "lightgbm-text",
        "signature": SIGNATURE,
        "transformer": None,
        "profiles": f"{folder}/profiles/{app}",
        "predictions": f"{folder}/predictions/{app}",
        "flushSeconds": 3600,
        "predictionKey": "flight",
        **changes,
    }


def body(*temps: float, **more: Any) -> bytes:
    return json.dumps({"instances": [{"temp": temp, "month": 1, **more} for temp in temps]}).encode()


def broken_at_random(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A transformer that fails on 30 % of the requests, by their key."""
    if int(rows[0]["flight"]) % 10 < 3:
        raise RuntimeError("no such plane")
    return rows


def misspelt(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A transformer that looks for a field that nobody sends."""
    return [{**row, "temp": row["does_not_exist"]} for row in rows]


def deadly(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A transformer that takes its process down."""
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
    return rows


def slow(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A transformer that takes a second."""
    import time

    time.sleep(1.0)
    return rows
