"""What a TrainingJob may say of its task: labels, metrics and bars that fit each other."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import JOB, MONITOR, Rule, project, told

__all__ = ["project"]

_TASK, _GATES, _TUNE = "label: late\n    {}", "evaluation: {{gates: [{{{}}}]}}", "tune: {{search: {}, {}}}"
_DEPTH = "{max_depth: {randint: [2, 9]}}"


def task(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, "label: late", _TASK.format(form.replace(";", "\n    ")), f"spec.dataset{path}", says, meant)


def gate(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, "timeout: 1h", _GATES.format(form), f"spec.evaluation.gates[0]{path}", says, meant)


def decision(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, "timeout: 1h", f"decision: {form}", f"spec.decision{path}", says, meant)


def tune(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return Rule(JOB, "timeout: 1h", _TUNE.format(_DEPTH, form), f"spec.tune{path}", says, meant)


RULES = [
    task("task: regresion", ".task", "'regresion' is not allowed here", "regression"),
    task("task: quantile", "", "quantiles says which ones for task: quantile, and only for it"),
    task("quantiles: [0.5]", "", "quantiles says which ones for task: quantile, and only for it"),
    task("task: quantile;quantiles: [0.9, 0.1]", "", "quantiles must rise, each once"),
    task("task: ranking", "", "query names the column of the lists"),
    task("task: ranking;query: quey", ".query", "the training set has no column 'quey'"),
    task("weight: ran", ".weight", "the training set has no column 'ran'", "rain"),
    task("task: regression;classWeights: balanced", "", "classWeights is for classes, and the task is regression"),
    task("classWeights: {0: -1}", ".classWeights.0", "must be at least 0"),
    gate("metric: ndcg@0, min: 0.5", ".metric", "'ndcg@0' is no metric", "ndcg"),
    gate("metric: auc@5, min: 0.5", ".metric", "'auc@5' is no metric", "auc"),
    gate("metric: ndcg@5, min: 0.5", ".metric", "ndcg@5 needs a task that dataset.task declares"),
    gate("metric: rmse, comparedTo: live, maxDrop: 1", "", "rmse is better when smaller: bound it with maxRise, not"),
    gate("metric: auc, comparedTo: live, maxRise: 1", "", "auc is better when larger: bound it with maxDrop, not"),
    gate("metric: auc, comparedTo: live", "", "comparedTo needs maxDrop and excludes min and max"),
    gate("metric: mae, comparedTo: live", "", "comparedTo needs maxRise and excludes min and max"),
    gate("metric: auc, maxRise: 1", "", "maxRise needs comparedTo"),
    gate("metric: rmse, max: -1", ".max", "rmse is 0 or more, found -1"),
    gate("metric: r2, min: 2", ".min", "r2 is 1 or less, found 2"),
    gate("metric: brier, comparedTo: live, maxRise: 2", ".maxRise", "brier can rise by 1 at most, found 2"),
    gate("metric: auc, min: 0.5, confidence: 0.9", "", "confidence needs comparedTo"),
    gate("metric: auc, comparedTo: live, maxDrop: 0.1, confidence: 1", ".confidence", "must be at most 0.99"),
    decision("{maximize: F1}", ".maximize", "'F1' is not allowed here", "f1"),
    decision("{recall: 0.9, precision: 0.9}", "", "exactly one"),
    decision("{cost: {falsePositive: 0, falseNegative: 0}}", ".cost", "some mistake must cost something"),
    decision("{recall: 0}", ".recall", "must be more than 0"),
    tune("metric: validation_rsme, mode: min", ".metric", "'validation_rsme' is no metric", "validation_rmse"),
    tune("metric: auc", ".metric", "'auc' is no metric of the validation part", "validation_auc"),
    tune("metric: validation_rmse", "", "validation_rmse is better when smaller: mode must be min"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_does_not_fit_is_told(project: Project, rule: Rule) -> None:
    told(project, rule)


@pytest.mark.parametrize(
    ("dtype", "form", "says"),
    [
        ("Boolean", "metric: rmse, max: 1", "rmse is no metric of binary (its own: auc, "),
        ("String", "metric: rmse, max: 1", "rmse is no metric of multiclass"),
        ("Float64", "metric: pinball, max: 1", "pinball needs a task that dataset.task declares"),
    ],
)
def test_metrics_fit_what_the_label_is(project: Project, dtype: str, form: str, says: str) -> None:
    project.edit("features/trips.yaml", ("{name: late, dtype: Int8}", f"{{name: late, dtype: {dtype}}}"))
    told(project, gate(form, ".metric", says))


@pytest.mark.parametrize(
    ("dtype", "more", "says"),
    [
        ("Datetime", "", "late is Datetime; a label is a number, Boolean or a String"),
        ("String", "task: regression", "late is String; a label is a number, for task regression"),
        ("Float64", "task: multiclass", "late is Float64; a label is a String, a whole number or Boolean, for task"),
    ],
)
def test_the_label_fits_the_task(project: Project, dtype: str, more: str, says: str) -> None:
    project.edit("features/trips.yaml", ("{name: late, dtype: Int8}", f"{{name: late, dtype: {dtype}}}"))
    told(project, task(more, ".label", says))


@pytest.mark.parametrize(
    ("dtype", "form"),
    [
        ("Boolean", "task: binary"),
        ("Int8", "task: multiclass;classWeights: {0: 1.5, 3: 2}"),
        ("String", "classWeights: balanced"),
        ("Float32", "task: quantile;quantiles: [0.1, 0.5, 0.9]"),
        ("Int8", "task: ranking;query: trip"),
        ("Float64", ""),
    ],
)
def test_what_fits_is_valid(project: Project, dtype: str, form: str) -> None:
    project.edit("features/trips.yaml", ("{name: late, dtype: Int8}", f"{{name: late, dtype: {dtype}}}"))
    project.edit(JOB, ("label: late", _TASK.format(form.replace(";", "\n    "))))
    assert project.check().errors == ()


def test_a_trainer_is_not_asked_for_what_it_cannot_learn(project: Project) -> None:
    sklearn = "sklearn: {estimator: sklearn.linear_model.Ridge}"
    project.edit(JOB, ("lightgbm: {params: {max_depth: 3}, rounds: 20}", sklearn))
    says = "sklearn cannot learn task ranking (it learns binary, multiclass, regression)"
    told(
        project, Rule(JOB, "label: late", _TASK.format("task: ranking\n    query: trip"), "spec.trainer.sklearn", says)
    )


LABELLED = "drift: {columns: [rain], statistics: {rain: ks}}"
MEASURED = "performance: {{labels: {{view: trips, key: trip, column: late}}{}}}"


@pytest.mark.parametrize(
    ("dtype", "more", "path", "says"),
    [
        ("Boolean", ", metric: rmse, maxRise: 1", ".metric", "rmse is no metric of binary (its own: auc, "),
        ("Boolean", ", metric: acu", ".metric", "'acu' is no metric (allowed: auc, "),
        ("Boolean", ", metric: profit", ".metric", "one of a TrainingJob's own is measured by its runs alone"),
        ("Int8", ", metric: mae", "", "mae is better when smaller: say by maxRise how much more is no loss yet"),
        ("Int8", ", metric: auc, maxRise: 1", "", "auc is better when larger: bound it with maxDrop, not maxRise"),
    ],
)
def test_a_monitor_measures_what_the_model_learns(
    project: Project, dtype: str, more: str, path: str, says: str
) -> None:
    project.edit("features/trips.yaml", ("{name: late, dtype: Int8}", f"{{name: late, dtype: {dtype}}}"))
    meant = "auc" if "acu" in more else None
    told(project, Rule(MONITOR, LABELLED, MEASURED.format(more), f"spec.performance{path}", says, meant))


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("task: regression", "maxRise is missing: rmse is measured, which is better when smaller"),
        ("task: ranking\n    query: trip", "a ranking cannot be judged from labels: what is logged names no list"),
    ],
)
def test_a_monitor_says_what_is_no_loss_yet(project: Project, declared: str, says: str) -> None:
    project.edit(JOB, ("label: late", _TASK.format(declared)))
    told(project, Rule(MONITOR, LABELLED, MEASURED.format(""), "spec.performance", says))
