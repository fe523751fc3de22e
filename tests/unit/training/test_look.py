"""What scikit-learn says of a job before it is run."""

from __future__ import annotations

from typing import Any

import pytest

from framework.api.nearest import nearest
from framework.kinds.training_job.question import question
from framework.workloads.training.look import look


def found(estimator: str, params: dict[str, Any] | None = None, search: dict[str, Any] | None = None) -> list[Any]:
    trainer = {"sklearn": {"estimator": estimator, "params": params or {}}}
    spec = {"trainer": trainer, **({"tune": {"search": search}} if search else {})}
    return [(mistake.path, mistake.message, mistake.wanted) for mistake in look({"spec": spec})]


LOGISTIC = "sklearn.linear_model.LogisticRegression"
ESTIMATOR = "spec.trainer.sklearn.estimator"


@pytest.mark.parametrize(
    ("estimator", "params", "search"),
    [
        (LOGISTIC, {"C": 0.5, "max_iter": 200}, {"C": {"loguniform": [0.1, 1.0]}}),
        ("sklearn.svm.SVC", {"probability": True}, {"C": {"choice": [1, 10]}}),
        ("sklearn.linear_model.SGDClassifier", {}, {"loss": {"choice": ["log_loss", "modified_huber"]}}),
        ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 20}, {"max_depth": {"randint": [2, 9]}}),
        ("sklearn.neural_network.MLPClassifier", {"hidden_layer_sizes": [10]}, None),
    ],
)
def test_what_can_be_fitted_is_sound(estimator: str, params: dict[str, Any], search: dict[str, Any] | None) -> None:
    assert found(estimator, params, search) == []


@pytest.mark.parametrize(
    ("estimator", "params", "path", "told", "wanted"),
    [
        ("sklearn.ensemble.RandomForest", {}, ESTIMATOR, "scikit-learn has no sklearn.ensemble.RandomForest", True),
        ("sklearn.linear_models.LogisticRegression", {}, ESTIMATOR, "scikit-learn has no sklearn.linear_models", True),
        ("sklearn.model_selection.train_test_split", {}, ESTIMATOR, "scikit-learn has no", True),
        ("sklearn.preprocessing.StandardScaler", {}, ESTIMATOR, "StandardScaler is no classifier", False),
        ("sklearn.svm.LinearSVC", {}, ESTIMATOR, "LinearSVC is no classifier with probabilities", False),
        ("sklearn.svm.SVC", {}, ESTIMATOR, "when probability=False; say params: {probability: true}", False),
        ("sklearn.linear_model.SGDClassifier", {}, ESTIMATOR, "not available for loss='hinge'", False),
        ("sklearn.ensemble.VotingClassifier", {}, ESTIMATOR, "missing 1 required positional argument", False),
        (LOGISTIC, {"Cc": 1}, 'spec.trainer.sklearn.params["Cc"]', "has no parameter 'Cc'", True),
        (LOGISTIC, {"C": -1}, 'spec.trainer.sklearn.params["C"]', "must be a float in the range", False),
        (
            "sklearn.ensemble.RandomForestClassifier",
            {"max_depth": "deep"},
            'spec.trainer.sklearn.params["max_depth"]',
            "Got 'deep' instead",
            False,
        ),
    ],
)
def test_what_cannot_be_fitted_is_told_at_its_place(
    estimator: str, params: dict[str, Any], path: str, told: str, wanted: bool
) -> None:
    ((where, message, name),) = found(estimator, params)
    assert where == path
    assert told in message
    assert (name is not None) is wanted


@pytest.mark.parametrize(
    ("task", "meant"),
    [
        ("regression", "sklearn.ensemble.RandomForestRegressor"),
        ("multiclass", "sklearn.ensemble.RandomForestClassifier"),
        (None, "sklearn.ensemble.RandomForestClassifier"),
    ],
)
def test_what_is_likely_meant_answers_what_the_task_asks_for(task: str | None, meant: str) -> None:
    trainer = {"sklearn": {"estimator": "sklearn.ensemble.RandomForest"}}
    (mistake,) = look({"spec": {"trainer": trainer, "task": task}})
    assert mistake.wanted is not None
    assert nearest(mistake.wanted, mistake.allowed) == meant


def test_of_a_trainer_that_cannot_learn_the_task_nothing_more_is_asked() -> None:
    spec = {"trainer": {"sklearn": {"estimator": LOGISTIC}}, "dataset": {"task": "ranking"}}
    assert question(spec, lambda ref: None) is None
    assert question({**spec, "dataset": {"task": "binary"}}, lambda ref: None) is not None


def test_what_a_search_would_set_is_looked_at_too() -> None:
    space = 'spec.tune.search["{}"]'
    assert [item[0] for item in found(LOGISTIC, {}, {"Cc": {"uniform": [0, 1]}})] == [space.format("Cc")]
    wrong = found(LOGISTIC, {}, {"C": {"choice": [1.0, -1.0]}})
    assert [item[0] for item in wrong] == [f"{space.format('C')}.choice[1]"]
    ((path, message, _),) = found("sklearn.linear_model.SGDClassifier", {}, {"loss": {"choice": ["log_loss", "hinge"]}})
    assert "loss='hinge'" in message
    assert path == ESTIMATOR
