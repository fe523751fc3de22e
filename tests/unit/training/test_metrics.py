"""What is measured of a model's answers, ties and degenerate cases included."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.metrics import MEASURES
from framework.kinds.training_job.evaluation import Metric
from framework.scores import METRICS, accuracy, auc, brier, log_loss
from framework.workloads.context import WorkloadError
from framework.workloads.training.metrics import measure, metric

probabilities = st.sampled_from([0.0, 1e-18, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
rows = st.lists(st.tuples(st.booleans(), probabilities), min_size=1, max_size=60)


@given(rows)
def test_each_metric_is_its_definition(pairs: list[tuple[bool, float]]) -> None:
    truth = np.array([float(positive) for positive, _ in pairs])
    scores = np.array([score for _, score in pairs])
    close = lambda value: pytest.approx(value, rel=1e-12, abs=1e-12)  # noqa: E731
    assert accuracy(truth, scores) == close(np.mean([(score >= 0.5) == positive for positive, score in pairs]))
    assert brier(truth, scores) == close(np.mean([(score - positive) ** 2 for positive, score in pairs]))
    kept = [(positive, min(max(score, 1e-15), 1 - 1e-15)) for positive, score in pairs]
    assert log_loss(truth, scores) == close(-np.mean([math.log(p if positive else 1 - p) for positive, p in kept]))
    order = [(high > low) + (high == low) / 2 for one, high in pairs if one for zero, low in pairs if not zero]
    assert auc(truth, scores) == pytest.approx(np.mean(order) if order else math.nan, abs=1e-12, nan_ok=True)


def test_answers_that_are_no_probabilities_are_measured_all_the_same() -> None:
    """A Booster of the user's own may be fitted to another objective."""
    truth, scores = np.array([0.0, 1.0, 1.0]), np.array([-0.5, 0.25, 1.5])
    assert brier(truth, scores) == pytest.approx((0.25 + 0.5625 + 0.25) / 3)
    assert set(measure(truth, scores)) == {"auc", "log_loss", "accuracy", "brier"}


def test_an_undefined_metric_is_left_out() -> None:
    found = measure(np.ones(3), np.array([0.2, 0.6, 0.9]), "validation_")
    assert set(found) == {"validation_log_loss", "validation_accuracy", "validation_brier"}
    assert found["validation_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("count", [1, 99, 100])
def test_scores_that_are_no_numbers_measure_nothing_and_are_counted(bad: float, count: int) -> None:
    """However they are ordered: those of the positives might be the missing ones."""
    truth = np.array([1.0, 0.0] * 50)
    for order in (1, -1):
        scores = np.array([bad] * count + [0.5] * (100 - count))[np.argsort(truth, kind="stable")[::order]]
        assert measure(truth, scores) == {"not_finite": count}
        assert measure(truth, scores, "validation_") == {"validation_not_finite": count}
        assert all(math.isnan(metric(name)(truth, scores)) for name in ("auc", "log_loss", "accuracy", "brier"))


MEANWHILE = """
import sys, threading
import numpy as np
from framework import scores
from framework.sketches import LOADING
found = []
asks = threading.Thread(target=lambda: found.append(scores.auc(np.array([0.0, 1.0]), np.array([0.1, 0.2]))))
with LOADING:
    sys.modules["sklearn"] = None  # as while whylogs is loaded
    asks.start()
    asks.join(0.5)
    del sys.modules["sklearn"]
asks.join()
assert found == [1.0], found
"""


@pytest.mark.slow
def test_what_is_measured_while_whylogs_is_loaded_finds_its_library() -> None:
    done = subprocess.run([sys.executable, "-c", MEANWHILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(WorkloadError, match="did you mean 'auc'"):
        metric("aucc")


def test_every_metric_reaches_both_ends_of_its_range_and_no_further() -> None:
    """The specs that bound a metric, and the table that says what it can be, know the same ones as this does."""
    assert set(METRICS) == set(MEASURES) == set(get_args(Metric))
    truth = np.array([0.0, 1.0])
    for name, known in MEASURES.items():
        right, wrong = metric(name)(truth, truth), metric(name)(truth, 1 - truth)
        best, worst = (known.least, known.most) if known.loss else (known.most, known.least)
        assert (right, wrong) == (pytest.approx(best, abs=1e-12), pytest.approx(worst, rel=1e-2))
