"""What a TrainingJob demands of its views and of its own parts, and what its trainer may be given."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import get_args

import pytest

from framework.api.lightgbm import CANONICAL
from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import BATCH, DEPLOYMENT, JOB, MONITOR, WEATHER, Rule, project, told

__all__ = ["project"]

SCHEDULED = "retrain: {schedule: 0 3 * * 1, onDrift: [%s]}"


RULES = [
    # -- references
    Rule(JOB, "timeout: 1h", SCHEDULED % "wacth", "spec.retrain.onDrift[0]", "there is no ModelMonitor named 'wacth'",
        "watch", "watch"),
    # -- aliases
    *(
        Rule(JOB, "timeout: 1h", f"aliases: {{{written}}}", f"spec.aliases.{name}", says, *meant)
        for name, written, says, meant in (
            ("latest", 'latest: "0123456789"', "'latest' is reserved", ()),
            ("champion", "champion: latest", "'champion' is reserved", ()),
            ("0123456789", '"0123456789": latest', "looks like a version", ()),
            ("best", "best: champion", "champion follows what serves", ()),
            ("best", "best: best", "best stands for itself", ()),
            ("a", "a: b, b: c, c: a", "a goes round in a circle: a -> b -> c -> a", ()),
            ("best", 'best: stabel, stable: "0123456789"', "'stabel' is no version (10", ("stable", "latest")),
            ("best", "best: 012345678", "or quote it", ()),
            ("best", "best: 3142718590", "expected text, found the number 3142718590", ()),
            ("best", "best: ''", "is no version", ()),
            ("best", 'best: "ABCDEF0123"', "is no version", ()),
        )
    ),
    Rule(JOB, "timeout: 1h", f"aliases: {{{', '.join(f'a{number}: latest' for number in range(51))}}}", "spec.aliases",
        "at most 50"),
    *(
        Rule(file, "training: late", f"training: late, version: {word}", "spec.model.version", says, *meant)
        for file in (DEPLOYMENT, BATCH)
        for word, says, meant in (
            ("lates", "TrainingJob/late has no alias of that name", ("latest", "latest")),
            ("stable", "'stable' is no version (10 hexadecimal digits)", ()),
            ('"12345"', "'12345' is no version", ()),
        )
    ),
    Rule(DEPLOYMENT, "training: late", "training: late, version: champion", "spec.model.version",
        "champion is what a deployment makes of a version"),
    Rule(DEPLOYMENT, "training: late", "training: late, version: challenger", "spec.model.version",
        "challenger is what"),
    # -- other forms
    Rule(JOB, "timeout: 1h", "export: {quantize: {to: int8}}", "spec.export.quantize",
        "trees compare inputs with thresholds"),
    Rule(JOB, "timeout: 1h", "export: {quantize: {to: int4}}", "spec.export.quantize.to",
        "'int4' is not allowed here", "int8"),
    Rule(JOB, "timeout: 1h", "export: {onnx: nevr}", "spec.export.onnx", "'nevr' is not allowed here", "never"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    form: onnx", "spec.serving.form",
        "TrainingJob/late makes no graph of ONNX: set export.onnx there"),
    Rule(DEPLOYMENT, "route: /late", "route: /late\n    form: quantized", "spec.serving.form",
        "TrainingJob/late makes no quantized form"),
    # -- TrainingJob
    Rule(JOB, "label: late", "label: time", "spec.dataset.label", "time is Datetime; a label is a number, Boolean or"),
    Rule(JOB, "spine: trips", "spine: trips\n    columns: [late]", "spec.dataset.columns[0]",
        "'late' is also an input"),
    Rule(JOB, "spine: trips", "spine: trips\n    columns: [trp]", "spec.dataset.columns[0]", "has no column 'trp'",
        "trip"),
    Rule(JOB, "columns: [rain]", "columns: [rian]", "spec.dataset.features[0].columns[0]",
        "FeatureView/weather has no column 'rian'", "rain", "time"),
    Rule(JOB, "columns: [rain]", "columns: [time]", "spec.dataset.features[0].columns[0]", "brings time, which"),
    Rule(JOB, "columns: [rain]", "columns: [trip]", "spec.dataset.features[0].columns[0]",
        "brings trip, which the training"),
    Rule(JOB, "{view: weather, columns: [rain]}", "{view: weather, columns: [rain], maxAge: 1h, delay: 2h}",
        "spec.dataset.features[0].maxAge", "become available after 2h and expire after 1h"),
    Rule(JOB, "- {view: weather, columns: [rain]}", "- {view: weather}\n      - {view: weather}",
        "spec.dataset.features[1].view", "FeatureView/weather is joined already"),
    Rule(JOB, "- {view: weather, columns: [rain]}", "- {view: weather, columns: [rain, rain]}",
        "spec.dataset.features[0].columns[1]", "rain is named already"),
    Rule(JOB, "label: late", "label: late\n    columns: [trip, trip]", "spec.dataset.columns[1]",
        "trip is an input already"),
    Rule(JOB, "label: late", "label: late\n    task: ranking\n    query: trip\n    loading: stream",
        "spec.dataset.loading", "a ranking is learned from all of its lists at once: write memory or auto"),
    Rule(JOB, "label: late", "label: late\n    loading: streamed", "spec.dataset.loading", "", "stream", "memory"),
    *(
        Rule(JOB, "timeout: 1h", f"resources: {{memoryPerWorker: {size}}}", "spec.resources.memoryPerWorker", told)
        for size, told in (
            ("4", "4 is not a size such as 512MiB or 4GiB"),
            ("4G", "is not a size"),
            ("0GiB", "more than nothing"),
            ("-1GiB", "is not a size"),
        )
    ),
    *(
        Rule(JOB, "timeout: 1h", f"seed: {seed}", "spec.seed", f"from 0 to 4294967295, found {seed}")
        for seed in (-1, 2**32, 2**40)
    ),
    Rule(JOB, "max_depth: 3", "num_threads: 3", "spec.trainer.lightgbm.params.num_threads",
        "num_threads cannot be set: it follows from"),
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
            ("num_class", "3", "it follows from the values of the label"),
            ("early_stopping_rounds", "3", "earlyStopping"),
            ("force_col_wise", "true", "the trainer fixes it, so that the same fit gives the same bytes"),
            ("monotone_constraints", "[1, 0]", "needs one of -1, 0 and 1 for each of the 1 inputs, found 2"),
            ("monotone_constraints", "[2]", "is a list with one of -1, 0 and 1 for each input, found [2]"),
            ("mc", "x", "is a list with one of -1, 0 and 1 for each input, found 'x'"),
            ("max_bin_by_feature", "[1]", "is a list with a whole number from 2 on for each input"),
            ("feature_contri", "[-0.5]", "is a list with a number from 0 on for each input"),
            ("interaction_constraints", "[[0, 7]]", "names input 7, and there are 1, which count from 0: rain"),
            ("interaction_constraints", "xx", "is a list of lists of inputs, which count from 0, found 'xx'"),
            ("objective", "null", "None does not give what any task asks for"),
        )
    ),
    Rule(JOB, "max_depth: 3", "loss: median", "spec.trainer.lightgbm.params.loss",
        "'median' does not give what any task asks for: leave it out, and it follows from the task"),
    Rule(JOB, "max_depth: 3", "objective: binry", "spec.trainer.lightgbm.params.objective",
        "'binry' does not give what any task asks for", "binary"),
    Rule(JOB, "timeout: 1h", "tune: {search: {objective: {choice: [binary, l3]}}}",
        "spec.tune.search.objective.choice[1]", "'l3' does not give what any task asks for"),
    Rule(JOB, "timeout: 1h", "tune: {search: {n_iter: {randint: [2, 9]}}}", "spec.tune.search.n_iter",
        "n_iter cannot be set: it follows from rounds"),
    Rule(JOB, "max_depth: 3", "learning_rate: 0.1, eta: 0.2", "spec.trainer.lightgbm.params.eta",
        "eta is another name of learning_rate, which is set already: keep one"),
    Rule(JOB, "columns: [rain]", "columns: []", "spec.dataset", "there is nothing to learn from"),
    Rule(JOB, "by: time", "by: random, stratify: true", "spec.dataset.split",
        "stratify needs by: group; by: stratified keeps shares without groups"),
    Rule(JOB, "split: {by: time", "task: regression\n    split: {by: group, group: trip, stratify: true",
        "spec.dataset", "split.stratify keeps shares of classes, and the task is regression"),
    Rule(JOB, "by: time", "by: group, group: trp", "spec.dataset.split.group", "has no column 'trp'", "trip", "rain"),
    Rule(JOB, "timeout: 1h", "evaluation: {slices: [{by: ran, metric: auc, min: 0.5}]}", "spec.evaluation.slices[0].by",
        "the training set has no column 'ran'", "rain", "late"),
    *(
        Rule(JOB, "timeout: 1h", f"evaluation: {{{bar}}}", f"spec.evaluation.{path}", says)
        for bar, path, says in (
            ("gates: [{metric: auc, min: 1.5}]", "gates[0].min", "auc lies between 0 and 1, found 1.5"),
            ("gates: [{metric: auc, min: -1}]", "gates[0].min", "auc lies between 0 and 1, found -1"),
            ("gates: [{metric: auc, min: 0.5, max: 2}]", "gates[0].max", "auc lies between 0 and 1, found 2"),
            ("gates: [{metric: auc, min: 0.6, max: 0.5}]", "gates[0]", "min must not exceed max"),
            ("gates: [{metric: log_loss, max: -1}]", "gates[0].max", "log_loss lies between 0 and 34.5388, found -1"),
            ("gates: [{metric: log_loss, max: 35}]", "gates[0].max", "log_loss lies between 0 and 34.5388, found 35"),
            ("gates: [{metric: auc, comparedTo: live, maxDrop: 2}]", "gates[0].maxDrop",
                "auc can drop by 1 at most, found 2"),
            ("slices: [{by: rain, metric: brier, max: 3}]", "slices[0].max", "brier lies between 0 and 1, found 3"),
            ("slices: [{by: rain, metric: accuracy, min: 60}]", "slices[0].min", "accuracy lies between 0 and 1"),
            ("robustness: [{perturb: noise, metric: auc, maxRise: 0.1}]", "robustness[0]",
                "auc is better when larger: bound it with maxDrop, not maxRise"),
            ("robustness: [{perturb: noise, metric: auc}]", "robustness[0]", "robustness in auc needs maxDrop"),
            ("robustness: [{perturb: missing, amount: 2, metric: auc, maxDrop: 0.1}]", "robustness[0]",
                "amount of missing is a share: 1 at most, found 2"),
            ("robustness: [{perturb: noise, metric: auc, maxDrop: 2}]", "robustness[0].maxDrop",
                "auc can drop by 1 at most, found 2"),
            ("robustness: [{perturb: unseen, metric: auc, maxDrop: 0.1}]", "robustness[0].perturb",
                "unseen needs an input that is a String, and there is none"),
            ("robustness: [{perturb: noise, columns: [], metric: auc, maxDrop: 0.1}]", "robustness[0]",
                "columns names inputs, each once, or all"),
            ("robustness: [{perturb: unseen, columns: [rain], metric: auc, maxDrop: 0.1}]", "robustness[0].columns[0]",
                "unseen needs an input that is a String, and rain is Float64"),
            ("fairness: [{attribute: trip, metric: equalized_odds_difference, max: 2}]", "fairness[0].max",
                "equalized_odds_difference is 1 at most, found 2"),
            ("fairness: [{attribute: trip, metric: group_loss_difference, loss: brier, max: 2}]", "fairness[0].max",
                "group_loss_difference is 1 at most, found 2"),
            ("fairness: [{attribute: trip, metric: group_loss_difference, loss: auc, max: 1}]", "fairness[0]",
                "auc is no loss: it is better when larger"),
            ("fairness: [{attribute: trip, metric: equalized_odds_difference, loss: brier, max: 1}]", "fairness[0]",
                "loss is for group_loss_difference, not for equalized_odds_difference"),
            ("fairness: [{attribute: trip, metric: group_loss_difference, loss: pinball, max: 1}]",
                "fairness[0].metric",
                "pinball needs a task that dataset.task declares"),
        )
    ),
    Rule(JOB, "timeout: 1h", "evaluation: {gates: [{metric: log_loss, comparedTo: live, maxDrop: 0.1}]}",
        "spec.evaluation.gates[0]", "log_loss is better when smaller: bound it with maxRise, not maxDrop"),
    Rule(JOB, "timeout: 1h", "evaluation: {fairness: [{attribute: tip, metric: equalized_odds_difference, max: 0.1}]}",
        "spec.evaluation.fairness[0].attribute", "the training set has no column 'tip'", "trip"),
    Rule(JOB, "timeout: 1h",
        "evaluation: {robustness: [{perturb: noise, columns: [rian], metric: auc, maxDrop: 0.1}]}",
        "spec.evaluation.robustness[0].columns[0]", "the signature has no column 'rian'", "rain"),
    Rule(JOB, "max_depth: 3", "max_dept: 3", "spec.trainer.lightgbm.params.max_dept",
        "LightGBM has no parameter 'max_dept'", "max_depth"),
    Rule(JOB, "timeout: 1h", "tune: {search: {num_leafs: {randint: [2, 9]}}}", "spec.tune.search.num_leafs",
        "LightGBM has no parameter 'num_leafs'", "num_leaf"),
    Rule(JOB, "timeout: 1h", "tune: {search: {rounds: {randint: [2, 9]}}}", "spec.tune.search.rounds",
        "LightGBM has no parameter 'rounds': write trainer.lightgbm.rounds, which no search varies"),
    Rule(JOB, "timeout: 1h", "tune: {search: {eta: {uniform: [0, 1]}}, metric: validation_log_loss}", "spec.tune",
        "validation_log_loss is better when smaller: mode must be min"),
    Rule(JOB, "timeout: 1h", "tune: {search: {eta: {uniform: [0, 1]}}, algorithm: grid}",
        "spec.tune.algorithm", "grid needs choice for every parameter, and eta has none"),
    Rule(JOB, "timeout: 1h", "tune: {search: {eta: {choice: [1, 2, 3]}}, algorithm: grid, trials: 2}",
        "spec.tune.trials",
        "the grid has 3 combinations, but trials is 2"),
    *(
        Rule(JOB, "timeout: 1h", f"tune: {{search: {{{search}}}{more}}}", f"spec.tune{path}", says, meant)
        for search, more, path, says, meant in (
            ("eta: {quniform: [0.1, 0.5, 1]}", "", ".search.eta", "a step of 1 is larger than the range", None),
            ("eta: {quniform: [0.1, 0.5, 0]}", "", ".search.eta", "a step is above 0, found 0", None),
            ("eta: {quniform: [0.15, 0.39, 0.2]}", "", ".search.eta", "lie no two multiples of 0.2", None),
            ("eta: {loguniform: [0, 1]}", "", ".search.eta", "loguniform needs positive bounds", None),
            ("eta: {qlograndint: [9, 9, 1]}", "", ".search.eta", "the lower bound must be below the upper", None),
            ("eta: {randint: [1, 99999999999999999]}", "", ".search.eta", "between -2**53 and 2**53", None),
            ("eta: {uniform: [0, 1], choice: [1]}", "", ".search.eta", "found uniform and choice", None),
            ("eta: {when: {max_depth: [3]}}", "", ".search.eta", "found none", None),
            ("eta: {search: {a: {choice: [1]}}}", "", ".search.eta.search", "no parameter of LightGBM is a map", None),
            ("eta: {uniform: [0, 1], when: {bosting: [gbdt]}}, boosting: {choice: [gbdt, rf]}", "",
                ".search.eta.when.bosting", "bosting is not searched, so it never changes", "boosting"),
            ("eta: {uniform: [0, 1], when: {max_depth: [3]}}", "", ".search.eta.when.max_depth", "not searched", None),
            ("eta: {uniform: [0, 1], when: {boosting: [gbt]}}, boosting: {choice: [gbdt, rf]}", "",
                ".search.eta.when.boosting[0]", "boosting never is 'gbt'", "gbdt"),
            ("eta: {uniform: [0, 1], when: {max_depth: [3, 9]}}, max_depth: {randint: [2, 9]}", "",
                ".search.eta.when.max_depth[1]", "max_depth never is 9", None),
            ("eta: {uniform: [0, 1], when: {max_depth: [true]}}, max_depth: {choice: [1, 2]}", "",
                ".search.eta.when.max_depth[0]", "max_depth never is True", None),
            ("eta: {uniform: [0, 1], when: {lambda_l1: [0.5]}}, lambda_l1: {uniform: [0, 1]}", "",
                ".search.eta.when.lambda_l1[0]", "hardly ever is 0.5: say choice, or steps", None),
            ("eta: {choice: [1], when: {max_depth: [3]}}, max_depth: {choice: [3], when: {eta: [1]}}", "",
                ".search", "eta, max_depth: by their conditions", None),
            ("eta: {choice: [1], when: {eta: [1]}}", "", ".search", "eta: by their conditions", None),
            ("eta: {choice: [1, 2], when: {max_depth: [3]}}, max_depth: {choice: [3, 4]}",
                ", algorithm: grid, trials: 2", ".trials", "the grid has 3 combinations, but trials is 2", None),
            ("eta: {qrandint: [2, 4, 2]}", ", algorithm: grid", ".algorithm", "and eta has none", None),
            ("max_bin: {randint: [9, 99]}", ", scheduler: pbt", ".search.max_bin",
                "max_bin cannot change while a fit goes on", None),
            ("eta: {uniform: [0, 1]}", ", scheduler: pbt, trials: 1", ".trials", "and there is one", None),
            *(
                ("eta: {uniform: [0, 1]}", f", constraints: [{form}]", f".constraints[0]{at}", says, meant)
                for form, at, says, meant in (
                    ("{metric: validation_recal, min: 0.5}", ".metric", "is no metric of the", "validation_recall"),
                    ("{metric: validation_recall, min: 5}", ".min", "recall lies between 0 and 1, found 5", None),
                    ("{metric: validation_recall}", "", "min or max is needed", None),
                    ("{metric: validation_recall, min: 0.9, max: 0.1}", "", "min must not exceed max", None),
                    ("{metric: validation_ndcg, min: 0.3}", ".metric", "ndcg needs a task", None),
                    ("{latency: {max: 2ms}, min: 1}", "", "latency has a max of its own", None),
                    ("{latency: {max: 0ms}}", ".latency.max", "must be longer than nothing", None),
                    ("{latency: {max: 2}}", ".latency.max", "a duration", "2s"),
                    ("{min: 1}", "", "exactly one of metric, latency is needed, found none", None),
                )
            ),
            ("eta: {uniform: [0, 1]}", ", refit: trainAndTest", ".refit", "trainAndTest", "trainAndValidation"),
            ("eta: {uniform: [0, 1]}", ", scheduler: hyperbands", ".scheduler", "hyperband", "hyperband"),
        )
    ),
    Rule(JOB, "lightgbm: {params: {max_depth: 3}, rounds: 20}",
        "sklearn: {estimator: sklearn.linear_model.LogisticRegression}\n"
        "  tune: {search: {C: {uniform: [0.1, 1]}}, scheduler: pbt}", "spec.tune.scheduler", "sklearn cannot"),
    Rule(JOB, "lightgbm: {params: {max_depth: 3}, rounds: 20}",
        "sklearn: {estimator: sklearn.linear_model.LogisticRegression}\n  resources: {elastic: {min: 1, max: 2}}",
        "spec.resources.elastic", "sklearn fits on one worker"),
    Rule(JOB, "timeout: 1h", "resources: {workers: 3, elastic: {min: 1, max: 2}}", "spec.resources",
         "workers must lie between the 1 and 2 of elastic"),
    *(
        Rule(JOB, "timeout: 1h", f"resources: {{labels: {{{written}}}}}", f"spec.resources.labels{key}", says, *meant)
        for key, written, says, meant in (
            (".pool", "pool: notin(a)", "'notin(a)' does not select a label: write a value, !value, in(a, b)", ("!a",)),
            (".pool", "pool: '!= a'", "does not select a label", ("!a",)),
            (".pool", "pool: '[a, b]'", "does not select a label", ("in(a, b)",)),
            (".pool", "pool: in(a", "does not select a label", ("a",)),
            (".pool", "pool: in()", "does not select a label", ()),
            (".pool", "pool: ''", "'' does not select a label", ()),
            (".pool", "pool: -a-", "does not select a label", ("a",)),
            (".pool", f"pool: {'a' * 64}", "does not select a label", ()),
            (".pool", "pool: [a, b]", "expected text", ()),
            (".pool", "pool: true", "expected text", ()),
            (".pool", "pool: 3", "expected text", ()),
            ('["a pool"]', "a pool: a", "'a pool' is no label of a node", ()),
            (".größe", "größe: a", "is no label of a node", ()),
            (".a/b/c", "a/b/c: a", "is no label of a node", ()),
            ('["ray.io/node-id"]', "ray.io/node-id: a", "so no commit can know it", ()),
        )
    ),
    Rule(JOB, "timeout: 1h", "resources: {elastic: {min: 4, max: 2}}", "spec.resources.elastic",
        "min must not exceed max"),
    Rule(JOB, "timeout: 1h", "retrain: {cooldown: 24h}", "spec.retrain",
        "retrain needs schedule, onNewData or onDrift"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: {row: 5}}", "spec.retrain.onNewData.row", "unknown", "rows"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: {rows: 0}}", "spec.retrain.onNewData.rows", "at least 1"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: often}", "spec.retrain.onNewData", "true or false"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: false}", "spec.retrain", "or nothing ever triggers it"),
    Rule(JOB, "timeout: 1h", "retrain: {schedule: 0 3 * * 1, timezone: vienna}", "spec.retrain.timezone",
         "'vienna' is not a timezone", "Europe/Vienna"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: true, timezone: UTC}", "spec.retrain", "timezone is for schedule"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: true, budget: {}}", "spec.retrain.budget", "runs or gpuHours"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: true, budget: {runs: 0}}", "spec.retrain.budget.runs", "at least 1"),
    Rule(JOB, "timeout: 1h", "retrain: {onNewData: true, mode: Direct}", "spec.retrain.mode", "'Direct'",
        "direct"),
    Rule(JOB, "fractions: {train: 0.7, validation: 0.15, test: 0.15}", "at: {validation: 2013-03-01, test: 2013-02-01}",
        "spec.dataset.split.at", "validation must be before test"),
    Rule(JOB, "fractions: {train: 0.7, validation: 0.15, test: 0.15}", "at: {validation: 2013-03-01, test: 2014-02-01}",
        "spec.dataset.split.at.test", "lies behind the window"),
    Rule(JOB, "fractions: {train: 0.7, validation: 0.15, test: 0.15}", "at: {validation: 2012-03-01, test: 2013-02-01}",
        "spec.dataset.split.at.validation", "lies before the window"),
    Rule(JOB, "test: 0.15", "test: 0", "spec.dataset.split.fractions.test", "must be more than 0"),
    Rule(JOB, "lightgbm: {params: {max_depth: 3}, rounds: 20}", "sklearn: {estimator: linear_model.LogisticRegression}",
        "spec.trainer.sklearn.estimator", "is no class below sklearn", "sklearn.linear_model.LogisticRegression"),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_does_not_fit_is_told(project: Project, rule: Rule) -> None:
    told(project, rule)


def test_a_monitor_that_does_not_watch_drift_is_no_cause_to_train_again(project: Project) -> None:
    project.edit(JOB, ("timeout: 1h", SCHEDULED % "watch"))
    project.edit(MONITOR, ("drift: {columns: [rain], statistics: {rain: ks}}", "quality: {maxNullRate: 0.1}"))
    (problem,) = project.check().errors

    assert (problem.path, problem.message) == ("spec.retrain.onDrift[0]", "ModelMonitor/watch does not watch drift")


@pytest.mark.slow
def test_a_view_and_a_job_of_ten_thousand_columns_are_checked_at_once(project: Project) -> None:
    columns = "".join(f"\n    - {{name: c{number}, dtype: Int8}}" for number in range(9_000))
    project.edit(WEATHER, ("    - {name: rain, dtype: Float64}", f"    - {{name: rain, dtype: Float64}}{columns}"))
    features = "".join(f"\n      - {{view: weather, columns: [x{number}]}}" for number in range(6_000))
    project.edit(JOB, ("      - {view: weather, columns: [rain]}", f"      - {{view: weather}}{features}"))
    started = time.process_time()

    assert len(project.check().errors) >= 6_000
    assert time.process_time() - started < 20.0


@pytest.mark.slow
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


def test_whatever_dtype_a_view_declares_can_be_an_input() -> None:
    pytest.importorskip("polars")
    from framework.kinds.feature_view.spec import Dtype
    from framework.workloads.models import INPUT_DTYPES

    assert set(get_args(Dtype)) == INPUT_DTYPES


@pytest.mark.parametrize("version", ["latest", "stable", "again", '"0123456789"', "deadbeef00"])
def test_a_version_may_be_asked_for_by_its_name_or_an_alias(project: Project, version: str) -> None:
    project.edit(JOB, ("timeout: 1h", 'aliases: {stable: "0123456789", again: stable, newest: latest}'))
    for file in (DEPLOYMENT, BATCH):
        project.edit(file, ("training: late", f"training: late, version: {version}"))
    assert project.check().errors == ()


@pytest.mark.parametrize("version", ["champion", "challenger"])
def test_predictions_may_follow_what_serves(project: Project, version: str) -> None:
    project.edit(BATCH, ("training: late", f"training: late, version: {version}"))
    assert project.check().errors == ()
