"""What a TrainingJob may say of metrics of its own, of costs, of folds and of gaps between parts."""

from __future__ import annotations

import pytest

from framework.api.meta import Ref
from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import JOB, Rule, told

JOB_REF = Ref("TrainingJob", "late")
_OWN = 'name: profit, entrypoint: "demo.kpi:profit", better: larger'
_SPLIT = "split: {by: time, fractions: {train: 0.7, validation: 0.15, test: 0.15}}"


def evaluation(form: str, path: str, says: str, meant: str | None = None, more: str = "") -> Rule:
    return Rule(JOB, "timeout: 1h", f"evaluation: {{{form}}}{more}", f"spec.{path}", says, meant)


def own(form: str, path: str, says: str, meant: str | None = None) -> Rule:
    return evaluation(f"metrics: [{{{form}}}]", f"evaluation.metrics[0]{path}", says, meant)


def gate(form: str, path: str, says: str, meant: str | None = None, more: str = f"metrics: [{{{_OWN}}}], ") -> Rule:
    return evaluation(f"{more}gates: [{{{form}}}]", f"evaluation.gates[0]{path}", says, meant)


def split(old: str, new: str, path: str, says: str) -> Rule:
    return Rule(JOB, old, new, f"spec.{path}", says)


def disturbed(
    form: str, path: str, says: str, meant: str | None = None, more: str = f"metrics: [{{{_OWN}}}], "
) -> Rule:
    return evaluation(f"{more}robustness: [{{perturb: noise, {form}}}]", f"evaluation.robustness[0]{path}", says, meant)


def fair(form: str, path: str, says: str, meant: str | None = None, more: str = f"metrics: [{{{_OWN}}}], ") -> Rule:
    bar = f"attribute: trip, metric: group_loss_difference, max: 1, {form}"
    return evaluation(f"{more}fairness: [{{{bar}}}]", f"evaluation.fairness[0]{path}", says, meant)


RULES = [
    disturbed("metric: proft, maxDrop: 1", ".metric", "'proft' is no metric", "profit"),
    disturbed("metric: profit, maxRise: 1", "", "profit is better when larger: bound it with maxDrop, not maxRise"),
    disturbed("metric: profit", "", "robustness in profit needs maxDrop or maxRise"),
    disturbed("metric: profit, maxDrop: 1, maxRise: 1", "", "robustness in profit needs maxDrop or maxRise"),
    disturbed("metric: cost, maxRise: 1", ".metric", "'cost' is no metric"),
    disturbed("metric: cost, maxDrop: 1", "", "cost is better when smaller", more="costs: {0: {1: 2}}, "),
    disturbed("metric: validation_profit, maxDrop: 1", "", "the test rows are disturbed: write metric: profit"),
    disturbed("metric: cv_auc, maxDrop: 1", "", "the test rows are disturbed: write metric: auc"),
    fair("loss: profit", "", "profit is no loss: it is better when larger"),
    fair("loss: proft", ".loss", "'proft' is no metric", "profit"),
    fair("loss: cost", ".loss", "'cost' is no metric"),
    fair("loss: validation_brier", "", "groups are parts of the test rows: write loss: brier"),
    own(_OWN.replace("profit,", "auc,"), ".name", "auc is the name of a metric that there is already"),
    own(_OWN.replace("profit,", "cost,"), ".name", "cost is the name of a metric that there is already"),
    own(_OWN.replace("profit,", "cv_profit,"), ".name", "'cv_profit' would be taken for something else"),
    own(_OWN.replace("profit,", "validation_x,"), ".name", "'validation_x' would be taken for something else"),
    own(_OWN.replace("profit,", "Gewinn €,"), ".name", "'Gewinn €' is no name of a metric: 1 to 40 of a-z, 0-9 and _"),
    own(_OWN.replace("larger", "higher"), ".better", "'higher' is not allowed here"),
    own(f"{_OWN}, columns: [ran]", ".columns[0]", "the training set has no column 'ran'", "rain"),
    own(
        _OWN.replace("demo.kpi", "demo.kpis"), ".entrypoint", "no module demo.kpis in the repository", "demo.kpi:profit"
    ),
    own(_OWN.replace(":profit", ":profits"), ".entrypoint", "demo/kpi.py defines no profits", "demo.kpi:profit"),
    evaluation(f"metrics: [{{{_OWN}}}, {{{_OWN}}}]", "evaluation", "metrics has profit twice"),
    gate("metric: proft, min: 1", ".metric", "'proft' is no metric", "profit"),
    gate("metric: acu, min: 0.5", ".metric", "'acu' is no metric", "auc", more=""),
    gate("metric: profit, max: 1", "", "profit is better when larger: bound it with min"),
    gate("metric: profit, comparedTo: live, maxRise: 1", "", "bound it with maxDrop, not maxRise"),
    gate("metric: profit, comparedTo: live", "", "comparedTo needs maxDrop or maxRise and excludes min and max"),
    gate("metric: cost, max: 1", ".metric", "'cost' is no metric", more=""),
    gate("metric: cost, min: 1", "", "cost is better when smaller: bound it with max", more="costs: {0: {1: 2}}, "),
    gate("metric: cv_auc, min: 0.7", ".metric", "cv_auc is what evaluation.crossValidation measures, and"),
    gate("metric: cv_acu, min: 0.7", ".metric", "'cv_acu' is no metric", "cv_auc", more="crossValidation: {}, "),
    gate("metric: cv_auc, min: 2", ".min", "cv_auc lies between 0 and 1, found 2", more="crossValidation: {}, "),
    gate(
        "metric: cv_auc, comparedTo: live, maxDrop: 0.1",
        "",
        "cv_auc is of folds that the live model was not fitted on",
        more="crossValidation: {}, ",
    ),
    *(
        evaluation(
            f"crossValidation: {{}}, slices: [{{by: rain, metric: {prefix}auc, min: 0.5}}]",
            "evaluation.slices[0]",
            "slices are parts of the test rows: write metric: auc",
        )
        for prefix in ("cv_", "validation_")
    ),
    gate("metric: validation_auc, comparedTo: live, maxDrop: 0.1", "", "models are compared on the test rows: write m"),
    evaluation("costs: {}", "evaluation", "costs must name something that costs"),
    evaluation("costs: {0: {1: 0}}", "evaluation", "costs must name something that costs"),
    evaluation("costs: {0: {1: .inf}}", "evaluation.costs.0.1", "must be a finite number"),
    evaluation("crossValidation: {folds: 1}", "evaluation.crossValidation.folds", "must be at least 2"),
    evaluation("crossValidation: {folds: 51}", "evaluation.crossValidation.folds", "must be at most 50"),
    evaluation("crossValidation: {gap: 1}", "evaluation.crossValidation.gap", "1 is not a duration", "1s"),
    evaluation(
        f"metrics: [{{{_OWN}}}]",
        "tune",
        "validation_profit is better when larger: mode must be max",
        more="\n  tune: {search: {max_depth: {randint: [2, 9]}}, metric: validation_profit, mode: min}",
    ),
    split(_SPLIT, _SPLIT.replace("by: time", "by: random, gap: 1d"), "dataset.split", "gap needs by: time"),
    split(_SPLIT, _SPLIT.replace("by: time", "by: time, gap: soon"), "dataset.split.gap", "not a duration"),
    split(
        f"{_SPLIT}\n  trainer:\n    lightgbm: {{params: {{max_depth: 3}}, rounds: 20}}",
        _SPLIT.replace("by: time", "by: random")
        + "\n  evaluation: {crossValidation: {gap: 1d}}"
        + "\n  trainer:\n    lightgbm: {params: {max_depth: 3}, rounds: 20}",
        "evaluation.crossValidation.gap",
        "is for rows that are divided by time, and dataset.split.by is random",
    ),
]


