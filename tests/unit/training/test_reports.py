"""What a fit tells on its way of the validation rows is what its model of then answers to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from framework.answers import Matrix
from framework.api.tasks import Task
from framework.workloads import formats
from framework.workloads.training.trainer import Artifact, FitSettings, Part, StopRule, TrainingData
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.test_tasks import SETTINGS, data


class Following:
    """Keeps what was told, and asks each model of then, too."""

    def __init__(self, given: TrainingData, start: tuple[int, Artifact] | None = None) -> None:
        self.given, self.start = given, start
        self.told: list[tuple[Matrix, Matrix]] = []
        self.models: list[tuple[int, Artifact]] = []

    def resume(self) -> tuple[int, Artifact] | None:
        return self.start

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        found = model()
        asked = formats.known(found.format).load(found.data, self.given.output)(self.given.validation.x)
        self.told.append((scores.copy(), asked))
        self.models.append((rounds, found))

    def held(self, up_to: float = 1e-12) -> None:
        assert self.told
        for scores, asked in self.told:
            np.testing.assert_allclose(scores, asked, rtol=up_to, atol=up_to)


def gapped(task: Task) -> TrainingData:
    """With gaps, infinite values and categories that training never saw."""
    given = data(task)

    def part(of: Part, unseen: float) -> Part:
        x = of.x.copy()
        x[::7, 0], x[3::50, 0], x[4::50, 0], x[5::11, 1] = np.nan, np.inf, -np.inf, unseen
        return replace(of, x=x)

    return replace(given, train=part(given.train, np.nan), validation=part(given.validation, 7.0))


CASES = [
    *((name, task, {}) for name in ("lightgbm", "xgboost") for task in Task),
    *(
        ("lightgbm", task, more)
        for task in (Task.BINARY, Task.REGRESSION)
        for more in (
            {"boosting": "dart"},
            {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.7},
            {"linear_trees": True},
            {"metric": "auc"},
        )
    ),
    ("xgboost", Task.BINARY, {"booster": "dart", "rate_drop": 0.5}),
]


@pytest.mark.parametrize(("name", "task", "more"), CASES)
@pytest.mark.parametrize("stop", [None, StopRule("", 3)])
def test_each_report_is_of_the_model_of_then(
    name: str, task: Task, more: dict[str, Any], stop: StopRule | None
) -> None:
    linear = "linear_trees" in more
    given = data(task) if linear else gapped(task)  # linear trees have no answer to what is infinite
    settings, watch = replace(SETTINGS[name], rounds=20, stop=stop), Following(given)
    TRAINERS[name].fit(given, replace(settings, params={**settings.params, **more}), watch)
    watch.held(1e-6 if linear and stop else 1e-12)  # asking linear trees after each round would take too long


@pytest.mark.parametrize(("name", "task"), [(name, task) for name in ("lightgbm", "xgboost") for task in Task])
def test_so_it_is_where_a_fit_goes_on_from_a_checkpoint(name: str, task: Task) -> None:
    given, settings = gapped(task), replace(SETTINGS[name], rounds=20)
    before = Following(given)
    TRAINERS[name].fit(given, settings, before)
    after = Following(given, next(one for one in before.models if one[0] == 10))
    TRAINERS[name].fit(given, settings, after)
    after.held()


def test_so_it_is_where_a_metric_of_the_librarys_own_refuses_the_validation_rows() -> None:
    """A gamma deviance is one of labels above 0 alone; nobody asked for it."""
    given = data(Task.REGRESSION)
    given = replace(given, train=replace(given.train, y=np.exp(given.train.y)))
    watch = Following(given)
    assert (given.validation.y < 0).any()
    TRAINERS["lightgbm"].fit(given, FitSettings({"objective": "gamma", "num_leaves": 7}, rounds=20, seed=3), watch)
    watch.held()
