"""One mistake in a valid project gives one problem: at its place, in plain words, with what was likely meant."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from framework.api.errors import SpecError
from framework.kinds import KINDS
from tests.unit.specs.conftest import Project

VIEW, WEATHER, JOB = "features/trips.yaml", "features/weather.yaml", "training/late.yaml"
DEPLOYMENT, ENVIRONMENT, BATCH = "deployments/late.yaml", "environments/local.yaml", "batch/nightly.yaml"
MONITOR = "monitors/late.yaml"
RAW = "spec: {storage: .mlops/store}"


class Mistake(NamedTuple):
    file: str
    old: str
    new: str
    place: str
    path: str
    says: str
    meant: str | None = None
    allowed: str | None = None


MISTAKES = [
    # -- the envelope
    Mistake(WEATHER, "mlops/v1alpha1", "mlops/v1", "1:13", "apiVersion", "expected mlops/v1alpha1", "mlops/v1alpha1"),
    Mistake(ENVIRONMENT, "Environment", "Enviroment", "2:7", "kind", "unknown kind 'Enviroment'", "Environment",
        "FeatureView"),
    Mistake(VIEW, "{name: trips}", "{name: trips, onwer: x}", "3:25", "metadata.onwer", "unknown key 'onwer'", "owner",
        "labels"),
    Mistake(DEPLOYMENT, "{name: late}", "{name: Late_Model}", "3:18", "metadata.name", "is not a name", "late-model"),
    Mistake(DEPLOYMENT, "{name: late}", "{name: " + "x" * 48 + "}", "3:18", "metadata.name",
        "has 48 characters; at most 47 are allowed"),
    Mistake(DEPLOYMENT, "{name: late}", "late", "3:11", "metadata", "expected a mapping, found the text 'late'"),
    Mistake(VIEW, "spec:", "spce:", "4:1", "spce", "unknown key 'spce'", "spec"),
    Mistake(DEPLOYMENT, "metadata: {name: late}\n", "", "1:1", "metadata", "is missing"),
    # -- FeatureView
    Mistake(VIEW, "  entities: [trip]\n", "", "4:1", "spec.entities",
        "is missing; expected a list of texts: The key columns"),
    Mistake(VIEW, "[trip]\n  t", "[]\n  t", "5:3", "spec.entities", "must hold at least 1 item, found none"),
    Mistake(VIEW, "entities:", "entity:", "5:3", "spec.entity", "unknown key 'entity'", "entities", "timestamp"),
    Mistake(VIEW, "entities: [trip]", "entities: trip", "5:13", "spec.entities",
        "expected a list of texts, found the text 'trip'"),
    Mistake(VIEW, "Int64", "int64", "11:27", "spec.columns[0].dtype", "'int64' is not allowed here", "Int64",
        "Datetime"),
    Mistake(VIEW, "format: csv, ", "", "8:5", "spec.sources.raw", "path needs a format"),
    Mistake(VIEW, "pa", "pth: a, pa", "8:24", "spec.sources.raw.pth", "unknown key 'pth'", "path", "options"),
    Mistake(VIEW, "{unique: [trip]}", "{column: late, between: [0]}", "15:22", "spec.expectations[0].between",
        "a list of 2 numbers, found 1 item"),
    Mistake(VIEW, "{unique: [trip]}", "{column: late, between: [0, a]}", "15:35", "spec.expectations[0].between[1]",
        "expected a number, found the text 'a'"),
    Mistake(VIEW, "{unique: [trip]}", "{between: [0, 1]}", "15:7", "spec.expectations[0]", "between needs column"),
    Mistake(VIEW, "{unique: [trip]}", "{column: lat, between: [0, 1]}", "15:16", "spec.expectations[0].column",
        "no column 'lat' is declared", "late", "late"),
    Mistake(VIEW, "{unique: [trip]}", "{unique: [trip], tolerance: 1.5}", "15:35", "spec.expectations[0].tolerance",
        "must be at most 1, found 1.5"),
    Mistake(VIEW, "{unique: [trip]}", "{freshness: 5 minutes}", "15:19", "spec.expectations[0].freshness",
        "is not a duration", "5m"),
    Mistake(VIEW, "features:trips", "features.trips", "9:25", "spec.transform.function",
        "write package.module:attribute"),
    # -- Environment
    Mistake(ENVIRONMENT, RAW, 'spec: {tracking: ""}', "4:18", "spec.tracking", "must not be empty"),
    Mistake(ENVIRONMENT, RAW, 'spec: {ray: {address: kuberay, kuberay: {namespace: " ", image: ray}}}', "4:53",
        "spec.ray.kuberay.namespace", "' ' is blank"),
    # -- TrainingJob
    Mistake(JOB, "columns: [rain]", "columns: al", "8:34", "spec.dataset.features[0].columns",
        "expected a list of texts, or 'all'", "all", "all"),
    Mistake(JOB, "label: late", "label: lat", "9:12", "spec.dataset.label", "FeatureView/trips has no column 'lat'",
        "late", "late"),
    Mistake(JOB, "[rain]", "[rain, hail]", "8:41", "spec.dataset.features[0].columns[1]",
        "FeatureView/weather has no column 'hail'", None, "rain"),
    Mistake(JOB, "2013-04-01", "2012-04-01", "10:5", "spec.dataset.window", "from must be before to"),
    Mistake(JOB, "2013-01-01", "2013-1-1", "10:20", "spec.dataset.window.from", "expected a date such as 2013-01-31"),
    Mistake(JOB, "test: 0.15", "test: 0.2", "11:23", "spec.dataset.split.fractions", "must add up to 1"),
    Mistake(JOB, "lightgbm", "ligthgbm", "13:5", "spec.trainer.ligthgbm", "unknown key", "lightgbm", "sklearn"),
    Mistake(JOB, "    lightgbm", "    sklearn: {estimator: sklearn.a.B}\n    lightgbm", "12:3", "spec.trainer",
        "exactly one of sklearn, xgboost, lightgbm, torch, function is needed, found sklearn and lightgbm"),
    Mistake(JOB, "rounds: 20", 'rounds: "20"', "13:48", "spec.trainer.lightgbm.rounds",
        "found the text '20'; take the quotes away"),
    Mistake(JOB, "rounds: 20", "rounds: 2.5", "13:48", "spec.trainer.lightgbm.rounds",
        "expected a whole number, found the number 2.5"),
    Mistake(JOB, "rounds: 20", "rounds: 0", "13:48", "spec.trainer.lightgbm.rounds", "must be at least 1, found 0"),
    Mistake(JOB, "timeout: 1h", "timeout: 30", "14:12", "spec.timeout", "30 is not a duration", "30s"),
    Mistake(JOB, "to: 2013-04-01", "to: 9999-12-31", "10:36", "spec.dataset.window.to", "must be at most 2200-01-01"),
    Mistake(JOB, "timeout: 1h", "timeout: 0s", "14:12", "spec.timeout", "must be longer than nothing"),
    Mistake(JOB, "timeout: 1h", "timeout: 99999999999d", "14:12", "spec.timeout", "is longer than 36500d, a century"),
    Mistake(JOB, "timeout: 1h", "timeout: 99999999999 days", "14:12", "spec.timeout", "is not a duration"),
    Mistake(JOB, "timeout: 1h", "timeout: 0.00001ms", "14:12", "spec.timeout", "is shorter than a microsecond"),
    Mistake(JOB, "timeout: 1h", "gates: []", "14:3", "spec.gates",
        "unknown key 'gates' here; it belongs to spec.evaluation", None, "evaluation"),
    Mistake(JOB, "timeout: 1h", "owner: me", "14:3", "spec.owner", "it belongs to metadata"),
    Mistake(JOB, "timeout: 1h", "deletion: true", "14:13", "spec.deletion", "expected one of keep, delete, found true",
        None, "keep"),
    # -- ModelDeployment
    Mistake(DEPLOYMENT, "    canary:", "    recreate: {}\n    canary:", "9:3", "spec.strategy",
        "exactly one of canary, blueGreen, shadow, abTest, recreate is needed, found canary and recreate"),
    Mistake(DEPLOYMENT, "route: /late", "route: late", "7:12", "spec.serving.route", "'late' is no route", "/late"),
    Mistake(DEPLOYMENT, "setWeight: 100", "setWeight: 90", "10:5", "spec.strategy.canary",
        "the last setWeight must be 100"),
    Mistake(DEPLOYMENT, "setWeight: 10}", "setWeight: 110}", "11:27", "spec.strategy.canary.steps[0].setWeight",
        "must be at most 100, found 110"),
    Mistake(DEPLOYMENT, "{setWeight: 10}", "{setweight: 10}", "11:16", "spec.strategy.canary.steps[0].setweight",
        "unknown key", "setWeight", "pause"),
    Mistake(DEPLOYMENT, "{setWeight: 10}", "{setWeight: 10, pause: {}}", "11:15", "spec.strategy.canary.steps[0]",
        "found setWeight and pause"),
    Mistake(DEPLOYMENT, "error_rate", "error-rate", "12:27", "spec.strategy.canary.analysis[0].metric",
        "is not allowed here", "error_rate", "custom"),
    Mistake(DEPLOYMENT, "{setWeight: 10}, ", "", "11:16", "spec.strategy.canary.steps[0].analyze",
        "the candidate has no traffic here"),
    Mistake(DEPLOYMENT, "{analyze: {for: 1m}}, ", "", "12:7", "spec.strategy.canary.analysis",
        "nothing of it is ever looked at"),
    Mistake(DEPLOYMENT, "min: 1", "min: 3", "8:5", "spec.serving.replicas", "min must not exceed max"),
    # -- Environment
    Mistake(ENVIRONMENT, RAW, "spec: {suspend: 'yes'}", "4:17", "spec.suspend",
        "expected true or false, found the text 'yes'", "true"),
    Mistake(ENVIRONMENT, RAW, "spec: {storage: 7}", "4:17", "spec.storage",
        "expected text, found the number 7; quote it"),
    Mistake(ENVIRONMENT, RAW, "spec: {storage: }", "4:17", "spec.storage", "is empty; expected text"),
    Mistake(ENVIRONMENT, RAW, "spec:", "4:6", "spec", "expected a mapping, found nothing"),
    # -- ModelMonitor
    Mistake(MONITOR, "deployment: late", "deployment: lat", "5:15", "spec.deployment",
        "no ModelDeployment named 'lat'", "late"),
    # -- BatchInference
    Mistake(BATCH, "path:", "format: csv, path:", "7:20", "spec.output.format", "'csv' is not allowed here", None,
        "parquet"),
]  # fmt: skip

MONITORED = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: late}
spec:
  deployment: late
  window: 5m
  drift: {statistic: psi}
"""


