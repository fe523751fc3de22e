"""What population based training changes of a fit while it goes on is legal: the trees before stay what they were."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from framework.answers import ModelOutput
from framework.api import lightgbm, spaces, xgboost
from framework.api.tasks import Task
from framework.workloads.training.stages import fitted
from framework.workloads.training.trainer import Artifact, FitSettings, Part, TrainingData
from framework.workloads.training.tuning.population import explored

CHANGES: dict[str, dict[str, tuple[Any, Any]]] = {
    "lightgbm": {
        "bagging_fraction": (0.9, 0.5), "bagging_freq": (1, 2), "cat_l2": (10.0, 1.0), "cat_smooth": (10.0, 1.0),
        "extra_trees": (False, True), "feature_fraction": (1.0, 0.5), "feature_fraction_bynode": (1.0, 0.5),
        "lambda_l1": (0.0, 1.0), "lambda_l2": (0.0, 9.0), "learning_rate": (0.1, 0.3), "max_cat_threshold": (32, 2),
        "max_delta_step": (0.0, 0.1), "max_depth": (-1, 2), "min_data_in_leaf": (5, 40), "min_data_per_group": (9, 80),
        "min_gain_to_split": (0.0, 1.0), "min_sum_hessian_in_leaf": (0.001, 2.0), "num_leaves": (15, 3),
        "path_smooth": (0.0, 9.0),
    },
    "xgboost": {
        "colsample_bylevel": (1.0, 0.5), "colsample_bynode": (1.0, 0.5), "colsample_bytree": (1.0, 0.5),
        "grow_policy": ("depthwise", "lossguide"), "learning_rate": (0.1, 0.3), "max_cat_threshold": (64, 2),
        "max_delta_step": (0.0, 0.1), "max_depth": (6, 2), "max_leaves": (0, 3), "min_child_weight": (1.0, 20.0),
        "min_split_loss": (0.0, 1.0), "reg_alpha": (0.0, 1.0), "reg_lambda": (1.0, 9.0),
        "subsample": (1.0, 0.5),
    },
}  # fmt: skip
CASES = [(trainer, name) for trainer, names in CHANGES.items() for name in names]


class Kept:
    """Keeps the model after each report."""

    def __init__(self) -> None:
        self.models: dict[int, bytes] = {}

    def resume(self) -> tuple[int, Artifact] | None:
        return None

    def report(self, rounds: int, scores: Any, model: Callable[[], Artifact], *, last: bool = False) -> None:
        self.models[rounds] = model().data


def rows() -> TrainingData:
    generator = np.random.default_rng(2)
    x = np.column_stack([generator.normal(size=(400, 3)), generator.integers(0, 6, 400)])
    y = (x[:, 0] + (x[:, 3] > 2) + generator.normal(size=400) / 2 > 0.5).astype(float)
    part = Part(x, y)
    return TrainingData(part, part, ("a", "b", "c", "d"), {3: 6}, ModelOutput(Task.BINARY))


def trees(trainer: str, model: bytes) -> list[Any]:
    if trainer == "lightgbm":
        parts = model.decode().split("\n\nTree=")[1:]
        return [part.partition("\n\nend of trees")[0].partition("\n")[2] for part in parts]
    import xgboost as library

    dump = library.Booster(model_file=bytearray(model)).get_dump(dump_format="json")
    return [json.loads(tree) for tree in dump]


def test_each_that_may_change_is_tried() -> None:
    assert {name: set(of) for name, of in CHANGES.items()} == {
        "lightgbm": set(lightgbm.CHANGEABLE),
        "xgboost": set(xgboost.CHANGEABLE),
    }


@pytest.mark.parametrize(("trainer", "name"), CASES)
def test_a_fit_goes_on_with_another_value_and_keeps_its_trees(trainer: str, name: str) -> None:
    before, after = CHANGES[trainer][name]
    data, first = rows(), {"bagging_freq": 1} if name == "bagging_fraction" else {}
    settings = FitSettings({**first, name: before}, rounds=6, seed=3, stages=((3, {}), (6, {name: after})))
    watch = Kept()
    model = fitted(trainer, data, settings, watch)
    old, new = trees(trainer, watch.models[3]), trees(trainer, model.data)
    assert (len(old), len(new)) == (3, 6)
    assert new[:3] == old
    assert fitted(trainer, data, settings, Kept()) == model


def test_what_is_explored_stays_in_its_space() -> None:
    search: dict[str, Any] = {
        "eta": {"loguniform": [0.01, 0.3]},
        "depth": {"randint": [2, 5]},
        "grow": {"choice": ["depthwise", "lossguide"]},
        "leaves": {"qrandint": [8, 64, 8], "when": {"grow": ["lossguide"]}},
    }
    among = spaces.parameters(search)
    values: dict[str, Any] = {"eta": 0.3, "depth": 4, "grow": "depthwise"}
    seen = set()
    for number in range(60):
        values = explored(among, values, np.random.default_rng(number))
        assert all(one.domain.holds(values[one.key]) for one in among if one.key in values)
        assert ("leaves" in values) == (values["grow"] == "lossguide")
        seen.add((values["depth"], values["grow"]))
    assert len(seen) == 6
