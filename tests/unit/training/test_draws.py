"""A metric of drawn rows is the metric of those rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from framework.api.metrics import measured
from framework.api.tasks import Task
from framework.scores import score
from framework.workloads.training.draws import statistic
from tests.unit.training.test_diagnosis import drawn

CASES = [(task, metric) for task in Task if task is not Task.RANKING for metric in measured(task)]


@pytest.mark.parametrize(("task", "metric"), CASES, ids=str)
@pytest.mark.parametrize("digits", [1, 12])
def test_each_metric_of_drawn_rows_is_that_of_the_rows(task: Task, metric: str, digits: int) -> None:
    known = drawn(task)
    if task is not Task.MULTICLASS:
        known = replace(known, given=known.given.round(digits))  # with many ties, and hardly any
    found, generator = statistic(metric, known), np.random.default_rng(3)
    for rows in (np.arange(len(known.truth)), *(generator.integers(0, len(known.truth), 200) for _ in range(5))):
        assert found(rows) == pytest.approx(score(metric, known.of(rows)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("metric", ["auc", "log_loss"])
def test_what_is_not_defined_is_not_defined_of_a_draw(metric: str) -> None:
    known = drawn(Task.BINARY)
    if metric == "auc":
        assert np.isnan(statistic("auc", known)(np.flatnonzero(known.truth == 1)))
    unknown = replace(known, given=np.where(np.arange(len(known.given)) == 0, np.nan, known.given))
    assert np.isnan(statistic(metric, unknown)(np.arange(5)))
    assert statistic(metric, unknown)(np.arange(1, 50)) == pytest.approx(score(metric, unknown.of(np.arange(1, 50))))