@pytest.fixture
def project(project: Project) -> Project:
    """The small project with a monitor."""
    project.write(MONITOR, MONITORED)
    return project


def of(problem: Any) -> tuple[str, str]:
    return f"{problem.file}:{problem.line}:{problem.column}", problem.path


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: f"{one.file}-{one.path}-{one.new[:20]}")
def test_a_mistake_is_told_at_its_place(project: Project, mistake: Mistake) -> None:
    project.edit(mistake.file, (mistake.old, mistake.new))
    mine = [one for one in project.check().errors if one.file == f"specs/{mistake.file}"]

    assert len(mine) == 1, project.problems()
    problem = mine[0]
    assert of(problem) == (f"specs/{mistake.file}:{mistake.place}", mistake.path)
    assert mistake.says in problem.message
    assert problem.suggestion == mistake.meant
    assert mistake.allowed is None or mistake.allowed in problem.allowed
    with pytest.raises(SpecError) as refused:
        project.snapshot()
    assert problem in refused.value.problems


def test_the_valid_project_has_no_problem(project: Project) -> None:
    """Without this every test above could pass for the wrong reason."""
    report = project.check()

    assert report.problems == ()
    assert (report.files, report.objects) == (6, 6)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_refuses_an_unknown_key_and_lists_its_own(project: Project, kind: str) -> None:
    project.write("x.yaml", f"apiVersion: mlops/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {{zzz: 1}}\n")
    (problem,) = [one for one in project.check().errors if one.path == "spec.zzz"]

    assert of(problem)[0] == "specs/x.yaml:4:8"
    assert set(problem.allowed) == {info.alias or name for name, info in KINDS[kind].spec.model_fields.items()}


