"""What is learned of a label: by which dtype and values, by which trainer; and that a stored model answers alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import measured
from framework.api.tasks import TASKS, Task
from framework.api.trainers import TRAINER_FORMS
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training import labels
from framework.workloads.training.metrics import measure, validated
from framework.workloads.training.trainer import Artifact, FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS

ROWS = 600
OUTPUTS = {
    Task.BINARY: ModelOutput("y", Task.BINARY),
    Task.MULTICLASS: ModelOutput("y", Task.MULTICLASS, classes=("high", "low", "middle")),
    Task.REGRESSION: ModelOutput("y", Task.REGRESSION),
    Task.QUANTILE: ModelOutput("y", Task.QUANTILE, quantiles=(0.1, 0.5, 0.9)),
    Task.RANKING: ModelOutput("y", Task.RANKING),
}
BETTER_THAN = {
    Task.BINARY: ("validation_auc", 0.8),
    Task.MULTICLASS: ("validation_accuracy", 0.6),
    Task.REGRESSION: ("validation_r2", 0.6),
    Task.QUANTILE: ("validation_coverage", 0.5),
    Task.RANKING: ("validation_ndcg@10", 0.8),
}
SETTINGS = {
    "lightgbm": FitSettings({"num_leaves": 7, "min_data_in_leaf": 5}, rounds=40, seed=3),
    "xgboost": FitSettings({"max_depth": 4, "subsample": 0.8}, rounds=40, seed=3),
    "torch": FitSettings(
        {"hidden": 8},
        rounds=6,
        seed=3,
        entrypoint="tests.unit.training.networks:layers",
        loop={"learningRate": 0.02, "batchSize": 64},
    ),
    "sklearn": FitSettings({}, 1, 3, entrypoint=""),
}
ESTIMATORS = {
    Task.BINARY: "sklearn.linear_model.LogisticRegression",
    Task.MULTICLASS: "sklearn.ensemble.RandomForestClassifier",
    Task.REGRESSION: "sklearn.linear_model.Ridge",
}


class Reports:
    """Keeps the last report."""

    def __init__(self) -> None:
        self.answers: Matrix | None = None
        self.rounds: list[int] = []

    def resume(self) -> tuple[int, Artifact] | None:
        return None

    def report(self, rounds: int, scores: Matrix, model: Any, *, last: bool = False) -> None:
        self.rounds.append(rounds)
        self.answers = scores


def data(task: Task, *, weighted: bool = False) -> TrainingData:
    def part(seed: int) -> Part:
        generator = np.random.default_rng(seed)
        x = np.column_stack([generator.normal(size=ROWS), generator.integers(0, 3, ROWS)])
        y = 2 * x[:, 0] + x[:, 1] + generator.normal(size=ROWS) / 2
        match task:
            case Task.BINARY:
                y = (y > 1).astype(np.float64)
            case Task.MULTICLASS | Task.RANKING:
                y = np.digitize(y, [0.0, 2.0]).astype(np.float64)
        groups = generator.integers(0, 30, ROWS).astype(np.float64) if task is Task.RANKING else None
        return Part(x, y, generator.random(ROWS) if weighted else None, groups)

    return TrainingData(part(1), part(2), ("x", "kind"), {1: 3}, OUTPUTS[task])


def cases() -> list[tuple[str, Task]]:
    return [
        (name, task)
        for name in ("lightgbm", "xgboost", "torch", "sklearn")
        for task in Task
        if task in TRAINER_FORMS[name].tasks
    ]


def settings(name: str, task: Task) -> FitSettings:
    found = SETTINGS[name]
    return found if name != "sklearn" else FitSettings({}, 1, 3, entrypoint=ESTIMATORS[task])


@pytest.mark.parametrize(("name", "task"), cases())
@pytest.mark.parametrize("weighted", [False, True])
def test_each_trainer_learns_its_tasks_and_its_models_answer_the_same_when_stored(
    name: str, task: Task, weighted: bool, tmp_path: Any
) -> None:
    given, watch = data(task, weighted=weighted), Reports()
    artifact = TRAINERS[name].fit(given, settings(name, task), watch)
    assert watch.answers is not None
    given.output.check(watch.answers, ROWS)
    found = measure(validated(given, watch.answers), "validation_")
    metric, least = BETTER_THAN[task]
    assert found[metric] > least
    assert {one.removeprefix("validation_") for one in found} == set(measured(task))

    uri, sha256 = models.save(str(tmp_path), artifact.data, artifact.format)
    signature = {
        "inputs": [
            {"name": "x", "dtype": "Float64", "nullable": False},
            {"name": "kind", "dtype": "String", "nullable": False, "categories": ["a", "b", "c"]},
        ],
        "output": given.output.to_json(),
    }
    predictor = models.load(uri, sha256, artifact.format, signature)
    assert predictor.output == given.output
    kinds = np.array(["a", "b", "c"])[given.validation.x[:, 1].astype(int)]
    answers = predictor.predict(pl.DataFrame({"x": given.validation.x[:, 0], "kind": kinds}))
    np.testing.assert_allclose(answers, watch.answers, rtol=1e-9)
    assert predictor.predict(pl.DataFrame({"x": [], "kind": []})).shape == given.output.empty().shape
    assert TRAINERS[name].fit(given, settings(name, task), Reports()).data == artifact.data


def test_rows_that_weigh_nothing_teach_nothing() -> None:
    given = data(Task.REGRESSION)
    half = np.arange(ROWS) % 2 == 0
    spoilt = np.where(half, given.train.y, -given.train.y)
    part = Part(given.train.x, spoilt, half.astype(np.float64))
    for name in ("lightgbm", "xgboost", "torch", "sklearn"):
        watch = Reports()
        TRAINERS[name].fit(
            TrainingData(part, given.validation, given.names, given.categories, given.output),
            settings(name, Task.REGRESSION),
            watch,
        )
        assert watch.answers is not None
        assert measure(validated(given, watch.answers))["r2"] > 0.6


def test_what_a_spec_may_name_can_be_fitted_and_the_other_way_round() -> None:
    assert TRAINERS.keys() == TRAINER_FORMS.keys()
    for name, trainer in TRAINERS.items():
        assert TRAINER_FORMS[name].together == (trainer.several is not None)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (pl.Series([True, False, None]), Task.BINARY),
        (pl.Series([0, 1, 1, None]), Task.BINARY),
        (pl.Series([0.0, 1.0, float("nan")]), Task.BINARY),
        (pl.Series(["a", "b", None]), Task.MULTICLASS),
        (pl.Series([0, 1, 2], dtype=pl.UInt8), Task.MULTICLASS),
        (pl.Series(range(20)), Task.MULTICLASS),
        (pl.Series(range(21)), Task.REGRESSION),
        (pl.Series([0.0, 1.0, 2.0]), Task.REGRESSION),
    ],
)
def test_the_task_follows_from_dtype_and_values_where_it_is_left_out(values: pl.Series, task: Task) -> None:
    rows, found = labels.labelled(pl.DataFrame({"y": values}), "y", None)
    assert found is task
    missing = values.is_null() | (values.is_nan().fill_null(False) if values.dtype.is_float() else False)
    assert rows.height == values.len() - missing.sum()


@pytest.mark.parametrize(
    ("task", "values", "told"),
    [
        ("binary", ["a"], "y is String; for task binary it must be Boolean"),
        ("multiclass", [0.5, 1.5], "y is Float64; for task multiclass it must be a String, a whole number or Boolean"),
        ("regression", ["a"], "for task regression it must be a number"),
        ("regression", [1.0, float("inf"), 2.0], "1 of 3 labelled rows hold something else, e.g. inf"),
        ("quantile", [float("-inf"), 2.0], "1 of 2 labelled rows hold something else, e.g. -inf"),
        ("ranking", [-1, 0, 2], "1 of 3 labelled rows hold something else, e.g. -1"),
        ("ranking", [0.5, 1.0], "1 of 2 labelled rows hold something else, e.g. 0.5"),
    ],
)
def test_a_label_that_no_model_of_the_task_can_learn_is_told(task: str, values: list[Any], told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        labels.labelled(pl.DataFrame({"y": values}), "y", task)
    assert caught.value.reason == "WrongLabel"


def test_a_live_models_task_never_changes_unasked() -> None:
    labels.stays(Task.MULTICLASS, None, "")
    labels.stays(Task.MULTICLASS, "multiclass", "binary")
    labels.stays(Task.BINARY, None, "binary")
    with pytest.raises(
        WorkloadError, match=r"task multiclass, and the live model is one of binary: say .* dataset\.task"
    ):
        labels.stays(Task.MULTICLASS, None, "binary")


def parts(train: list[Any], test: list[Any]) -> dict[str, pl.DataFrame]:
    return {
        "train": pl.DataFrame({"y": train}),
        "validation": pl.DataFrame({"y": train}),
        "test": pl.DataFrame({"y": test}),
    }


@pytest.mark.parametrize(
    ("task", "train", "test", "reason", "told"),
    [
        (
            Task.MULTICLASS,
            ["a", "b"],
            ["a", "c", "d"],
            "MissingClass",
            "the test part has rows with y = c, d, of which",
        ),
        (Task.MULTICLASS, ["a", "b"], ["a"], "SingleClass", "all 1 rows of the test part have y = a"),
        (Task.BINARY, [0, 1], [1, 1], "SingleClass", "all 2 rows of the test part have y = 1"),
        (Task.REGRESSION, [2.0, 2.0], [1.0], "ConstantLabel", "all 2 rows of the train part have y = 2.0, so there"),
    ],
)
def test_parts_that_cannot_be_learned_or_judged_are_told(
    task: Task, train: list[Any], test: list[Any], reason: str, told: str
) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        labels.check(parts(train, test), "y", task)
    assert caught.value.reason == reason
    labels.check(parts([1.0, 2.0], [1.0]), "y", Task.REGRESSION)


def test_classes_weigh_alike_where_they_are_balanced_and_as_the_spec_says_else() -> None:
    frame = pl.DataFrame({"y": ["a", "a", "a", "b"], "w": [1.0, 2.0, 1.0, 4.0]})
    output = labels.output_of(frame, "y", Task.MULTICLASS, [])
    assert output.classes == ("a", "b")
    balanced = labels.weights(frame, output, {"classWeights": "balanced"})
    assert balanced is not None
    assert balanced[:3].sum() == pytest.approx(balanced[3:].sum())
    both = labels.weights(frame, output, {"classWeights": {"b": 3}, "weight": "w"})
    assert both is not None
    assert both.tolist() == [1.0, 2.0, 1.0, 12.0]
    with pytest.raises(WorkloadError, match=r"classWeights names 'c' \(allowed: a, b\)"):
        labels.weights(frame, output, {"classWeights": {"c": 3}})
    with pytest.raises(WorkloadError, match=r"1 rows have no weight from 0 on in w, e\.g\. -1"):
        labels.weights(frame.with_columns(w=pl.Series([1.0, -1.0, 0.0, 1.0])), output, {"weight": "w"})
    assert labels.weights(frame, output, {}) is None


@pytest.mark.parametrize(
    ("output", "answers", "told"),
    [
        (ModelOutput("y"), [0.2, 0.9], {"predictions": [0.2, 0.9]}),
        (ModelOutput("y", threshold=0.3), [0.2, 0.9], {"predictions": [0.2, 0.9], "labels": [False, True]}),
        (
            ModelOutput("y", Task.MULTICLASS, classes=("a", "b")),
            [[0.2, 0.8], [0.5, 0.5]],
            {"predictions": ["b", "a"], "classes": ["a", "b"], "probabilities": [[0.2, 0.8], [0.5, 0.5]]},
        ),
        (ModelOutput("y", Task.REGRESSION), [3.5], {"predictions": [3.5]}),
        (
            ModelOutput("y", Task.QUANTILE, quantiles=(0.1, 0.9)),
            [[1.0, 2.0]],
            {"predictions": [[1.0, 2.0]], "quantiles": [0.1, 0.9]},
        ),
    ],
)
def test_callers_are_answered_by_the_task(output: ModelOutput, answers: list[Any], told: dict[str, Any]) -> None:
    assert output.told(np.array(answers)) == told
    assert ModelOutput.of({"output": output.to_json()}) == output
    assert output.profiled(np.array(answers)).len() == len(answers)
    assert output.number(np.array(answers)).shape == (len(answers),)


def test_a_signature_from_before_there_were_tasks_is_binary() -> None:
    assert ModelOutput.of({"output": {"name": "late", "kind": "probability"}}) == ModelOutput("late", Task.BINARY)


def test_every_task_has_its_own_kind_of_answer_and_a_metric_it_is_told_by() -> None:
    assert len({form.answer for form in TASKS.values()}) == len(Task)
    assert all(form.headline in measured(task) for task, form in TASKS.items())