@pytest.fixture
def measured(project: Project) -> Project:
    (project.root / "demo").mkdir(exist_ok=True)
    (project.root / "demo" / "__init__.py").touch()
    (project.root / "demo" / "kpi.py").write_text("def profit(truth, answers, rows): ...\n")
    return project


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_cannot_be_is_told(measured: Project, rule: Rule) -> None:
    told(measured, rule)


@pytest.mark.parametrize("dtype", ["Boolean", "Int8"])
@pytest.mark.parametrize(
    "form",
    [
        f"metrics: [{{{_OWN}}}], crossValidation: {{}}, gates: [{{metric: profit, min: -5}}]",
        f"metrics: [{{{_OWN}}}], crossValidation: {{}}, gates: [{{metric: cv_profit, min: 1}}]",
        f"metrics: [{{{_OWN}, columns: [rain]}}], gates: [{{metric: profit, comparedTo: live, maxDrop: 1}}]",
        "costs: {0: {1: 1}, 1: {0: 9.5, 1: -2}}, gates: [{metric: cost, max: 3}]",
        f"metrics: [{{{_OWN}}}], robustness: [{{perturb: noise, metric: profit, maxDrop: 1}}]",
        f"metrics: [{{{_OWN.replace('larger', 'smaller')}}}], fairness: [{{attribute: trip, metric: "
        "group_loss_difference, loss: profit, max: 40}]",
        "costs: {0: {1: 1}}, robustness: [{perturb: noise, metric: cost, maxRise: 1}], fairness: [{attribute: trip, "
        "metric: group_loss_difference, loss: cost, max: 2}]",
        "crossValidation: {folds: 3, gap: 1d}, gates: [{metric: cv_log_loss, max: 0.6}]",
    ],
)
def test_what_can_be_is_valid(measured: Project, form: str, dtype: str) -> None:
    measured.edit("features/trips.yaml", ("{name: late, dtype: Int8}", f"{{name: late, dtype: {dtype}}}"))
    measured.edit(JOB, ("timeout: 1h", f"evaluation: {{{form}}}"))
    assert measured.check().errors == ()


def test_costs_are_of_the_classes_of_the_label(measured: Project) -> None:
    measured.edit("features/trips.yaml", ("{name: late, dtype: Int8}", "{name: late, dtype: Boolean}"))
    told(
        measured,
        evaluation("costs: {0: {yes: 1}}", "evaluation.costs.0.yes", "'yes' is no class of a binary label"),
    )


def test_costs_are_of_classes(measured: Project) -> None:
    measured.edit("features/trips.yaml", ("{name: late, dtype: Int8}", "{name: late, dtype: Float64}"))
    measured.edit(JOB, ("label: late", "label: late\n    task: regression"))
    told(measured, evaluation("costs: {0: {1: 1}}", "evaluation.costs", "are of classes, and the task is regression"))


def test_the_code_of_a_metric_is_part_of_what_a_model_is_named_by(measured: Project) -> None:
    measured.edit(JOB, ("timeout: 1h", f"evaluation: {{metrics: [{{{_OWN}}}]}}"))
    before = measured.snapshot().desired[JOB_REF].identity
    (measured.root / "demo" / "kpi.py").write_text("def profit(truth, answers, rows): return 1.0\n")
    assert measured.snapshot().desired[JOB_REF].identity != before
