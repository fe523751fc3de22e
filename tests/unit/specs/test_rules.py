"""What resources demand of each other: at the exact place, with what is allowed and what was likely meant."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds import KINDS
from tests.unit.specs.conftest import FILES, Project
from tests.unit.specs.rules import BATCH, DEPLOYMENT, JOB, MONITOR, VIEW, WEATHER, Rule, project, told

__all__ = ["project"]

SCHEDULED = "retrain: {schedule: 0 3 * * 1, onDrift: [%s]}"
UNIQUE = "{unique: [trip]}"


RULES = [
    Rule(MONITOR, "window: 5m", "actions: [{on: drift, retrain: lat}]\n  window: 5m", "spec.actions[0].retrain",
        "there is no TrainingJob named 'lat'", "late", "late"),
    Rule(BATCH, "view: trips", "view: trip", "spec.input.view", "there is no FeatureView named 'trip'", "trips"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    onlineFeatures: [wether]", "spec.serving.onlineFeatures[0]",
        "there is no FeatureView named 'wether'", "weather", "trips"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    onlineFeatures: [weather]", "spec.serving.onlineFeatures[0]",
        "FeatureView/weather keeps no rows online: say online: {enabled: true} there"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    onlineFeatures: [trips]", "spec.serving.onlineFeatures[0]",
        "TrainingJob/late joins no columns of FeatureView/trips", None, "weather"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    onlineFeatures: [weather, weather]", "spec.serving",
        "onlineFeatures repeat"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    onlineMissing: refuse", "spec.serving",
        "onlineMissing belongs to onlineFeatures, and there are none"),
    # -- FeatureView
    Rule(WEATHER, "timestamp: time", "timestamp: rain", "spec.timestamp",
        "rain is Float64; an event time is a Datetime"),
    Rule(WEATHER, "path: data/weather.csv", "path: a, options: {nullValue: x}", "spec.sources.raw.options.nullValue",
        "csv has no option 'nullValue'", "nullValues", "separator"),
    *(
        Rule(WEATHER, "path: data/weather.csv", f"path: a, options: {{{option}}}",
            f"spec.sources.raw.options.{option.partition(':')[0]}", told)
        for option, told in (
            ("encoding: latin-1", "expected one of utf8, utf8-lossy, latin1, windows-1252, utf16, found 'latin-1'"),
            ("separator: ;;", "expected one ASCII character, found ';;'"),
            ("separator: é", "expected one ASCII character, found 'é'"),
            ('quoteChar: "ab"', "expected one ASCII character, or empty text for none"),
            ("hasHeader: 1", "expected true or false, found 1"),
            ("parseDates: text", "expected true or false, found 'text'"),
            ("skipRows: -1", "expected a whole number from 0 on, found -1"),
            ("skipRows: true", "expected a whole number from 0 on, found True"),
            ("inferSchemaLength: 0", "expected a whole number from 1 on, found 0"),
            ("nullValues: 3", "expected text or a list of texts, found 3"),
            ("nullValues: [NA, 3]", "expected text or a list of texts"),
            ("commentPrefix: 3", "expected text, found 3"),
        )
    ),
    Rule(VIEW, UNIQUE, "{unique: [trip, tme]}", "spec.expectations[0].unique[1]", "no column 'tme' is declared",
        "time"),
    Rule(VIEW, UNIQUE, "{column: time, between: [0, 1]}", "spec.expectations[0].between", "between needs a number"),
    Rule(VIEW, UNIQUE, "{column: time, quantile: {q: 0.5, min: 0}}", "spec.expectations[0].quantile", "needs a number"),
    Rule(VIEW, UNIQUE, "{column: late, matches: x}", "spec.expectations[0].matches",
        "late is Int8; matches needs a String"),
    Rule(VIEW, UNIQUE, "{column: late, oneOf: [0, yes-no]}", "spec.expectations[0].oneOf[1]",
        "late is Int8 and cannot be"),
    Rule(VIEW, UNIQUE, "{column: late, quantile: {q: 0.5, min: 2, max: 1}}", "spec.expectations[0].quantile",
        "min must not exceed max"),
    Rule(VIEW, UNIQUE, "{column: late, quantile: {q: 0.5}}", "spec.expectations[0].quantile", "min or max is needed"),
    Rule(VIEW, UNIQUE, "{rows: {min: 5, max: 1}}", "spec.expectations[0].rows", "min must not exceed max"),
    Rule(VIEW, UNIQUE, "{rows: {min: 5}, tolerance: 0.1}", "spec.expectations[0]", "takes no tolerance"),
    Rule(VIEW, UNIQUE, "{column: time, mean: {max: 0}}", "spec.expectations[0].mean", "mean needs a number"),
    Rule(VIEW, UNIQUE, "{column: time, std: {min: 0}}", "spec.expectations[0].std", "std needs a number"),
    Rule(VIEW, UNIQUE, "{mean: {min: 0}}", "spec.expectations[0]", "mean needs column"),
    Rule(VIEW, UNIQUE, "{column: late, mean: {}}", "spec.expectations[0].mean", "min or max is needed"),
    Rule(VIEW, UNIQUE, "{column: late, mean: {min: .nan}}", "spec.expectations[0].mean.min", "finite number"),
    Rule(VIEW, UNIQUE, "{column: late, distinct: {min: -1}}", "spec.expectations[0].distinct.min", "at least 0"),
    Rule(VIEW, UNIQUE, "{rowsChange: {}}", "spec.expectations[0].rowsChange", "maxDrop or maxGrowth is needed"),
    Rule(VIEW, UNIQUE, "{rowsChange: {maxDrop: 1.5}}", "spec.expectations[0].rowsChange.maxDrop", "at most 1"),
    Rule(VIEW, UNIQUE, "{rowsChange: {maxDrop: 0.5}, tolerance: 0.1}", "spec.expectations[0]", "takes no tolerance"),
    Rule(VIEW, UNIQUE, "{column: late, drift: {statistic: chi2, max: 1}}", "spec.expectations[0].drift.statistic",
        "'chi2' is not allowed here", allowed="psi"),
    Rule(VIEW, UNIQUE, "{column: late, drift: {max: 0}}", "spec.expectations[0].drift.max", "more than 0"),
    Rule(VIEW, UNIQUE, "{column: late, drift: {statistic: ks, max: 2}}", "spec.expectations[0].drift",
        "ks is 1 at most"),
    Rule(VIEW, UNIQUE, "{unique: [trip], severity: warning}", "spec.expectations[0].severity",
        "'warning' is not allowed here", "warn"),
    Rule(VIEW, UNIQUE, "{references: {columns: [trp], view: trips, to: [trip]}}",
        "spec.expectations[0].references.columns[0]", "no column 'trp' is declared", "trip"),
    Rule(VIEW, UNIQUE, "{references: {columns: [trip], view: tripz}}", "spec.expectations[0].references.view",
        "there is no FeatureView named 'tripz'", "trips"),
    Rule(VIEW, UNIQUE, "{references: {columns: [trip], view: trips}}", "spec.expectations[0].references.view",
        "refers to itself"),
    Rule(VIEW, UNIQUE, "{references: {columns: [trip], view: weather, to: [tripp]}}",
        "spec.expectations[0].references.to[0]", "FeatureView/weather has no column 'tripp'", "trip"),
    Rule(VIEW, UNIQUE, "{references: {columns: [late], view: weather, to: [time]}}",
        "spec.expectations[0].references.to[0]", "they cannot hold the same values"),
    Rule(VIEW, UNIQUE, "{references: {columns: [trip], view: trips, to: [trip, time]}}",
        "spec.expectations[0].references", "columns names 1 and to 2"),
    Rule(VIEW, UNIQUE, "{unique: [trip, time, trip]}", "spec.expectations[0].unique", "names 'trip' twice"),
    Rule(VIEW, UNIQUE, '{sql: "  "}', "spec.expectations[0].sql", "'  ' is blank"),
    Rule(VIEW, "name: late", 'name: " "', "spec.columns[2].name", "' ' is blank"),
    Rule(VIEW, UNIQUE, "{column: late, notNull: false}", "spec.expectations[0]", "notNull: false checks nothing"),
    Rule(VIEW, UNIQUE, "{column: late, between: [1, 0]}", "spec.expectations[0]",
        "lower bound must not exceed the upper"),
    Rule(VIEW, "path: data/trips.csv", "path: ../trips.csv", "spec.sources.raw.path", "leaves the project's root"),
    Rule(VIEW, "path: data/trips.csv", "path: /data/trips.csv", "spec.sources.raw.path", "or file:///data/trips.csv"),
    Rule(VIEW, "{format: csv, path: data/trips.csv}", "{function: shop.code.features:trips, format: csv}",
        "spec.sources.raw", "format belongs to path, and this source has function"),
    # -- ModelDeployment
    Rule(DEPLOYMENT, "route: /late", "route: /Late Trips/", "spec.serving.route", "is no route", "/late-trips"),
    Rule(DEPLOYMENT, "route: /late", "route: /a//b", "spec.serving.route", "is no route", "/a/b"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    batching: {wait: 5s}", "spec.serving",
        "batching.wait must be shorter than timeout"),
    Rule(DEPLOYMENT, "setWeight: 10}", "setWeight: 10%}", "spec.strategy.canary.steps[0].setWeight",
        "expected a whole number, found the text '10%'", "10"),
    Rule(DEPLOYMENT, "for: 1m", "for: 1.5", "spec.strategy.canary.steps[1].analyze.for", "1.5 is not a duration",
        "1.5s"),
    Rule(DEPLOYMENT, "steps: [{setWeight: 10}", "sticky: {header: x user}\n      steps: [{setWeight: 10}",
        "spec.strategy.canary.sticky.header", "is not the name of an HTTP header", "x-user"),
    Rule(DEPLOYMENT, "metric: error_rate, maxIncrease: 0.01", "metric: custom, query: up, max: 1, maxRatio: 2",
        "spec.strategy.canary.analysis[0]", "found maxRatio and max"),
    # -- ModelMonitor
    Rule(MONITOR, "drift: {columns: [rain], statistics: {rain: ks}}", "minRows: 5", "spec", "watches nothing", None,
        "drift"),
    Rule(MONITOR, "columns: [rain]", "columns: [rian]", "spec.drift.columns[0]",
        "the model of TrainingJob/late has no column 'rian'", "rain", "late"),
    Rule(MONITOR, "{columns", "{threshold: 2, columns", "spec.drift.statistics.rain", "ks is 1 at most, and the thr"),
    Rule(MONITOR, "{columns: [rain], statistics: {rain: ks}}", "{statistic: js, threshold: 1.5}",
        "spec.drift.threshold", "js is 1 at most, and the threshold is 1.5"),
    Rule(MONITOR, "{rain: ks}", "{rian: ks}", "spec.drift.statistics.rian", "has no column 'rian'", "rain"),
    Rule(MONITOR, "{rain: ks}}", "{late: ks}}\n  segments: [tirp]", "spec.segments[0]", "has no column 'tirp'", "trip"),
    Rule(MONITOR, "window: 5m", "window: 5m\n  actions: [{on: quality, rollback: true}]", "spec.actions[0].on",
        "never happens: spec.quality is not watched"),
    Rule(MONITOR, "window: 5m", "window: 5m\n  actions: [{on: drift, rollback: false}]", "spec.actions[0]",
        "rollback: false does nothing"),
    Rule(MONITOR, "window: 5m", "window: 5m\n  quality: {}", "spec.quality",
        "maxNullRate or unseenCategories is needed"),
    Rule(MONITOR, "window: 5m", "window: 9s", "spec.window",
        "is shorter than serving.profiling.flush of ModelDeployment/late, 10s"),
    # -- BatchInference
    Rule(BATCH, "view: trips", "view: weather", "spec.input.view", "has no column 'late'"),
    # -- metadata
    Rule(VIEW, "{name: trips}", "{name: trips, annotations: {mlops/acknowledge-braking: x}}",
        "metadata.annotations.mlops/acknowledge-braking", "unknown annotation 'mlops/acknowledge-braking'",
        "mlops/acknowledge-breaking", "mlops/acknowledge-breaking"),
    Rule(VIEW, "{name: trips}", "{name: trips, annotations: {team/pager: 7}}", "metadata.annotations.team/pager",
        "expected text, found the number 7; quote it"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_does_not_fit_is_told(project: Project, rule: Rule) -> None:
    told(project, rule)


@pytest.mark.parametrize(
    ("view", "key", "dtype"), [("trips", "time", "Datetime"), ("weather", "rain", "Float64"), ("trips", "trip", None)]
)
def test_a_key_that_labels_are_joined_by_names_rows_for_certain(
    project: Project, view: str, key: str, dtype: str | None
) -> None:
    project.edit(DEPLOYMENT, ("route: /late", "route: /late\n    profiling: {key: trip}"))
    column = "late" if view == "trips" else "rain"
    performance = f"performance: {{labels: {{view: {view}, key: {key}, column: {column}}}}}"
    project.edit(MONITOR, ("window: 5m", f"window: 5m\n  {performance}"))
    told = [(one.path, one.message) for one in project.check().errors]
    message = f"{key} is {dtype}; a key is a whole number or a String: declare it as one of them"
    assert told == ([("spec.performance.labels.key", message)] if dtype else [])


@pytest.mark.parametrize(
    ("window", "flush", "refused"), [("10s", "10s", False), ("1m", "2m", True), ("2m", "1m", False)]
)
def test_a_window_holds_at_least_one_profile_of_each_replica(
    project: Project, window: str, flush: str, refused: bool
) -> None:
    project.edit(DEPLOYMENT, ("route: /late", f"route: /late\n    profiling: {{flush: {flush}}}"))
    project.edit(MONITOR, ("window: 5m", f"window: {window}"))
    assert [one.path for one in project.check().errors] == (["spec.window"] if refused else [])


def test_the_project_before_the_mistake_is_valid(project: Project) -> None:
    assert project.check().errors == ()


def test_a_downstream_may_be_named_without_a_cycle(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", SCHEDULED % "watch"))
    project.edit(MONITOR, ("window: 5m", "window: 5m\n  actions: [{on: drift, retrain: late}]"))
    before = project.snapshot().desired[Ref("TrainingJob", "late")].identity

    assert project.check().errors == ()
    assert Ref("ModelMonitor", "watch") not in project.snapshot().desired[Ref("TrainingJob", "late")].spec.model_dump()
    project.edit(JOB, (SCHEDULED % "watch", "timeout: 1h"))
    assert project.snapshot().desired[Ref("TrainingJob", "late")].identity == before


def test_a_broken_object_that_is_only_named_is_no_second_mistake(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", SCHEDULED % "watch"))
    project.edit(MONITOR, ("window: 5m", "window: 5"))

    assert [one.file for one in project.check().errors] == [f"specs/{MONITOR}"]


@pytest.mark.parametrize(
    ("route", "says"),
    [
        ("/late", "ModelDeployment/late serves /late already"),
        ("/late/v2", "ModelDeployment/late serves /late already, with everything below it"),
        ("/late/v2/x", "ModelDeployment/late serves /late already, with everything below it"),
        ("/latest", None),
        ("/other/late", None),
    ],
)
def test_routes_exclude_each_other(
    project: Project, place: Callable[[Problem], str], route: str, says: str | None
) -> None:
    other = FILES[DEPLOYMENT].replace("{name: late}", "{name: b}").replace("route: /late", f"route: {route}")
    project.write("deployments/b.yaml", other)
    found = {place(one): one.message for one in project.check().errors}

    assert found.get("deployments/b.yaml:7:12 spec.serving.route") == says
    assert bool(found) == (says is not None)


def test_two_batch_jobs_do_not_write_into_each_other(project: Project) -> None:
    other = (
        FILES[BATCH].replace("{name: nightly}", "{name: hourly}").replace("predictions/late", "predictions/late/now/")
    )
    project.write("batch/hourly.yaml", other)
    (problem,) = project.check().errors

    assert problem.message == "BatchInference/nightly writes to predictions/late already, with everything below it"


def test_a_list_of_allowed_columns_stays_readable(project: Project) -> None:
    columns = "".join(f"\n    - {{name: c{number}, dtype: Int8}}" for number in range(60))
    project.edit(VIEW, ("    - {name: late, dtype: Int8}", f"    - {{name: late, dtype: Int8}}{columns}"))
    project.edit(JOB, ("label: late", "label: lat"))
    (problem,) = project.check().errors

    assert (problem.suggestion, problem.allowed) == ("late", ())


def many(count: int) -> dict[str, str]:
    """Jobs and deployments, each of which names something that is not there, and all of which want one route."""
    jobs = "---\n".join(
        FILES[JOB].replace("{name: late}", f"{{name: job-{number}}}").replace("label: late", f"label: l{number}")
        for number in range(count)
    )
    deployments = "---\n".join(
        FILES[DEPLOYMENT]
        .replace("{name: late}", f"{{name: d-{number}}}")
        .replace("training: late", f"training: j{number}")
        for number in range(count)
    )
    return {"many/jobs.yaml": jobs, "many/deployments.yaml": deployments}


@pytest.mark.slow
def test_rules_cost_as_much_as_there_are_resources(project: Project) -> None:
    """Twice the resources, all of them wrong, take about twice the time: no rule looks at every pair."""

    def seconds(count: int) -> float:
        for path, text in many(count).items():
            project.write(path, text)
        started = time.process_time()
        assert len(project.check().errors) > 2 * count
        return time.process_time() - started

    seconds(50)
    small, large = seconds(150), seconds(600)

    assert large < 12 * small + 0.5, f"{small:.2f} s for 300, {large:.2f} s for 1,200"


@pytest.mark.parametrize("kind", KINDS)
def test_checks_never_fail_on_a_neighbour_that_is_not_there(kind: str, project: Project) -> None:
    """A neighbour that is broken is declared, but its spec is not known."""
    for ref, asked in project.snapshot().desired.items():
        if ref.kind == kind:
            tuple(KINDS[kind].check(asked.spec, {}))
