"""Performance of models that answer something else than a probability, once labels have arrived."""

import math

import numpy as np
import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.api.errors import TerminalError
from framework.api.tasks import Task
from framework.backends.profiles.intervals import jackknife_interval
from framework.scores import Answered, score
from tests.unit.test_performance_backend import START, judge, labelled, predict


def other(folder, tmp_path, output, answers, labels, metric):
    """What ``metric`` is over predictions 0, 1, 2, ... whose whole answer is logged, and its labels."""
    one_each = ModelOutput.of({"output": output})
    given = np.asarray(answers, dtype=float)
    rows = [(f"r{n}", str(n), n, value) for n, value in enumerate(one_each.number(given))]
    predict(folder, rows, START)
    if given.ndim == 2:
        (file,) = folder.glob("*.parquet")
        pl.read_parquet(file).with_columns(answer=pl.Series(given.tolist(), dtype=pl.List(pl.Float64))).write_parquet(
            file
        )
    table = labelled(tmp_path, {"flight": list(range(len(labels))), "late": labels})
    return judge(folder, table, metric=metric, output=output)


NUMBER = ModelOutput("late", Task.REGRESSION).to_json()
CLASSES = ModelOutput("late", Task.MULTICLASS, classes=("a", "b", "c")).to_json()
QUANTILES = ModelOutput("late", Task.QUANTILE, quantiles=(0.1, 0.5, 0.9)).to_json()


def test_numbers_are_judged_by_how_far_off_they_are(tmp_path):
    generator = np.random.default_rng(1)
    truth = generator.normal(10, 3, 400)
    found = other(tmp_path / "app", tmp_path, NUMBER, truth + generator.normal(0, 2, 400), list(truth), "rmse")
    assert found.labelled == 400
    assert found.value == pytest.approx(2.0, abs=0.2)
    assert found.low < 2.0 < found.high
    assert found.high - found.low < 0.8
    assert found.classes == {}


def test_labels_without_a_number_are_unusable_and_missing_ones_have_not_arrived(tmp_path):
    found = other(tmp_path / "app", tmp_path, NUMBER, [1.0] * 4, [1.0, math.nan, None, math.inf], "mae")
    assert (found.labelled, found.value, found.low) == (1, 0.0, None)
    assert [(item.why, item.count) for item in found.unusable] == [("no finite number", 1)]


@pytest.mark.parametrize("labels", [["a", "b", "c", "zz"], ["a", "b", None, "zz"]])
def test_classes_are_judged_by_their_names(tmp_path, labels):
    answers = [[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.2, 0.2, 0.6]]
    found = other(tmp_path / "app", tmp_path, CLASSES, answers, labels, "accuracy")
    known = [label for label in labels if label in ("a", "b", "c")]
    assert found.labelled == len(known)
    assert found.value == pytest.approx((len(known) - 1) / len(known))
    assert found.classes == dict.fromkeys(known, 1)
    assert [(item.why, item.count) for item in found.unusable] == [("a class that the model does not know", 1)]


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ((1, 2, 3), [1, 2, 3]),
        ((1, 2, 3), [1.0, 2.0, 3.0]),
        ((1, 2, 3), ["1", "2", "3"]),
        ((False, True), [True, False]),
    ],
)
def test_a_class_is_the_same_however_it_is_written(tmp_path, classes, labels):
    output = ModelOutput("late", Task.MULTICLASS, classes=classes).to_json()
    answers = np.eye(len(classes))[[list(map(str, classes)).index(str(label).removesuffix(".0")) for label in labels]]
    found = other(tmp_path / "app", tmp_path, output, answers, labels, "accuracy")
    assert (found.labelled, found.value) == (len(labels), 1.0)


def test_quantiles_are_judged_by_the_whole_answer(tmp_path):
    answers = [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]
    found = other(tmp_path / "app", tmp_path, QUANTILES, answers, [2.5, 4.0], "coverage")
    assert (found.labelled, found.value) == (2, 0.5)


@pytest.mark.parametrize(
    ("output", "metric", "told"),
    [
        (NUMBER, "auc", "auc is no metric of regression"),
        (NUMBER, "rsme", "there is no metric 'rsme'"),
        (ModelOutput("late", Task.RANKING).to_json(), "ndcg@5", "a ranking cannot be judged from labels"),
    ],
)
def test_what_says_nothing_of_a_task_is_told(tmp_path, output, metric, told):
    with pytest.raises(TerminalError, match=told):
        other(tmp_path / "app", tmp_path, output, [1.0], [1.0], metric)


@pytest.mark.parametrize("metric", ["rmse", "mae", "r2"])
@pytest.mark.parametrize("dependent", [False, True])
def test_the_interval_holds_the_true_value_as_often_as_it_says(metric, dependent):
    """Also where rows depend on those before them, as hours of a day do."""
    generator = np.random.default_rng(11)
    truths = {"rmse": 1.0, "mae": math.sqrt(2 / math.pi), "r2": 0.8}
    held = 0
    for _ in range(200):
        noise = generator.normal(size=600)
        if dependent:
            for row in range(1, 600):
                noise[row] = 0.6 * noise[row - 1] + 0.8 * noise[row]
        truth = 2 * generator.normal(size=600)
        answered = Answered(truth + noise, truth, Task.REGRESSION)
        low, high = jackknife_interval(metric, score(metric, answered), answered)
        held += low <= truths[metric] <= high
    assert held >= 180  # of 200; 190 are expected
    assert jackknife_interval(metric, 1.0, answered.of(slice(0, 39))) is None
