"""Metrics against scikit-learn's, ties and degenerate cases included."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.metrics import log_loss as reference_log_loss

from framework.api.metrics import MEASURES
from framework.kinds.training_job.evaluation import Metric
from framework.workloads.context import WorkloadError
from framework.workloads.training.metrics import METRICS, auc, brier, log_loss, measure, metric

rows = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=2, max_size=60)


@given(rows)
def test_metrics_equal_the_reference(pairs: list[tuple[bool, float]]) -> None:
    truth = np.array([float(positive) for positive, _ in pairs])
    scores = np.array([score for _, score in pairs])
    assert brier(truth, scores) == pytest.approx(brier_score_loss(truth, scores))
    if 0 < truth.sum() < len(truth):
        assert auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
        clipped = np.clip(scores, 1e-15, 1 - 1e-15)
        assert log_loss(truth, scores) == pytest.approx(reference_log_loss(truth, clipped), rel=1e-6)
    else:
        assert math.isnan(auc(truth, scores))


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
