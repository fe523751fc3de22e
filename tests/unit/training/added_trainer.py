"""What becomes of a trainer that was added: it trains, registers, serves and is monitored.

    python -m tests.unit.training.added_trainer FOLDER

Run with the copy of the framework that it was added to in front of the path. Fitted in this process, without Ray.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import DeltaTable

from framework.api.meta import Ref
from framework.backends.profiles.store import Profiles
from framework.ports import LabelTable, TableState
from framework.workloads.context import RunContext
from framework.workloads.serving.model import ModelReplica
from framework.workloads.training import beforehand, train
from framework.workloads.training.trainer import FitSettings, Fitted, TrainingData
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.tables import published
from tests.unit.training.test_tasks import Reports
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, World

ROWS = 200
START = datetime(2013, 1, 1, tzinfo=UTC)
SERVING = DEPLOYMENT.replace("route: /delay", "route: /delay, profiling: {key: flight}")
LEARNS = TRAINING.replace("{lightgbm: {rounds: 50}}", "{toy: {params: {prior: 2}, shrink: 0.5}}").replace(
    "metric: auc, min: 0.6", "metric: brier, max: 0.3"
)
WATCH = """
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: delay
  window: 1m
  drift: {threshold: 0.2}
  performance: {labels: {view: arrivals, key: flight, column: delayed}}
"""


def flights() -> pl.DataFrame:
    """Every fourth is late."""
    at = pl.Series([START + timedelta(hours=hour) for hour in range(ROWS)], dtype=pl.Datetime("us", "UTC"))
    late = [hour % 4 == 0 for hour in range(ROWS)]
    return pl.DataFrame({"flight": range(ROWS), "at": at, "distance": [1.0 * n for n in range(ROWS)], "delayed": late})


def fitted(data: TrainingData, trainer: str, settings: FitSettings, *more: Any) -> Fitted:
    return Fitted(TRAINERS[trainer].fit(data, settings, Reports()), settings.rounds, ())


def trained(payload: Any, folder: Path) -> dict[str, Any]:
    """The real run, on a table on disk."""
    views = {"departures": published(folder, "departures", flights(), ["flight"], "at")}
    asked = {**payload, "views": views, "model_folder": str(folder / "model")}
    context = RunContext("run", 1, asked, str(folder), str(folder / "run"), {}, lambda done, told: None)
    train.cluster.join = lambda: None  # type: ignore[assignment]
    train.cluster.require = lambda *needed: None  # type: ignore[assignment]
    train.fit = fitted  # type: ignore[assignment]
    beforehand.load = lambda trainer: None  # which loads the library that the fit loads elsewhere, and here beside it
    return json.loads(json.dumps(dict(train.run(context))))


async def answered(arguments: dict[str, Any]) -> dict[str, Any]:
    """What the replica of the version says of all flights, which it logs."""
    replica = ModelReplica(arguments)
    try:
        rows = flights().select("flight", "distance").to_dicts()
        reply: dict[str, Any] = await replica.predict(json.dumps({"instances": rows}).encode(), "r1")
        return reply
    finally:
        replica.__del__()


def main(folder: Path) -> None:
    arrivals = DEPARTURES.replace("name: departures", "name: arrivals")
    files = {"classifier": LEARNS, "delay": SERVING, "watch": WATCH, "arrivals": arrivals}
    world = World({**PROJECT, **{f"mlops_specs/{stem}.yaml": text for stem, text in files.items()}})
    world.plane._trained = lambda payload: trained(payload, folder)  # type: ignore[method-assign, assignment]
    world.run()
    (version,) = world.ports.registry.versions(JOB.name)
    app = world.state(ENDPOINT)["stable"]["app"]
    spec = world.ports.serving._apps[app].spec
    places = {"profiles": str(folder / "profiles"), "predictions": str(folder / "predictions"), "flushSeconds": 3600.0}
    began = datetime.now(UTC) - timedelta(seconds=1)
    reply = asyncio.run(answered({**spec.arguments.to_json(), **places}))
    until = datetime.now(UTC) + timedelta(seconds=1)
    uri = str(folder / "arrivals")
    flights().select("flight", "delayed").write_delta(uri)
    labels = LabelTable(TableState(uri, DeltaTable(uri).version(), ROWS, "s", "i", "c", began), "flight", "delayed")
    profiles = Profiles()
    seen = profiles.performance(places["predictions"], labels, "brier", version.signature["output"], began, until)
    reference = profiles.reference(version.profile)
    assert reference is not None
    drift = profiles.window(places["profiles"], began, until, reference)
    found = {
        "task": version.signature["output"]["task"], "format": version.format, "parameters": version.parameters,
        "metrics": version.metrics, "deployable": version.deployable, "served": world.served(),
        "version": version.version, "answers": json.loads(reply["body"])["predictions"], "labelled": seen.labelled,
        "brier": seen.value, "profiled": sorted(drift.columns), "reference": sorted(reference.whole),
        "monitored": world.message(Ref("ModelMonitor", "watch")),
    }  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
