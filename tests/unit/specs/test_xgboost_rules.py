"""What a TrainingJob may give XGBoost, as far as that can be told without it."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import JOB, WEATHER, Rule, told

_LIGHTGBM = "lightgbm: {params: {max_depth: 3}, rounds: 20}"

RULES = [
    *(
        Rule(JOB, _LIGHTGBM, f"xgboost: {{params: {{{name}: {value}}}}}", f"spec.trainer.xgboost.params.{name}", told)
        for name, value, told in (
            ("nthread", "3", "nthread cannot be set: it follows from resources.cpusPerWorker"),
            ("n_jobs", "3", "n_jobs cannot be set: it follows from resources.cpusPerWorker"),
            ("random_state", "9", "it follows from seed: write spec.seed"),
            ("n_estimators", "9", "it follows from rounds: write trainer.xgboost.rounds"),
            ("num_boost_round", "9", "it follows from rounds: write trainer.xgboost.rounds"),
            ("num_class", "3", "it follows from the values of the label"),
            ("quantile_alpha", "0.5", "it follows from the quantiles: write dataset.quantiles"),
            ("early_stopping_rounds", "3", "write trainer.xgboost.earlyStopping"),
            ("eval_metric", "auc", "it has no effect: all metrics of the task are measured"),
            ("enable_categorical", "true", "it follows from the inputs and their dtypes"),
            ("xgb_model", "m.ubj", "it names a file, and a spec reads none that it does not declare"),
            ("data", "x.csv", "it names a file, and a spec reads none that it does not declare: dataset says"),
            ("model_out", "x.ubj", "it has XGBoost write files of its own"),
            ("updater", "refresh", "it follows from tree_method: write that"),
            ("process_type", "update", "it is for trees that there are already"),
            ("feature_selector", "greedy", "it is for booster gblinear, which knows no categories"),
            ("gpu_id", "0", "XGBoost has it no longer: write device"),
            ("verbosity", "2", "it changes what is printed, and nothing that is learned"),
            ("monotone_constraints", "[1, 0]", "needs one of -1, 0 and 1 for each of the 1 inputs, found 2"),
            (
                "monotone_constraints",
                "{rain: 1}",
                "is a list with one of -1, 0 and 1 for each input, found {",
            ),
            ("interaction_constraints", "[[0, 7]]", "names input 7, and there are 1, which count from 0: rain"),
            ("objective", "binary:hinge", "'binary:hinge' does not give what any task asks for"),
        )
    ),
    *(
        Rule(JOB, _LIGHTGBM, f"xgboost: {{params: {{{wrong}}}}}", f"spec.trainer.xgboost.params.{name}", told, meant)
        for name, wrong, told, meant in (
            ("max_dept", "max_dept: 3", "XGBoost has no parameter 'max_dept'", "max_depth"),
            ("num_leaves", "num_leaves: 3", "XGBoost has no parameter 'num_leaves'", "max_leaves"),
            ("eta", "learning_rate: 0.1, eta: 0.2", "eta is another name of learning_rate, which is set already", None),
            ("objective", "objective: reg:squarederr", "does not give what any task", "reg:squarederror"),
            ("booster", "booster: drat", "XGBoost has no booster 'drat' here", "dart"),
            ("booster", "booster: gblinear", "XGBoost has no booster 'gblinear' here", None),
            ("tree_method", "tree_method: gpu_hist", "XGBoost has no tree_method 'gpu_hist' here", "hist"),
            ("device", "device: 'cuda:1'", "XGBoost has no device 'cuda:1' here", "cuda"),
        )
    ),
    Rule(
        JOB,
        _LIGHTGBM,
        "xgboost: {rounds: 9}\n  tune: {search: {rounds: {randint: [2, 9]}}}",
        "spec.tune.search.rounds",
        "XGBoost has no parameter 'rounds': write trainer.xgboost.rounds, which no search varies",
    ),
    Rule(
        JOB,
        _LIGHTGBM,
        "xgboost: {rounds: 9}\n  tune: {search: {tree_method: {choice: [hist, exakt]}}}",
        "spec.tune.search.tree_method.choice[1]",
        "XGBoost has no tree_method 'exakt' here",
        "exact",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_does_not_fit_is_told(project: Project, rule: Rule) -> None:
    told(project, rule)


@pytest.mark.parametrize("params", ["tree_method: exact", "multi_strategy: multi_output_tree"])
def test_what_xgboost_learns_from_numbers_alone_is_told_where_there_are_strings(project: Project, params: str) -> None:
    project.edit(JOB, (_LIGHTGBM, f"xgboost: {{params: {{{params}}}}}"))
    assert project.check().errors == ()
    project.edit(WEATHER, ("{name: rain, dtype: Float64}", "{name: rain, dtype: String}"))
    (problem,) = project.check().errors
    assert problem.message == f"{params} learns from numbers alone, and rain is String"


def test_an_objective_of_xgboost_is_one_of_the_task(project: Project) -> None:
    task = "label: late\n    task: multiclass"
    project.edit(JOB, (_LIGHTGBM, "xgboost: {params: {objective: 'multi:softprob'}}"), ("label: late", task))
    assert project.check().errors == ()
    project.edit(JOB, ("multi:softprob", "reg:tweedie"))
    (problem,) = project.check().errors
    assert problem.message.startswith("'reg:tweedie' does not give what task multiclass asks for: leave it out")
    assert problem.allowed == ("multi:softprob",)
