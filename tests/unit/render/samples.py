"""Specs, actions, statuses and events as the demo project produces them, fixed to the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from framework.api.conditions import transition, violations
from framework.api.meta import Metadata, Ref, Strict
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.actions import (
    Action,
    DeleteApp,
    DeleteModels,
    DeleteRoute,
    DeleteTable,
    DeployApp,
    DropOnline,
    Propose,
    RegisterModel,
    SendAlert,
    SetRoute,
    StopRun,
    SubmitRun,
    TakeBackWord,
    WriteReport,
)
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.snapshot import Snapshot
from framework.ports import (
    Alert,
    AppSpec,
    CodeRef,
    Event,
    ModelVersion,
    Record,
    Revision,
    RouteSpec,
    RunSpec,
    Word,
)
from tests.builders import app_arguments

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMMIT, OLD_COMMIT = "4f1c2a90b7d35e68a1c4f0e2d9b8c7a6f5e4d3c2", "0a9b8c7d6e5f40312233445566778899aabbccdd"

DEPARTURES = Ref("FeatureView", "departures")
WEATHER = Ref("FeatureView", "weather-hourly")
TRAINING = Ref("TrainingJob", "delay-classifier")
DEPLOYMENT = Ref("ModelDeployment", "delay")
MONITOR = Ref("ModelMonitor", "delay-monitor")
RANKING, NEW = Ref("ModelDeployment", "carrier-ranking"), Ref("ModelDeployment", "new")
OLD_VIEW = Ref("FeatureView", "planes")


class Nothing(Strict):
    """What statuses and reasons never look into."""


def desired(
    ref: Ref, identity: str, *upstream: Ref, commit: str = COMMIT, spec: Mapping[str, Any] | None = None
) -> Desired[Any]:
    return Desired(
        ref=ref,
        metadata=Metadata(name=ref.name),
        spec=Nothing() if spec is None else KINDS[ref.kind].spec.model_validate(spec),
        commit=commit,
        identity=identity,
        recipe=identity,
        digest=f"d{identity[1:]}",
        environment="local",
        storage="/store",
        root="/project",
        upstream=dict.fromkeys(upstream, "1111111111"),
        file=f"mlops_specs/{ref.name}.yaml",
    )


def status(
    identity: str,
    reason: str,
    message: str = "",
    *,
    ready: bool = True,
    reconciling: bool = False,
    stalled: bool = False,
    since: timedelta = timedelta(minutes=5),
    summary: str = "",
    commit: str = COMMIT,
    digest: str | None = None,
) -> Status:
    conditions = transition(
        None, NOW - since, ready=ready, reconciling=reconciling, stalled=stalled, reason=reason, message=message
    )
    assert violations(conditions) == []
    return Status(
        commit=commit, identity=identity, digest=digest or f"d{identity[1:]}", conditions=conditions, summary=summary
    )


def record(ref: Ref, found: Status, *upstream: Ref) -> Record:
    return Record(ref=ref, status=found.model_dump(mode="json"), upstream=upstream, version=1)


# ------------------------------------------------------------------- actions

RUN = RunSpec(
    name="train-delay-classifier-aa11bb22cc",
    attempt=1,
    workload="framework.workloads.training.train:run",
    payload={"training": "delay-classifier", "seed": 7, "champion": None},
    storage="/store",
    title="8 trials of lightgbm",
    metadata={"commit": COMMIT},
    code=CodeRef(COMMIT, "examples/flights", "9e107d9d372bb6826bd81d3542a419d6c2f3a1b0"),
    timeout_seconds=600.0,
)
APP = AppSpec(
    name="delay-5e6f7a8b9c",
    deployment="delay",
    arguments=app_arguments("delay-5e6f7a8b9c", "aa11bb22cc", transformer="examples.flights.serving:tidy"),
    min_replicas=1,
    max_replicas=4,
)
VERSION = ModelVersion(
    training="delay-classifier",
    version="aa11bb22cc",
    commit=COMMIT,
    created=NOW,
    artifact="/store/models/delay-classifier/aa11bb22cc/model.txt",
    sha256="0" * 64,
    format="lightgbm-text",
    signature={"inputs": [], "output": {"name": "delayed", "kind": "probability"}},
    profile="/store/models/delay-classifier/aa11bb22cc/profile",
    metrics={"auc": 0.7123},
    parameters={"num_leaves": 15},
    lineage={"views": {"departures": 0}},
    deployable=True,
)
ROUTE = RouteSpec(
    deployment="delay",
    route="/delay",
    weights={"delay-1d2e3f4a5b": 90, "delay-5e6f7a8b9c": 10, "delay-0000000000": 0},
    stable="delay-1d2e3f4a5b",
    generation=3,
    match_header=("x-canary", "always"),
)
ALERT = Alert(
    monitor="delay-monitor",
    episode="drift-1",
    state="firing",
    title="temp and humid have drifted",
    evidence={"psi": {"temp": 0.31, "humid": 0.27}},
    report="/store/reports/delay-monitor/index.html",
    time=NOW,
)


def _again(run: RunSpec) -> RunSpec:
    return RunSpec(**{**vars(run), "attempt": 2})


_TRAINING = "TrainingJob/delay-classifier"
ACTIONS: tuple[Action, ...] = (
    SubmitRun(RUN),
    SubmitRun(_again(RUN)),
    StopRun("/store", RUN.name),
    RegisterModel(VERSION),
    RegisterModel(VERSION.model_copy(update={"deployable": False})),
    DeployApp(APP),
    DeployApp(AppSpec("delay-1d2e3f4a5b", "delay", app_arguments("delay-1d2e3f4a5b"), gpus=1.0, cpus=2.0)),
    DeleteApp("delay-1d2e3f4a5b"),
    SetRoute(ROUTE),
    DeleteRoute("delay"),
    DeleteTable("/store/features/planes/3333333333"),
    DropOnline("carrier-delays"),
    DeleteModels("old-classifier", "/store/models/old-classifier"),
    WriteReport("/store/reports/delay-monitor/index.html", "delay-monitor", {"rows": 812}),
    SendAlert(ALERT, {"file": "alerts.jsonl"}),
    SendAlert(ALERT, {"webhook": {"urlFrom": {"env": "ALERT_URL"}}}),
    SendAlert(ALERT, {"webhook": {"urlFrom": {"file": "/run/secrets/alert-url"}}}),
    SendAlert(ALERT, {"webhook": {"url": "https://alerts.example.org/ml/team"}}),
    Propose(_TRAINING, "mlops_specs/job.yaml", "dataset.refresh", 2, 0, 3, "a" * 40, "", "m", "retraining:x"),
    Propose(_TRAINING, "mlops_specs/job.yaml", "dataset.refresh", 2, 0, 3, "a" * 40, "mlopsctl/b", "m", "retraining:x"),
    TakeBackWord(Word(subject="rollout/delay", verb="promote", actor="ada", time=NOW)),
)


# ------------------------------------------------------------------- what git asks for

SQL_BEFORE = "SELECT origin, time_hour AS observed, temp\nFROM weather\n"
SQL_AFTER = "SELECT origin, time_hour AS observed, temp, humid\nFROM weather\nWHERE temp IS NOT NULL\n"


def view(*columns: str, **more: Any) -> dict[str, Any]:
    dtypes = {"origin": "String", "observed": "Datetime"}
    return {
        "entities": ["origin"],
        "timestamp": "observed",
        "sources": {"weather": {"format": "csv", "path": "data/weather.csv"}},
        "columns": [{"name": name, "dtype": dtypes.get(name, "Float64")} for name in ("origin", "observed", *columns)],
        **more,
    }


def training(trials: int) -> dict[str, Any]:
    return {
        "dataset": {
            "spine": "departures",
            "features": [{"view": "weather-hourly", "columns": ["humid"]}],
            "label": "delayed",
            "window": {"from": "2013-01-01", "to": "2013-04-01"},
            "split": {"fractions": {"train": 0.6, "validation": 0.2, "test": 0.2}},
        },
        "trainer": {"lightgbm": {"rounds": 50}},
        "tune": {"trials": trials, "search": {"num_leaves": {"choice": [15, 31]}}},
        "evaluation": {"gates": [{"metric": "auc", "min": 0.6}]},
        "resources": {"cpusPerWorker": 4, "gpusPerWorker": 2},
    }


def serving(route: str, strategy: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "model": {"training": "delay-classifier"},
        "serving": {"route": route, **more},
        "strategy": strategy,
    }


CANARY = {
    "canary": {
        "steps": [{"setWeight": 10}, {"pause": {}}, {"setWeight": 100}],
        "analysis": [{"metric": "error_rate", "maxIncrease": 0.02}],
    }
}
WATCH = {"deployment": "delay", "window": "15s", "quality": {"maxNullRate": 0.1}}
EXPECTED = [{"column": "humid", "between": [0, 100]}]
DESIRED: Mapping[Ref, Desired[Any]] = {
    DEPARTURES: desired(DEPARTURES, "1a1a1a1a1a", spec=view("delayed")),
    WEATHER: desired(
        WEATHER, "2b2b2b2b2b",
        spec=view("temp", "humid", transform={"sql": SQL_AFTER}, expectations=EXPECTED),
    ),
    TRAINING: desired(TRAINING, "aa11bb22cc", DEPARTURES, WEATHER, spec=training(8)),
    DEPLOYMENT: desired(DEPLOYMENT, "5e6f7a8b9c", TRAINING, spec=serving("/delay", CANARY)),
    MONITOR: desired(MONITOR, "6c6c6c6c6c", DEPLOYMENT, DEPARTURES, spec=WATCH),
}  # fmt: skip


def snapshot(commit: str, digest: str, *asked: Desired[Any]) -> Snapshot[Any]:
    """``asked`` with the identities of what each is built from."""
    found = {one.ref: one for one in asked}
    wired = {
        one.ref: replace(one, upstream={ref: found[ref].identity for ref in one.upstream if ref in found})
        for one in asked
    }
    return Snapshot(commit, digest, wired, EnvironmentSpec())


BEFORE = snapshot(
    OLD_COMMIT,
    "4a4a4a4a4a",
    desired(OLD_VIEW, "3333333333", spec=view("seats")),
    DESIRED[DEPARTURES],
    desired(WEATHER, "2222222222", spec=view("temp", "humid", transform={"sql": SQL_BEFORE})),
    desired(TRAINING, "aa00bb00cc", DEPARTURES, WEATHER, spec=training(4)),
    desired(
        DEPLOYMENT, "1d2e3f4a5b", TRAINING,
        spec=serving("/delay", CANARY, transformer="examples.flights.serving:tidy"),
    ),
    desired(RANKING, "7d7d7d7d7d", spec=serving("/ranking", {"recreate": {}})),
)  # fmt: skip
AFTER = snapshot(COMMIT, "5a5a5a5a5a", *DESIRED.values(), BEFORE.desired[RANKING])
BROKEN = snapshot(
    COMMIT,
    "6a6a6a6a6a",
    *AFTER.desired.values(),
    desired(WEATHER, "2b2b2b2b2c", spec=view("temp", transform={"sql": SQL_AFTER})),
    desired(NEW, "8e8e8e8e8e", TRAINING, spec=serving("/new", CANARY)),
)
"""With a view that no longer has a column which a training job uses, and one deployment more."""


# ------------------------------------------------------------------- an environment

TRACEBACK = (
    """the deployment failed to start 3 times in a row
