"""What a model goes by: found where it is known, the same again, bounded, and said where it cannot be told."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix, ModelOutput
from framework.api.tasks import Task
from framework.workloads import models
from framework.workloads.formats import FORMATS
from framework.workloads.training.importance import CELLS, FEWEST, ROWS, contributions, permutation
from framework.workloads.training.trainer import Artifact

TASKS = [Task.BINARY, Task.MULTICLASS, Task.REGRESSION, Task.QUANTILE, Task.RANKING]
CLASSES, QUANTILES = ("high", "low", "mid"), (0.1, 0.5, 0.9)


def output(task: Task) -> ModelOutput:
    return ModelOutput(
        "y", task, CLASSES if task is Task.MULTICLASS else (), QUANTILES if task is Task.QUANTILE else ()
    )


def rows(task: Task, count: int = 300) -> pl.DataFrame:
    """The label is what ``a`` says and ``b`` says nothing; ``sort of c`` has gaps."""
    generator = np.random.default_rng(1)
    a, b = generator.normal(size=(2, count))
    label: Any = {
        Task.BINARY: (a > 0).astype(np.int8),
        Task.MULTICLASS: np.array(CLASSES)[np.digitize(a, [-0.5, 0.5])],
        Task.RANKING: np.digitize(a, [-0.5, 0.5]),
    }.get(task, a)
    gaps = [None if place % 4 == 0 else "x" for place in range(count)]
    return pl.DataFrame({"a": a, "b": b, "sort of é": gaps, "y": label})


def answer(task: Task, matrix: Matrix) -> Matrix:
    """Of a model that goes by the first input alone."""
    a = matrix[:, 0]
    match task:
        case Task.MULTICLASS:
            return np.eye(3)[np.digitize(a, [-0.5, 0.5])] * 0.8 + 0.2 / 3
        case Task.QUANTILE:
            return np.stack([a - 1, a, a + 1], axis=1)
        case Task.BINARY:
            return 1 / (1 + np.exp(-a))
    return a


def predictor(task: Task, frame: pl.DataFrame, score: Any = None) -> models.Predictor:
    form = models.signature_of(frame, ["b", "sort of é", "a"][::-1], [], output(task))
    return models.Predictor(score or (lambda matrix: answer(task, matrix)), form)


def lists(task: Task, count: int) -> Matrix | None:
    return np.arange(count) // 10 * 1.0 if task is Task.RANKING else None


@pytest.mark.parametrize("task", TASKS)
def test_the_input_that_decides_comes_first_and_the_others_cost_nothing(task: Task) -> None:
    frame = rows(task)
    asked = (predictor(task, frame), output(task), frame, lists(task, 300))
    found = permutation(*asked, 7)
    assert found["problem"] == ""
    assert found["inputs"][0]["input"] == "a"
    assert found["inputs"][0]["drop"] > 10 * found["inputs"][0]["spread"] > 0
    assert [row["drop"] for row in found["inputs"][1:]] == [0, 0]
    assert found == permutation(*asked, 7)
    assert found != permutation(*asked, 8)


@pytest.mark.parametrize(("inputs", "looked_at"), [(1, ROWS), (50, CELLS // 50), (1_000, FEWEST)])
def test_few_rows_are_looked_at_however_many_there_are(inputs: int, looked_at: int) -> None:
    generator = np.random.default_rng(1)
    frame = pl.DataFrame({f"x{place}": generator.normal(size=2_000) for place in range(inputs)})
    frame = frame.with_columns(y=pl.col("x0"))
    form = models.signature_of(frame, frame.columns[:-1], [], output(Task.REGRESSION))
    asked = 0

    def score(matrix: Matrix) -> Matrix:
        nonlocal asked
        asked += len(matrix)
        return matrix[:, 0]

    found = permutation(models.Predictor(score, form), output(Task.REGRESSION), frame, None, 7, clock=lambda: 0.0)
    assert found["rows"] == looked_at
    assert asked == looked_at * (1 + 3 * inputs)


def test_lists_stay_together() -> None:
    frame = rows(Task.RANKING, 3_000)
    seen: list[Matrix] = []

    def score(matrix: Matrix) -> Matrix:
        seen.append(matrix[:, 0])
        return matrix[:, 0]

    found = permutation(
        predictor(Task.RANKING, frame, score), output(Task.RANKING), frame, lists(Task.RANKING, 3_000), 7
    )
    assert found["rows"] == len(seen[0]) == ROWS
    places = np.flatnonzero(np.isin(frame["a"].to_numpy(), seen[0]))
    assert np.bincount(places // 10).max() == np.bincount(places // 10)[np.bincount(places // 10) > 0].min() == 10


def test_what_would_take_long_is_left_out_unless_it_is_asked_for() -> None:
    frame = rows(Task.BINARY)
    now = iter(range(0, 1_000, 2))
    asked = (predictor(Task.BINARY, frame), output(Task.BINARY), frame, None, 7)
    found = permutation(*asked, clock=lambda: next(now))
    assert (found["inputs"], found["problem"]) == (
        [], "it would take about 18 s; evaluation.importance: always has it looked at",
    )  # fmt: skip
    assert permutation(*asked, clock=lambda: next(now), always=True)["inputs"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_answers_that_are_no_numbers_tell_nothing(bad: float) -> None:
    frame = rows(Task.BINARY)
    broken = predictor(Task.BINARY, frame, lambda matrix: np.full(len(matrix), bad))
    found = permutation(broken, output(Task.BINARY), frame, None, 7)
    assert (found["inputs"], found["problem"]) == ([], "auc is not defined on 300 test rows")


@pytest.mark.parametrize("form", ["lightgbm-text", "xgboost-ubj"])
@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_trees_say_how_far_each_input_moves_an_answer(form: str, task: Task) -> None:
    frame = rows(task)
    signature = models.signature_of(frame, ["a", "b", "sort of é"], [], output(task))
    matrix, truth = models.Encoder(signature).matrix(frame), output(task).truth(frame)
    artifact = Artifact(_fitted(form, task, matrix, truth), form)
    found = contributions(artifact, signature, frame, 7)
    assert (found["rows"], found["problem"]) == (200, "")
    assert found["inputs"][0]["input"] == "a"
    assert found["inputs"][0]["mean"] > 10 * found["inputs"][1]["mean"] >= 0
    assert found == contributions(artifact, signature, frame, 7)


def test_contributions_of_one_input_are_the_distance_from_the_mean_answer() -> None:
    frame = rows(Task.REGRESSION, 100)
    signature = models.signature_of(frame, ["a"], [], output(Task.REGRESSION))
    matrix = models.Encoder(signature).matrix(frame)
    data = _fitted("lightgbm-text", Task.REGRESSION, matrix, frame["a"].to_numpy())
    explain = FORMATS["lightgbm-text"].contributions
    assert explain is not None
    answers = FORMATS["lightgbm-text"].load(data, output(Task.REGRESSION))(matrix)
    assert explain(data, output(Task.REGRESSION))(matrix)[:, 0] == pytest.approx(
        np.abs(answers - answers.mean()), abs=1e-6
    )


@pytest.mark.parametrize(
    ("form", "data", "told"),
    [
        ("skops", b"", "a model in the form skops does not say"),
        ("lightgbm-text", b"broken", "the library cannot say: "),
        ("xgboost-ubj", b"broken", "the library cannot say: "),
    ],
)
def test_who_cannot_say_so_says_that(form: str, data: bytes, told: str) -> None:
    frame = rows(Task.BINARY, 20)
    signature = models.signature_of(frame, ["a"], [], output(Task.BINARY))
    found = contributions(Artifact(data, form), signature, frame, 7)
    assert found["inputs"] == []
    assert found["problem"].startswith(told)


def _fitted(form: str, task: Task, matrix: Matrix, truth: Matrix) -> bytes:
    if form == "lightgbm-text":
        objective = {Task.BINARY: "binary", Task.MULTICLASS: "multiclass"}.get(task, "l2")
        params = {"objective": objective, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
        if task is Task.MULTICLASS:
            params["num_class"] = 3
        return lightgbm.train(params, lightgbm.Dataset(matrix, truth), 10).model_to_string().encode()
    import xgboost

    objective = {Task.BINARY: "binary:logistic", Task.MULTICLASS: "multi:softprob"}.get(task, "reg:squarederror")
    params = {"objective": objective, "nthread": 1}
    if task is Task.MULTICLASS:
        params["num_class"] = 3
    return bytes(xgboost.train(params, xgboost.DMatrix(matrix, truth), 10).save_raw("ubj"))
