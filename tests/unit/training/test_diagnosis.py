"""What is kept of a model's answers for its card: as scikit-learn counts it, and no more than a few kilobytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

from framework.api.tasks import Task
from framework.scores import Answered, score
from framework.workloads.training.card.evidence import evidence
from framework.workloads.training.diagnosis import MOST_SHOWN, calibration, confusion, diagnose, residuals

ROWS = 4000


def drawn(task: Task, seed: int = 1, classes: int = 4) -> Answered:
    generator = np.random.default_rng(seed)
    match task:
        case Task.BINARY:
            given = generator.random(ROWS)
            truth = (generator.random(ROWS) < given**2).astype(np.float64)
            return Answered(truth, given, threshold=0.3)
        case Task.MULTICLASS:
            given = generator.dirichlet(np.ones(classes), ROWS)
            truth = np.array([generator.choice(classes, p=row) for row in given], dtype=np.float64)
            return Answered(truth, given, task)
        case Task.REGRESSION:
            given = generator.normal(size=ROWS)
            return Answered(given + generator.normal(size=ROWS) / 2, given, task)
        case Task.QUANTILE:
            truth = generator.normal(size=ROWS)
            given = np.tile([-1.2816, 0.0, 1.2816], (ROWS, 1))
            return Answered(truth, given, task, quantiles=(0.1, 0.5, 0.9))
    groups = generator.integers(0, 50, ROWS).astype(np.float64)
    return Answered(generator.integers(0, 3, ROWS).astype(float), generator.random(ROWS), task, groups=groups)


def test_a_confusion_matrix_is_that_of_scikit_learn() -> None:
    known = drawn(Task.BINARY)
    found = diagnose(known)["confusion"]
    assert found["counts"] == confusion_matrix(known.truth, known.given >= 0.3).tolist()
    assert (found["classes"], found["threshold"]) == (["0", "1"], 0.3)
    known = drawn(Task.MULTICLASS)
    found = diagnose(known, ("a", "b", "c", "d"))["confusion"]
    assert found["counts"] == confusion_matrix(known.truth, known.given.argmax(axis=1)).tolist()
    assert found["classes"] == ["a", "b", "c", "d"]


def test_a_class_that_nobody_has_and_nobody_predicts_has_its_row_all_the_same() -> None:
    found = confusion(np.array([0.0, 2.0]), np.array([2.0, 2.0]), ["a", "b", "c"])
    assert found["counts"] == [[0, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_of_many_classes_the_rare_ones_are_counted_together() -> None:
    size = 3 * MOST_SHOWN
    truth = np.repeat(np.arange(size), np.arange(size) + 1).astype(np.float64)
    found = confusion(truth, np.zeros(len(truth)), [f"c{index}" for index in range(size)])
    counts = np.array(found["counts"])
    assert counts.shape == (MOST_SHOWN, MOST_SHOWN)
    assert counts.sum() == len(truth)
    assert found["classes"][0] == "c0", "predicted often"
    assert found["classes"][1:-1] == [f"c{index}" for index in range(size - MOST_SHOWN + 2, size)]
    assert found["classes"][-1] is None
    assert counts[-1, 0] == sum(range(2, size - MOST_SHOWN + 3))


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS])
def test_calibration_is_that_of_scikit_learn_and_of_the_metric(task: Task) -> None:
    known = drawn(task)
    bins = diagnose(known, tuple("abcd"))["calibration"]["bins"]
    several = known.given.ndim == 2
    sure = known.given.max(axis=1) if several else known.given
    right = (known.given.argmax(axis=1) == known.truth) if several else known.truth
    shares, means = calibration_curve(right, sure, n_bins=10)
    assert [one["share"] for one in bins] == pytest.approx(shares.tolist(), rel=1e-5)
    assert [one["mean"] for one in bins] == pytest.approx(means.tolist(), rel=1e-5)
    assert sum(one["rows"] for one in bins) == ROWS
    error = sum(one["rows"] * abs(one["mean"] - one["share"]) for one in bins) / ROWS
    assert error == pytest.approx(score("calibration_error", known), rel=1e-4)


def test_probabilities_at_the_ends_are_in_the_first_and_last_bin() -> None:
    found = calibration(np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 0.95]))
    assert [(one["from"], one["to"], one["rows"], one["share"]) for one in found] == [
        (0.0, 0.1, 1, 0.0),
        (0.9, 1.0, 2, 1.0),
    ]


def test_predicted_against_true_goes_by_parts_of_equal_size() -> None:
    known = drawn(Task.REGRESSION)
    found = diagnose(known)["agreement"]
    assert [part["rows"] for part in found] == [ROWS // 10] * 10
    for part in found:
        assert part["from"] <= part["predicted"] <= part["to"]
    lowest = np.argsort(known.given)[: ROWS // 10]
    assert found[0]["predicted"] == pytest.approx(known.given[lowest].mean(), rel=1e-5)
    assert found[0]["true"] == pytest.approx(known.truth[lowest].mean(), rel=1e-5)
    assert [one["rows"] for one in diagnose(known.of(np.arange(3)))["agreement"]] == [1, 1, 1]


def test_residuals_are_true_less_predicted_and_every_row_is_counted() -> None:
    known = drawn(Task.REGRESSION)
    left = known.truth - known.given
    found = diagnose(known)["residuals"]
    assert found["mean"] == pytest.approx(left.mean(), rel=1e-5)
    assert found["quantiles"]["0.95"] == pytest.approx(np.quantile(left, 0.95), rel=1e-5)
    assert sum(found["counts"]) + found["below"] + found["above"] == ROWS
    assert (found["below"], found["above"]) == (ROWS // 100, ROWS // 100)
    assert len(found["edges"]) == len(found["counts"]) + 1


def test_a_model_that_is_always_off_by_the_same_has_one_bin() -> None:
    found = residuals(np.full(7, 2.0))
    assert (found["edges"], found["counts"], found["below"], found["above"]) == ([2.0, 2.0], [7], 0, 0)


def test_quantiles_cover_as_much_as_they_say() -> None:
    found = diagnose(drawn(Task.QUANTILE))
    assert [one["quantile"] for one in found["quantiles"]] == [0.1, 0.5, 0.9]
    assert [one["share"] for one in found["quantiles"]] == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    assert found["width"] == pytest.approx(2.5632)


def test_what_is_left_out_is_not_counted() -> None:
    known = drawn(Task.MULTICLASS)
    known.truth[:5] = np.nan
    known.given[5, 2] = np.inf
    found = diagnose(known, tuple("abcd"))
    assert (found["rows"], np.sum(found["confusion"]["counts"])) == (ROWS - 6, ROWS - 6)
    known = drawn(Task.REGRESSION)
    assert diagnose(Answered(known.truth, np.full(ROWS, np.nan), Task.REGRESSION)) == {"rows": 0}


@pytest.mark.parametrize("task", [Task.REGRESSION, Task.QUANTILE])
@pytest.mark.parametrize("size", [1e-320, 1e140, 1e200, 1.7e308])
def test_no_number_is_too_large_for_it_or_for_a_card(task: Task, size: float) -> None:
    known = drawn(task)
    known.truth[:10], known.given[:10] = size, -size
    found = diagnose(known)
    assert found["rows"] == (ROWS if size < 1e150 else ROWS - 10)
    assert "Infinity" not in json.dumps(found)
    assert [section.title for section in evidence(task, found, "y")]


@pytest.mark.parametrize("task", Task)
def test_it_is_a_few_kilobytes_of_json(task: Task) -> None:
    classes = 500 if task is Task.MULTICLASS else 4
    text = json.dumps(diagnose(drawn(task, classes=classes), tuple(f"class {index}" for index in range(classes))))
    assert len(text) < 4096
    assert json.loads(text)["rows"] == ROWS
    assert (diagnose(drawn(Task.RANKING))) == {"rows": ROWS, "lists": 50}