def test_one_text_of_a_problem_says_it_all(project: Project) -> None:
    project.edit(JOB, ("by: time", "by: tiem"))

    assert project.problems() == [
        "training/late.yaml:11:17: error: spec.dataset.split.by: 'tiem' is not allowed here; did you mean 'time'? "
        "(allowed: time, random, stratified, group)"
    ]


def test_all_mistakes_of_all_files_are_told_at_once(project: Project) -> None:
    project.edit(VIEW, ("Int64", "int64"), ("{unique: [trip]}", "{freshness: 1}"))
    project.edit(JOB, ("timeout: 1h", "timeout: no"), ("rounds: 20", "rounds: -1"))
    project.edit(DEPLOYMENT, ("apiVersion: mlops/v1alpha1\n", ""), ("error_rate", "errors"))
    project.write("broken.yaml", "a: [\n")
    project.write("list.yaml", "- 1\n")

    assert [one.split(" error: ")[0] for one in project.problems()] == [
        "broken.yaml:2:1:",
        "deployments/late.yaml:1:1:",
        "deployments/late.yaml:11:27:",
        "features/trips.yaml:11:27:",
        "features/trips.yaml:15:19:",
        "list.yaml:1:1:",
        "training/late.yaml:13:48:",
        "training/late.yaml:14:12:",
    ]


@pytest.mark.parametrize(
    ("written", "says", "suggestion"),
    [
        ("1_000", "write 1000 if it is a number", "1000"),
        ("0b11", "write 3 if it is a number", "3"),
        ("0100", "0100 has a leading zero", None),
        ("12:30", "12:30 without quotes is a number to some YAML readers", None),
        ("yes", "yes without quotes is true to some YAML readers", "true"),
    ],
)
def test_a_word_that_readers_take_differently_is_one_mistake(
    project: Project, written: str, says: str, suggestion: str | None
) -> None:
    project.edit(DEPLOYMENT, ("route: /late", f"route: /late\n    maxQueued: {written}"))
    problem = project.the_problem()

    assert says in problem.message
    assert problem.suggestion == suggestion


def test_so_it_is_where_an_environment_patches_it_in(project: Project) -> None:
    patch = "{target: {kind: ModelDeployment}, patch: {serving: {maxQueued: 0100}}}"
    project.edit("environments/local.yaml", ("storage: .mlops/store", f"patches: [{patch}]"))

    assert "leading zero" in project.the_problem().message


def test_a_broken_object_is_no_second_mistake_of_those_that_name_it(project: Project) -> None:
    project.edit(VIEW, ("timestamp: time", "timestamp: [time]"))
    project.write(WEATHER, "apiVersion: mlops/v1alpha1\nkind: FeatureView\nmetadata: {name: weather}\nspec: {a: [\n")

    assert [one.split(":")[0] for one in project.problems()] == [VIEW, WEATHER]