Traceback (most recent call last):
  File "replica.py", line 1210, in initialize
    await self._user_callable_wrapper.initialize_callable()
  File "serving.py", line 26, in enrich
    return [{**row, "plane_age": 2013 - row["plane_year"]} for row in tidy(rows)]
"""
    + '  File "deep.py", line 1, in deeper\n' * 20
    + "KeyError: 'plane_year'\n"
)

RECORDS = (
    record(DEPARTURES, status("1a1a1a1a1a", "Published", summary="336,776 rows, version 0", since=timedelta(days=2))),
    record(
        WEATHER,
        status(
            "2b2b2b2b2b",
            "ExpectationFailed",
            "humid between 0 and 100: 61 of 26,115 rows (0.234 %) fail, tolerated are 0 %",
            stalled=True,
            summary="26,115 rows, version 0",
            since=timedelta(minutes=3),
        ),
    ),
    record(
        TRAINING,
        status(
            "aa11bb22cc",
            "WaitsForUpstream",
            "waits for FeatureView/weather-hourly",
            reconciling=True,
            since=timedelta(minutes=3),
        ),
        DEPARTURES,
        WEATHER,
    ),
    record(
        DEPLOYMENT,
        status(
            "1d2e3f4a5b",
            "Promoted",
            commit=OLD_COMMIT,
            summary="100 % on 1d2e3f4a5b",
            since=timedelta(hours=5),
        ),
        TRAINING,
    ),
    record(OLD_VIEW, status("3333333333", "Published", commit=OLD_COMMIT, summary="3,322 rows, version 0")),
)
REVISIONS = (
    Revision(
        commit="bad0bad0bad0bad0bad0bad0bad0bad0bad0bad0",
        digest="",
        accepted=False,
        time=NOW,
        problems=(
            "mlops_specs/deployments/delay.yaml:9:11: error: spec.model.training: no TrainingJob named 'delays'",
            "mlops_specs/features/arrivals.yaml:3:1: error: kin: unknown field; did you mean 'kind'?",
        ),
    ),
    Revision(
        commit=COMMIT, digest="5a5a5a5a5a", accepted=True, time=NOW, subject="Train boosted trees on weather and delays"
    ),
)
EVENTS = (
    Event(sequence=1, time=NOW, commit=COMMIT, ref=None, reason="RevisionAccepted", message="Train boosted trees"),
    Event(
        sequence=2,
        time=NOW + timedelta(seconds=61),
        commit=COMMIT,
        ref=WEATHER,
        reason="ExpectationFailed",
        message="humid between 0 and 100:\n61 of 26,115 rows fail",
        data={"failing": 61, "rows": 26115},
        actor="laptop:12",
    ),
    Event(
        sequence=3,
        time=NOW + timedelta(hours=1),
        commit=COMMIT,
        ref=DEPLOYMENT,
        reason="CandidateRejected",
        message=TRACEBACK,
        actor="laptop:12",
    ),
)
