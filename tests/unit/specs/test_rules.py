"""What resources demand of each other: at the exact place, with what is allowed and what was likely meant."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from framework.api.errors import Problem
from framework.api.lightgbm import CANONICAL
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.feature_view.rules import ENCODINGS, OPTIONS
from framework.kinds.training_job.evaluation import Metric
from tests.unit.specs.conftest import FILES, Project

VIEW, WEATHER, JOB = "features/trips.yaml", "features/weather.yaml", "training/late.yaml"
DEPLOYMENT, BATCH, MONITOR = "deployments/late.yaml", "batch/nightly.yaml", "monitors/late.yaml"
WATCH = """\
apiVersion: mlops/v1alpha1
kind: ModelMonitor
metadata: {name: watch}
spec:
  deployment: late
  window: 5m
  drift: {columns: [rain], statistics: {rain: ks}}
"""
SCHEDULED = "retrain: {schedule: 0 3 * * 1, onDrift: [%s]}"
UNIQUE = "{unique: [trip]}"


class Rule(NamedTuple):
    file: str
    old: str
    new: str
    path: str
    says: str
    meant: str | None = None
    allowed: str | None = None


RULES = [
    # -- references
    Rule(
        JOB,
        "timeout: 1h",
        SCHEDULED % "wacth",
        "spec.retrain.onDrift[0]",
        "there is no ModelMonitor named 'wacth'",
        "watch",
        "watch",
    ),
    Rule(
        MONITOR,
        "window: 5m",
        "actions: [{on: drift, retrain: lat}]\n  window: 5m",
        "spec.actions[0].retrain",
        "there is no TrainingJob named 'lat'",
        "late",
        "late",
    ),
    Rule(MONITOR, "deployment: late", "deployment: lat", "spec.deployment", "no ModelDeployment named 'lat'", "late"),
    Rule(BATCH, "view: trips", "view: trip", "spec.input.view", "there is no FeatureView named 'trip'", "trips"),
    Rule(
        DEPLOYMENT,
        "route: /late",
        "route: /late\n    onlineFeatures: [wether]",
        "spec.serving.onlineFeatures[0]",
        "there is no FeatureView named 'wether'",
        "weather",
        "trips",
    ),
    Rule(
        DEPLOYMENT,
        "route: /late",
        "route: /late\n    onlineFeatures: [weather]",
        "spec.serving.onlineFeatures[0]",
        "FeatureView/weather keeps no rows online, and this version looks none up: leave it out",
    ),
    # -- FeatureView
    Rule(
        WEATHER, "timestamp: time", "timestamp: rain", "spec.timestamp", "rain is Float64; an event time is a Datetime"
    ),
    Rule(
        WEATHER,
        "path: data/weather.csv",
        "path: a, options: {nullValue: x}",
        "spec.sources.raw.options.nullValue",
        "csv has no option 'nullValue'",
        "nullValues",
        "separator",
    ),
    *(
        Rule(
            WEATHER,
            "path: data/weather.csv",
            f"path: a, options: {{{option}}}",
            f"spec.sources.raw.options.{option.partition(':')[0]}",
            told,
        )
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
    Rule(
        VIEW, UNIQUE, "{unique: [trip, tme]}", "spec.expectations[0].unique[1]", "no column 'tme' is declared", "time"
    ),
    Rule(VIEW, UNIQUE, "{column: time, between: [0, 1]}", "spec.expectations[0].between", "between needs a number"),
    Rule(VIEW, UNIQUE, "{column: time, quantile: {q: 0.5, min: 0}}", "spec.expectations[0].quantile", "needs a number"),
    Rule(
        VIEW,
        UNIQUE,
        "{column: late, matches: x}",
        "spec.expectations[0].matches",
        "late is Int8; matches needs a String",
    ),
    Rule(
        VIEW,
        UNIQUE,
        "{column: late, oneOf: [0, yes-no]}",
        "spec.expectations[0].oneOf[1]",
        "late is Int8 and cannot be",
    ),
    Rule(VIEW, UNIQUE, "{column: late, quantile: {q: 1.5, min: 0}}", "spec.expectations[0].quantile.q", "at most 1"),
    Rule(
        VIEW,
        UNIQUE,
        "{column: late, quantile: {q: 0.5, min: 2, max: 1}}",
        "spec.expectations[0].quantile",
        "min must not exceed max",
    ),
    Rule(VIEW, UNIQUE, "{column: late, quantile: {q: 0.5}}", "spec.expectations[0].quantile", "min or max is needed"),
    Rule(VIEW, UNIQUE, "{rows: {min: 5, max: 1}}", "spec.expectations[0].rows", "min must not exceed max"),
    Rule(VIEW, UNIQUE, "{rows: {min: 5}, tolerance: 0.1}", "spec.expectations[0]", "takes no tolerance"),
    Rule(VIEW, UNIQUE, "{unique: []}", "spec.expectations[0].unique", "must hold at least 1 item, found none"),
    Rule(VIEW, UNIQUE, "{unique: [trip, time, trip]}", "spec.expectations[0].unique", "names 'trip' twice"),
    Rule(VIEW, UNIQUE, '{unique: [""]}', "spec.expectations[0].unique[0]", "must not be empty"),
    Rule(VIEW, UNIQUE, "{column: late, oneOf: []}", "spec.expectations[0].oneOf", "must hold at least 1 item"),
    Rule(VIEW, UNIQUE, '{sql: ""}', "spec.expectations[0].sql", "must not be empty"),
    Rule(VIEW, UNIQUE, '{sql: "  "}', "spec.expectations[0].sql", "'  ' is blank"),
    Rule(VIEW, "{function: shop.code.features:trips}", '{sql: ""}', "spec.transform.sql", "must not be empty"),
    Rule(VIEW, "{format: csv, path: data/trips.csv}", '{sql: " "}', "spec.sources.raw.sql", "' ' is blank"),
    Rule(VIEW, "name: late", 'name: " "', "spec.columns[2].name", "' ' is blank"),
    Rule(VIEW, UNIQUE, "{column: late, notNull: false}", "spec.expectations[0]", "notNull: false checks nothing"),
    Rule(
        VIEW, UNIQUE, "{column: late, between: [1, 0]}", "spec.expectations[0]", "lower bound must not exceed the upper"
    ),
    Rule(VIEW, "path: data/trips.csv", "path: ../trips.csv", "spec.sources.raw.path", "leaves the project's root"),
    Rule(VIEW, "path: data/trips.csv", "path: /data/trips.csv", "spec.sources.raw.path", "or file:///data/trips.csv"),
    Rule(
        VIEW,
        "{format: csv, path: data/trips.csv}",
        "{function: shop.code.features:trips, format: csv}",
        "spec.sources.raw",
        "format belongs to path, and this source has function",
    ),
    # -- TrainingJob
    Rule(JOB, "label: late", "label: time", "spec.dataset.label", "time is Datetime; a label is Boolean, or a number"),
    Rule(
        JOB, "spine: trips", "spine: trips\n    columns: [late]", "spec.dataset.columns[0]", "'late' is also an input"
    ),
    Rule(
        JOB, "spine: trips", "spine: trips\n    columns: [time]", "spec.dataset.columns[0]", "time is Datetime; a model"
    ),
    Rule(
        JOB,
        "spine: trips",
        "spine: trips\n    columns: [trp]",
        "spec.dataset.columns[0]",
        "has no column 'trp'",
        "trip",
    ),
    Rule(
        JOB,
        "columns: [rain]",
        "columns: [rian]",
        "spec.dataset.features[0].columns[0]",
        "FeatureView/weather has no column 'rian'",
        "rain",
        "time",
    ),
    Rule(JOB, "columns: [rain]", "columns: [time]", "spec.dataset.features[0].columns[0]", "brings time, which"),
    Rule(
        JOB,
        "columns: [rain]",
        "columns: [trip]",
        "spec.dataset.features[0].columns[0]",
        "brings trip, which the training",
    ),
    Rule(
        JOB,
        "{view: weather, columns: [rain]}",
        "{view: weather, columns: [rain], maxAge: 1h, delay: 2h}",
        "spec.dataset.features[0].maxAge",
        "become available after 2h and expire after 1h",
    ),
    Rule(
        JOB,
        "- {view: weather, columns: [rain]}",
        "- {view: weather}\n      - {view: weather}",
        "spec.dataset.features[1].view",
        "FeatureView/weather is joined already",
    ),
    Rule(
        JOB,
        "- {view: weather, columns: [rain]}",
        "- {view: weather, columns: [rain, rain]}",
        "spec.dataset.features[0].columns[1]",
        "rain is named already",
    ),
    Rule(
        JOB,
        "label: late",
        "label: late\n    columns: [trip, trip]",
        "spec.dataset.columns[1]",
        "trip is an input already",
    ),
    *(
        Rule(JOB, "timeout: 1h", f"seed: {seed}", "spec.seed", f"from 0 to 4294967295, found {seed}")
        for seed in (-1, 2**32, 2**40)
    ),
    Rule(
        JOB,
        "max_depth: 3",
        "num_threads: 3",
        "spec.trainer.lightgbm.params.num_threads",
        "num_threads cannot be set: it follows from",
    ),
    *(
        Rule(JOB, "max_depth: 3", f"{name}: {value}", f"spec.trainer.lightgbm.params.{name}", told)
        for name, value, told in (
            ("input_model", "m.txt", "it names a file, and a spec reads none that it does not declare"),
            ("model_in", "m.txt", "model_in cannot be set: it names a file"),
            ("forcedsplits_filename", "/etc/passwd", "it names a file"),
            ("forcedbins_filename", "/etc/passwd", "it names a file"),
            ("data", "x.csv", "it names a file, and a spec reads none that it does not declare: dataset says"),
            ("valid", "x.csv", "it names a file, and a spec reads none that it does not declare: dataset.split says"),
            ("config", "x.conf", "it names a file, and a spec reads none that it does not declare: write its"),
            ("parser_config_file", "x.json", "it names a file"),
            ("output_model", "x.txt", "it has LightGBM write files of its own"),
            ("machine_list_filename", "x.txt", "it names a file, and follows from resources.workers"),
            ("machines", "a:1", "it follows from resources.workers"),
            ("label_column", "name:late", "it names a column of a file"),
            ("nrounds", "9", "nrounds cannot be set: it follows from rounds: write trainer.lightgbm.rounds"),
            ("random_seed", "9", "random_seed cannot be set: it follows from seed: write spec.seed"),
            ("num_class", "3", "a label is 0 or 1"),
            ("early_stopping_rounds", "3", "every fit goes on for all its rounds"),
            ("force_col_wise", "true", "the trainer fixes it, so that the same fit gives the same bytes"),
            ("monotone_constraints", "[1, 0]", "needs one of -1, 0 and 1 for each of the 1 inputs, found 2"),
            ("monotone_constraints", "[2]", "is a list with one of -1, 0 and 1 for each input, found [2]"),
            ("mc", "x", "is a list with one of -1, 0 and 1 for each input, found 'x'"),
            ("max_bin_by_feature", "[1]", "is a list with a whole number from 2 on for each input"),
            ("feature_contri", "[-0.5]", "is a list with a number from 0 on for each input"),
            ("interaction_constraints", "[[0, 7]]", "names input 7, and there are 1, which count from 0: rain"),
            ("interaction_constraints", "xx", "is a list of lists of inputs, which count from 0, found 'xx'"),
            ("objective", "null", "None gives no probability of a label that is 0 or 1"),
        )
    ),
    Rule(
        JOB,
        "max_depth: 3",
        "loss: regression",
        "spec.trainer.lightgbm.params.loss",
        "'regression' gives no probability of a label that is 0 or 1: leave it out, which means binary",
        None,
        "cross_entropy",
    ),
    Rule(
        JOB,
        "max_depth: 3",
        "objective: binry",
        "spec.trainer.lightgbm.params.objective",
        "'binry' gives no probability",
        "binary",
        "cross_entropy",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {objective: {choice: [binary, l2]}}}",
        "spec.tune.search.objective.choice[1]",
        "'l2' gives no probability of a label",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {n_iter: {randint: [2, 9]}}}",
        "spec.tune.search.n_iter",
        "n_iter cannot be set: it follows from rounds",
    ),
    Rule(
        JOB,
        "max_depth: 3",
        "learning_rate: 0.1, eta: 0.2",
        "spec.trainer.lightgbm.params.eta",
        "eta is another name of learning_rate, which is set already: keep one",
    ),
    Rule(JOB, "columns: [rain]", "columns: []", "spec.dataset", "there is nothing to learn from"),
    Rule(JOB, "by: time", "by: group, group: trp", "spec.dataset.split.group", "has no column 'trp'", "trip", "rain"),
    Rule(
        JOB,
        "timeout: 1h",
        "evaluation: {slices: [{by: ran, metric: auc, min: 0.5}]}",
        "spec.evaluation.slices[0].by",
        "the training set has no column 'ran'",
        "rain",
        "late",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "evaluation: {slices: [{by: rain, metric: acu, min: 0.5}]}",
        "spec.evaluation.slices[0].metric",
        "'acu' is not allowed here",
        "auc",
        "brier",
    ),
    *(
        Rule(JOB, "timeout: 1h", f"evaluation: {{{bar}}}", f"spec.evaluation.{path}", says)
        for bar, path, says in (
            ("gates: [{metric: auc, min: 1.5}]", "gates[0].min", "auc lies between 0 and 1, found 1.5"),
            ("gates: [{metric: auc, min: -1}]", "gates[0].min", "auc lies between 0 and 1, found -1"),
            ("gates: [{metric: auc, min: 0.5, max: 2}]", "gates[0].max", "auc lies between 0 and 1, found 2"),
            ("gates: [{metric: auc, min: 0.6, max: 0.5}]", "gates[0]", "min must not exceed max"),
            ("gates: [{metric: log_loss, max: -1}]", "gates[0].max", "log_loss lies between 0 and 34.5388, found -1"),
            ("gates: [{metric: log_loss, max: 35}]", "gates[0].max", "log_loss lies between 0 and 34.5388, found 35"),
            (
                "gates: [{metric: auc, comparedTo: live, maxDrop: 2}]",
                "gates[0].maxDrop",
                "auc can drop by 1 at most, found 2",
            ),
            ("slices: [{by: rain, metric: brier, max: 3}]", "slices[0].max", "brier lies between 0 and 1, found 3"),
            ("slices: [{by: rain, metric: accuracy, min: 60}]", "slices[0].min", "accuracy lies between 0 and 1"),
        )
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "evaluation: {gates: [{metric: log_loss, comparedTo: live, maxDrop: 0.1}]}",
        "spec.evaluation.gates[0]",
        "log_loss is better when smaller, so it does not drop: bound it with max",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "evaluation: {fairness: [{attribute: tip, metric: equalized_odds_difference, max: 0.1}]}",
        "spec.evaluation.fairness[0].attribute",
        "the training set has no column 'tip'",
        "trip",
    ),
    Rule(
        JOB,
        "max_depth: 3",
        "max_dept: 3",
        "spec.trainer.lightgbm.params.max_dept",
        "LightGBM has no parameter 'max_dept'",
        "max_depth",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {num_leafs: {randint: [2, 9]}}}",
        "spec.tune.search.num_leafs",
        "LightGBM has no parameter 'num_leafs'",
        "num_leaf",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {rounds: {randint: [2, 9]}}}",
        "spec.tune.search.rounds",
        "LightGBM has no parameter 'rounds': write trainer.lightgbm.rounds, which no search varies",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {eta: {uniform: [0, 1]}}, metric: validation_log_loss}",
        "spec.tune",
        "validation_log_loss is better when smaller: mode must be min",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {eta: {uniform: [0, 1]}}, algorithm: grid}",
        "spec.tune",
        "algorithm: grid needs choice for every parameter",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "tune: {search: {eta: {choice: [1, 2, 3]}}, algorithm: grid, trials: 2}",
        "spec.tune",
        "the grid has 3 combinations, but trials is 2",
    ),
    Rule(
        JOB,
        "timeout: 1h",
        "resources: {elastic: {min: 4, max: 2}}",
        "spec.resources.elastic",
        "min must not exceed max",
    ),
    Rule(JOB, "timeout: 1h", "retrain: {cooldown: 24h}", "spec.retrain", "retrain needs schedule or onDrift"),
    Rule(
        JOB,
        "fractions: {train: 0.7, validation: 0.15, test: 0.15}",
        "at: {validation: 2013-03-01, test: 2013-02-01}",
        "spec.dataset.split.at",
        "validation must be before test",
    ),
    Rule(
        JOB,
        "fractions: {train: 0.7, validation: 0.15, test: 0.15}",
        "at: {validation: 2013-03-01, test: 2014-02-01}",
        "spec.dataset.split.at.test",
        "lies behind the window",
    ),
    Rule(
        JOB,
        "fractions: {train: 0.7, validation: 0.15, test: 0.15}",
        "at: {validation: 2012-03-01, test: 2013-02-01}",
        "spec.dataset.split.at.validation",
        "lies before the window",
    ),
    Rule(JOB, "test: 0.15", "test: 0", "spec.dataset.split.fractions.test", "must be more than 0"),
    Rule(
        JOB,
        "lightgbm: {params: {max_depth: 3}, rounds: 20}",
        "sklearn: {estimator: linear_model.LogisticRegression}",
        "spec.trainer.sklearn.estimator",
        "is no class below sklearn",
        "sklearn.linear_model.LogisticRegression",
    ),
    # -- ModelDeployment
    Rule(DEPLOYMENT, "min: 1, max: 2", "min: 3, max: 2", "spec.serving.replicas", "min must not exceed max"),
    Rule(DEPLOYMENT, "route: /late", "route: /Late Trips/", "spec.serving.route", "is no route", "/late-trips"),
    Rule(DEPLOYMENT, "route: /late", "route: /a//b", "spec.serving.route", "is no route", "/a/b"),
    Rule(
        DEPLOYMENT,
        "route: /late",
        "route: /late\n    batching: {wait: 5s}",
        "spec.serving",
        "batching.wait must be shorter than timeout",
    ),
    Rule(
        DEPLOYMENT,
        "setWeight: 10}",
        "setWeight: 10%}",
        "spec.strategy.canary.steps[0].setWeight",
        "expected a whole number, found the text '10%'",
        "10",
    ),
    Rule(
        DEPLOYMENT,
        "route: /late",
        'route: /late\n    profiling: {key: ""}',
        "spec.serving.profiling.key",
        "must not be empty",
    ),
    Rule(
        DEPLOYMENT,
        "metric: error_rate, maxIncrease: 0.01",
        'metric: custom, query: ""',
        "spec.strategy.canary.analysis[0].query",
        "must not be empty",
    ),
    Rule(DEPLOYMENT, "for: 1m", "for: 90", "spec.strategy.canary.steps[1].analyze.for", "90 is not a duration", "90s"),
    Rule(
        DEPLOYMENT, "for: 1m", "for: 1.5", "spec.strategy.canary.steps[1].analyze.for", "1.5 is not a duration", "1.5s"
    ),
    Rule(
        DEPLOYMENT,
        "steps: [{setWeight: 10}",
        "sticky: {header: x user}\n      steps: [{setWeight: 10}",
        "spec.strategy.canary.sticky.header",
        "is not the name of an HTTP header",
        "x-user",
    ),
    Rule(
        DEPLOYMENT,
        "metric: error_rate, maxIncrease: 0.01",
        "metric: custom, query: up, max: 1, maxRatio: 2",
        "spec.strategy.canary.analysis[0]",
        "found maxRatio and max",
    ),
    # -- ModelMonitor
    Rule(
        MONITOR,
        "drift: {columns: [rain], statistics: {rain: ks}}",
        "minRows: 5",
        "spec",
        "watches nothing",
        None,
        "drift",
    ),
    Rule(
        MONITOR,
        "columns: [rain]",
        "columns: [rian]",
        "spec.drift.columns[0]",
        "the model of TrainingJob/late has no column 'rian'",
        "rain",
        "late",
    ),
    Rule(MONITOR, "columns: [rain]", "columns: []", "spec.drift.columns", "must hold at least 1 item, found none"),
    Rule(MONITOR, "columns: [rain]", "columns: [rain, rain]", "spec.drift.columns", "names 'rain' twice"),
    Rule(MONITOR, "{columns", "{threshold: 2, columns", "spec.drift.statistics.rain", "ks is 1 at most, and the thr"),
    Rule(
        MONITOR,
        "{columns: [rain], statistics: {rain: ks}}",
        "{statistic: js, threshold: 1.5}",
        "spec.drift.threshold",
        "js is 1 at most, and the threshold is 1.5",
    ),
    Rule(MONITOR, "{rain: ks}", "{rian: ks}", "spec.drift.statistics.rian", "has no column 'rian'", "rain"),
    Rule(MONITOR, "{rain: ks}}", "{late: ks}}\n  segments: [tirp]", "spec.segments[0]", "has no column 'tirp'", "trip"),
    Rule(
        MONITOR,
        "window: 5m",
        "window: 5m\n  actions: [{on: quality, rollback: true}]",
        "spec.actions[0].on",
        "never happens: spec.quality is not watched",
    ),
    Rule(
        MONITOR,
        "window: 5m",
        "window: 5m\n  actions: [{on: drift, rollback: false}]",
        "spec.actions[0]",
        "rollback: false does nothing",
    ),
    Rule(
        MONITOR, "window: 5m", "window: 5m\n  quality: {}", "spec.quality", "maxNullRate or unseenCategories is needed"
    ),
    Rule(
        MONITOR,
        "window: 5m",
        "window: 9s",
        "spec.window",
        "is shorter than serving.profiling.flush of ModelDeployment/late, 10s",
    ),
    # -- BatchInference
    Rule(BATCH, "view: trips", "view: weather", "spec.input.view", "has no column 'late'"),
    # -- metadata
    Rule(
        VIEW,
        "{name: trips}",
        "{name: trips, annotations: {mlops/acknowledge-braking: x}}",
        "metadata.annotations.mlops/acknowledge-braking",
        "unknown annotation 'mlops/acknowledge-braking'",
        "mlops/acknowledge-breaking",
        "mlops/acknowledge-breaking",
    ),
    Rule(
        VIEW,
        "{name: trips}",
        "{name: trips, annotations: {team/pager: 7}}",
        "metadata.annotations.team/pager",
        "expected text, found the number 7; quote it",
    ),
]


@pytest.fixture
def project(project: Project) -> Project:
    project.write(MONITOR, WATCH)
    project.write(BATCH, FILES[BATCH])
    return project


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


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_does_not_fit_is_told(project: Project, rule: Rule) -> None:
    if rule.says == "has no column 'late'":
        project.edit(JOB, ("spine: trips", "spine: trips\n    columns: [trip]"))
        project.edit(WEATHER, ("name: trip,", "name: stop,"), ("entities: [trip]", "entities: [stop]"))
        rule = rule._replace(says="FeatureView/weather has no column 'trip', which TrainingJob/late learns from")
    project.edit(rule.file, (rule.old, rule.new))
    mine = [one for one in project.check().errors if one.file == f"specs/{rule.file}"]

    assert rule.path in [one.path for one in mine], project.problems()
    problem = next(one for one in mine if one.path == rule.path)
    assert rule.says in problem.message
    assert problem.suggestion == rule.meant
    assert rule.allowed is None or rule.allowed in problem.allowed
    written = (project.root / "specs" / rule.file).read_text().splitlines()[problem.line - 1]
    assert 1 <= problem.column <= len(written) + 1
    last = rule.path.rpartition(".")[2].partition("[")[0]
    assert last in written or rule.path.endswith("]")


def test_the_project_before_the_mistake_is_valid(project: Project) -> None:
    assert project.check().errors == ()


def test_a_name_that_is_too_long_is_told_with_its_length(project: Project) -> None:
    project.edit(VIEW, ("name: trips}", f"name: {'x' * 48}}}"))

    (problem,) = [one for one in project.check().errors if one.path == "metadata.name"]
    assert problem.message == "has 48 characters; at most 47 are allowed"


def test_a_downstream_may_be_named_without_a_cycle(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", SCHEDULED % "watch"))
    project.edit(MONITOR, ("window: 5m", "window: 5m\n  actions: [{on: drift, retrain: late}]"))
    before = project.snapshot().fingerprints[Ref("TrainingJob", "late")].identity

    assert project.check().errors == ()
    assert (
        Ref("ModelMonitor", "watch") not in project.snapshot().resources[Ref("TrainingJob", "late")].spec.model_dump()
    )
    project.edit(JOB, (SCHEDULED % "watch", "timeout: 1h"))
    assert project.snapshot().fingerprints[Ref("TrainingJob", "late")].identity == before


def test_a_monitor_that_does_not_watch_drift_is_no_cause_to_train_again(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", SCHEDULED % "watch"))
    project.edit(MONITOR, ("drift: {columns: [rain], statistics: {rain: ks}}", "quality: {maxNullRate: 0.1}"))
    (problem,) = project.check().errors

    assert (problem.path, problem.message) == ("spec.retrain.onDrift[0]", "ModelMonitor/watch does not watch drift")


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


def test_a_view_and_a_job_of_ten_thousand_columns_are_checked_at_once(project: Project) -> None:
    columns = "".join(f"\n    - {{name: c{number}, dtype: Int8}}" for number in range(9_000))
    project.edit(WEATHER, ("    - {name: rain, dtype: Float64}", f"    - {{name: rain, dtype: Float64}}{columns}"))
    features = "".join(f"\n      - {{view: weather, columns: [x{number}]}}" for number in range(6_000))
    project.edit(JOB, ("      - {view: weather, columns: [rain]}", f"      - {{view: weather}}{features}"))
    started = time.process_time()

    assert len(project.check().errors) >= 6_000
    assert time.process_time() - started < 20.0


# -- lists that are kept in two places -------------------------------------------------------------------------------


def test_what_lightgbm_knows_is_what_the_installed_one_knows() -> None:
    """Each parameter, and by what other names it goes."""
    code = (
        "import json; from lightgbm.basic import _ConfigAliases as aliases\n"
        "print(json.dumps(aliases._get_all_param_aliases()))"
    )
    pytest.importorskip("lightgbm")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)

    assert {name: of for of, names in found.items() for name in {of, *names}} == CANONICAL


def test_metrics_and_reader_options_are_those_of_the_workloads() -> None:
    pytest.importorskip("polars")
    from framework.workloads.features import csv, sources
    from framework.workloads.training.metrics import METRICS

    assert set(Metric.__args__) == set(METRICS)
    assert {form: set(options) for form, options in sources._OPTIONS.items()} == {
        form: set(options) for form, options in OPTIONS.items()
    }
    assert csv.ENCODINGS == ENCODINGS


def test_dtypes_of_inputs_are_those_of_the_workloads() -> None:
    pytest.importorskip("polars")
    from framework.kinds.feature_view.columns import INPUTS
    from framework.workloads.models import INPUT_DTYPES

    assert INPUTS == INPUT_DTYPES


@pytest.mark.parametrize("kind", KINDS)
def test_checks_never_fail_on_a_neighbour_that_is_not_there(kind: str, project: Project) -> None:
    """A neighbour that is broken is declared, but its spec is not known."""
    for ref, resource in project.snapshot().resources.items():
        if ref.kind == kind:
            tuple(KINDS[kind].check(resource.spec, {}))
