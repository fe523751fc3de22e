"""What a TrainingJob may say of when its fit stops."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import JOB, Rule, told

_LIGHTGBM = "lightgbm: {params: {max_depth: 3}, rounds: 20}"
_BELOW = {
    "lightgbm": "lightgbm: {{params: {{max_depth: 3}}, rounds: 20, earlyStopping: {}}}",
    "xgboost": "xgboost: {{rounds: 20, earlyStopping: {}}}",
    "torch": 'torch: {{entrypoint: "demo.networks:build", earlyStopping: {}}}',
}


def stop(trainer: str, form: str, path: str, says: str, meant: str | None = None) -> Rule:
    new = _BELOW[trainer].format(form)
    return Rule(JOB, _LIGHTGBM, new, f"spec.trainer.{trainer}.earlyStopping{path}", says, meant)


def trainer(new: str, path: str, says: str) -> Rule:
    return Rule(JOB, _LIGHTGBM, new, f"spec.{path}", says)


RULES = [
    stop("lightgbm", "{patience: 0}", ".patience", "must be at least 1"),
    stop("xgboost", "{patience: 2.5}", ".patience", "a whole number"),
    stop("torch", "{patience: 2, minDelta: -1}", ".minDelta", "must be at least 0"),
    stop("lightgbm", "{patience: 2, minDelta: .nan}", ".minDelta", "must be a finite number"),
    stop("lightgbm", "{patience: 2, metric: auc}", ".metric", "no metric of the validation part", "validation_auc"),
    stop("lightgbm", "{patience: 2, metric: validation_ndcg}", ".metric", "ndcg needs a task that dataset.task"),
    trainer(
        "sklearn: {estimator: sklearn.linear_model.LogisticRegression, earlyStopping: {patience: 3}}",
        "trainer.sklearn",
        "no earlyStopping here: estimators that can stop early do so by parameters of their own",
    ),
    trainer(
        'function: {entrypoint: "demo.networks:build", earlyStopping: {patience: 3}}',
        "trainer.function",
        "the function says itself when it stops",
    ),
    trainer(
        "lightgbm: {params: {boosting: dart}, rounds: 20, earlyStopping: {patience: 3}}",
        "trainer.lightgbm.params.boosting",
        "dart changes earlier trees in each round",
    ),
    trainer(
        "xgboost: {earlyStopping: {patience: 3}}\n  tune: {search: {booster: {choice: [gbtree, dart]}}}",
        "tune.search.booster.choice[1]",
        "dart changes earlier trees in each round",
    ),
    trainer(
        "xgboost: {earlyStopping: {patience: 3}}\n  tune: {search: {eta: {uniform: [0.1, 0.2]}}, scheduler: pbt}",
        "trainer.xgboost.earlyStopping",
        "pbt has all fits go on for equally many rounds",
    ),
    trainer(
        "lightgbm: {params: {early_stopping_round: 3}, rounds: 20}",
        "trainer.lightgbm.params.early_stopping_round",
        "write trainer.lightgbm.earlyStopping",
    ),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}-{rule.says[:30]}")
def test_what_cannot_be_is_told(project: Project, rule: Rule) -> None:
    project.write("../demo/networks.py", "def build(data, params): ...\n")
    told(project, rule)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("form", ["{patience: 20}", "{metric: validation_log_loss, patience: 1, minDelta: 0.01}"])
def test_what_can_be_is_valid(project: Project, name: str, form: str) -> None:
    project.edit(JOB, (_LIGHTGBM, _BELOW[name].format(form)))
    assert project.check().errors == ()
