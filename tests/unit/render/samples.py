"""Plans, statuses and events as the demo project produces them, fixed to the second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.conditions import transition, violations
from framework.api.meta import Metadata, Ref, Strict
from framework.planning.grammar.actions import (
    Action,
    DeleteApp,
    DeleteModels,
    DeleteRoute,
    DeleteTable,
    DeployApp,
    RegisterModel,
    SendAlert,
    SetRoute,
    StopRun,
    SubmitRun,
    TakeBackWord,
    WriteReport,
)
from framework.planning.grammar.changes import Change, Desired, FieldDiff, Happening, Plan, Refusal, Status, Verb
from framework.planning.grammar.forecast import Endpoint, Forecast, Work
from framework.ports import (
    Alert,
    AppSpec,
    Capacity,
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
OLD_VIEW = Ref("FeatureView", "planes")


class Nothing(Strict):
    """Renderers never look into a spec."""


def desired(ref: Ref, identity: str, *upstream: Ref, commit: str = COMMIT) -> Desired[Any]:
    return Desired(
        ref=ref,
        metadata=Metadata(name=ref.name),
        spec=Nothing(),
        commit=commit,
        identity=identity,
        digest=f"d{identity[1:]}",
        environment="local",
        storage="/store",
        root="/project",
        upstream=dict.fromkeys(upstream, "1111111111"),
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
    DeleteModels("old-classifier", "/store/models/old-classifier"),
    WriteReport("/store/reports/delay-monitor/index.html", "delay-monitor", {"rows": 812}),
    SendAlert(ALERT, {"file": "alerts.jsonl"}),
    SendAlert(ALERT, {"webhook": {"urlFrom": {"env": "ALERT_URL"}}}),
    SendAlert(ALERT, {"webhook": {"urlFrom": {"file": "/run/secrets/alert-url"}}}),
    SendAlert(ALERT, {"webhook": {"url": "https://alerts.example.org/ml/team"}}),
    TakeBackWord(Word(subject="rollout/delay", verb="promote", actor="ada", time=NOW)),
)


# ------------------------------------------------------------------- plans


def change(ref: Ref, verb: Verb, reason: str = "because", **more: Any) -> Change:
    category = more.pop("category", Category.NOOP)
    return Change(ref, verb, category, reason, more.pop("status", None), **more)


def plan(*changes: Change) -> Plan:
    return Plan("local", COMMIT, "5a5a5a5a5a", "0b0b0b0b0b", changes, NOW)


SQL_BEFORE = "SELECT origin, time_hour AS observed, temp\nFROM weather\n"
SQL_AFTER = "SELECT origin, time_hour AS observed, temp, humid\nFROM weather\nWHERE temp IS NOT NULL\n"

MIXED = plan(
    change(
        DEPARTURES,
        Verb.NOOP,
        "336,776 rows in version 0 of 1a1a1a1a1a",
        status=status("1a1a1a1a1a", "Published", summary="336,776 rows, version 0"),
    ),
    change(
        WEATHER,
        Verb.UPDATE,
        "the transform changed",
        category=Category.MATERIALIZE,
        status=status("2b2b2b2b2b", "Materializing", reconciling=True),
        diffs=(
            FieldDiff("expectations", None, [{"column": "humid", "between": [0, 100]}], Category.MATERIALIZE),
            FieldDiff("transform.sql", SQL_BEFORE, SQL_AFTER, Category.MATERIALIZE),
        ),
        actions=(SubmitRun(RunSpec("features-weather-hourly-2b2b2b2b2b", 1, "w:run", {}, "/store", "materialize")),),
        inventory=frozenset({"/store/features/weather-hourly/2b2b2b2b2b", "/store/features/weather-hourly/0"}),
        requeue_after=timedelta(seconds=0.5),
        happenings=(Happening("MaterializationStarted", "attempt 1", {"attempt": 1}),),
    ),
    change(
        TRAINING,
        Verb.WAIT,
        "FeatureView/weather-hourly comes first: its new version is not published yet, and a model must not be trained "
        "on the columns of the old one",
        category=Category.RETRAIN,
        status=status("aa11bb22cc", "WaitsForUpstream", reconciling=True),
        diffs=(FieldDiff("tune.trials", 4, 8, Category.RETRAIN),),
        requeue_after=timedelta(seconds=30),
        waits_for=(WEATHER, DEPARTURES),
    ),
    change(
        DEPLOYMENT,
        Verb.REPLACE,
        "aa11bb22cc passed its gates",
        category=Category.REDEPLOY,
        status=status("5e6f7a8b9c", "RollingOut", reconciling=True),
        diffs=(FieldDiff("serving.transformer", "examples.flights.serving:tidy", None, Category.REDEPLOY),),
        actions=(DeployApp(APP), SetRoute(ROUTE)),
    ),
    change(
        MONITOR,
        Verb.CREATE,
        "watches delay",
        category=Category.RELOAD,
        status=status("6c6c6c6c6c", "WaitsForTraffic", ready=False, reconciling=True),
        diffs=(FieldDiff("window", None, "15s", Category.RELOAD),),
    ),
    change(
        OLD_VIEW,
        Verb.DELETE,
        "removed from git",
        category=Category.METADATA,
        actions=(DeleteTable("/store/features/planes/3333333333"),),
        happenings=(Happening("Deleted", "removed from git"),),
    ),
)
CONVERGED = plan(
    change(DEPARTURES, Verb.NOOP, status=status("1a1a1a1a1a", "Published")),
    change(TRAINING, Verb.NOOP, status=status("aa11bb22cc", "Deployable")),
)
EVERY_ACTION = plan(change(DEPLOYMENT, Verb.UPDATE, category=Category.REDEPLOY, actions=ACTIONS))
ODD_DURATION = plan(change(DEPLOYMENT, Verb.WAIT, requeue_after=timedelta(days=3, microseconds=1)))
FORECAST = Forecast(
    endpoints=(
        Endpoint(DEPLOYMENT, "/delay", 0.824, 10),
        Endpoint(Ref("ModelDeployment", "carrier-ranking"), "/ranking", 0.004, 100),
        Endpoint(Ref("ModelDeployment", "new"), "/new", None, 100),
    ),
    work=(
        Work(WEATHER, "materialise", 1, 185.0, "median of 5 runs"),
        Work(TRAINING, "train", 2, 5400.0, "its only run", cpus=4.0, gpus=2.0),
        Work(DEPLOYMENT, "roll out", 3, None, "waits for a person", cpus=0.5),
        Work(Ref("ModelDeployment", "new"), "roll out", 3, 0.0, "nothing serves yet"),
    ),
    seconds=None,
    gpu_hours=3.0,
    extra_gpus=2.0,
    extra_cpus=4.0,
    capacity=Capacity({"CPU": 16.0, "GPU": 2.0}, {"CPU": 12.5, "GPU": 1.0}),
    lacking=("2 GPUs at the peak, of which 1 of 2 are free now",),
)
REFUSED = replace(
    MIXED,
    base=OLD_COMMIT,
    forecast=FORECAST,
    refusals=(
        Refusal(
            WEATHER,
            "BreakingNotAcknowledged",
            "removes column humid (Float64), which TrainingJob/delay-classifier uses. If that is meant, add the "
            'annotation mlops/acknowledge-breaking: "1234567890" to its metadata in mlops_specs/weather.yaml.',
        ),
        Refusal(OLD_VIEW, "DeniedByPolicy", "nothing goes in December (a policy denies Delete of FeatureView)"),
    ),
    changes=tuple(
        replace(item, category=Category.BREAKING)
        if item.ref == WEATHER
        else replace(item, causes=(WEATHER, DEPARTURES))
        if item.ref == TRAINING
        else replace(item, causes=(TRAINING,))
        if item.ref == DEPLOYMENT
        else item
        for item in MIXED.changes
    ),
)
COMPARED = replace(
    CONVERGED,
    observation_digest="",
    base=OLD_COMMIT,
    unseen=("which commit is in force", "what is on record, of which too much may go"),
    changes=(
        change(
            TRAINING,
            Verb.UPDATE,
            "because FeatureView/departures changes",
            category=Category.RETRAIN,
            causes=(DEPARTURES,),
        ),
    ),
    forecast=Forecast(
        work=(Work(TRAINING, "train", 1, 95.0, "median of 3 runs of other TrainingJobs", cpus=1.0),),
        seconds=95.0,
        gpu_hours=0.0,
        extra_cpus=1.0,
        capacity=Capacity({"CPU": 16.0, "GPU": 0.0}, {"CPU": 12.5, "GPU": 0.0}),
    ),
)
PLANS: Mapping[str, Plan] = {
    "refused": REFUSED,
    "compared": COMPARED,
    "mixed": MIXED,
    "converged": CONVERGED,
    "every action": EVERY_ACTION,
    "odd duration": ODD_DURATION,
    "empty": plan(),
}


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

DESIRED: Mapping[Ref, Desired[Any]] = {
    DEPARTURES: desired(DEPARTURES, "1a1a1a1a1a"),
    WEATHER: desired(WEATHER, "2b2b2b2b2b"),
    TRAINING: desired(TRAINING, "aa11bb22cc", DEPARTURES, WEATHER),
    DEPLOYMENT: desired(DEPLOYMENT, "5e6f7a8b9c", TRAINING),
    MONITOR: desired(MONITOR, "6c6c6c6c6c", DEPLOYMENT, DEPARTURES),
}
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
