"""What a search draws from, whichever algorithm draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.api import spaces
from framework.api.spaces import DISTRIBUTIONS, Between, Options, Steps
from framework.kinds.training_job.tuning import ParameterSpace, Tune
from framework.workloads.training.tuning.algorithms import ALGORITHMS, Algorithm, Space, in_order

RANGES: dict[str, list[float]] = {
    "uniform": [-1, 2.5],
    "quniform": [0.1, 0.9, 0.1],
    "loguniform": [1e-4, 10],
    "qloguniform": [0.5, 64, 0.5],
    "randint": [-3, 4],
    "qrandint": [3, 20, 4],
    "lograndint": [1, 1000],
    "qlograndint": [10, 1000, 10],
}
TREE: dict[str, Any] = {
    "boosting": {"choice": ["gbdt", "rf", None]},
    "num_leaves": {"randint": [8, 64], "when": {"boosting": ["gbdt"]}},
    "deep": {"choice": [[1, 2], {"a": 1}], "when": {"num_leaves": list(range(8, 36))}},
    "optimizer": {
        "search": {
            "kind": {"choice": ["sgd", "adam"]},
            "momentum": {"quniform": [0.1, 0.9, 0.1], "when": {"kind": ["sgd"], "boosting": ["gbdt", "rf"]}},
        },
        "when": {"boosting": ["gbdt", "rf"]},
    },
    "größe µ/x": {"qlograndint": [10, 1000, 10]},
}
CHOICES = dict.fromkeys(RANGES, ("random", "optuna", "hyperopt"))


def algorithm(name: str, search: dict[str, Any], seed: int = 3) -> Algorithm:
    return ALGORITHMS[name](Space(spaces.parameters(search), "max"), seed)


def test_fields_of_a_space_are_those_that_can_be_drawn_from() -> None:
    assert set(ParameterSpace.model_fields) == {*DISTRIBUTIONS, spaces.CHOICE, spaces.WHEN}
    assert set(RANGES) == set(DISTRIBUTIONS)
    assert all(DISTRIBUTIONS[one.counterpart].whole for one in DISTRIBUTIONS.values() if not one.whole)


def test_algorithms_of_the_language_are_those_that_choose() -> None:
    assert set(Tune.model_fields["algorithm"].annotation.__args__) == set(ALGORITHMS)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["random", "optuna", "hyperopt"])
@pytest.mark.parametrize("form", RANGES)
def test_what_is_drawn_lies_in_its_range_on_its_steps_and_is_the_same_again(form: str, name: str) -> None:
    search = {"x": {form: RANGES[form]}}
    (parameter,) = spaces.parameters(search)

    def drawn() -> list[Any]:
        chosen, found = algorithm(name, search), []
        for number in range(30):
            found.append(chosen.ask()["x"])
            chosen.tell(number, None if number == 7 else -abs(float(found[-1]) - 3))
        return found

    found = drawn()
    assert all(parameter.domain.holds(value) for value in found)
    assert all(type(value) is (int if DISTRIBUTIONS[form].whole else float) for value in found)
    assert len(set(found)) > 2
    assert found == drawn()


@pytest.mark.parametrize("form", [name for name, one in DISTRIBUTIONS.items() if one.log])
def test_every_order_of_magnitude_is_drawn_alike(form: str) -> None:
    low, high, *step = RANGES[form]
    generator = algorithm("random", {"x": {form: [low, high, *step]}})
    found = np.array([generator.ask()["x"] for _ in range(400)])
    assert 0.4 < np.mean(found < np.sqrt(low * high)) < 0.6


@pytest.mark.parametrize("name", ["random", "optuna", "hyperopt"])
def test_a_parameter_is_there_where_its_condition_holds_and_nowhere_else(name: str) -> None:
    chosen, seen = algorithm(name, TREE), set[frozenset[str]]()
    for number in range(40):
        values = chosen.ask()
        seen.add(frozenset(values))
        assert ("num_leaves" in values) == (values["boosting"] == "gbdt")
        assert ("deep" in values) == (values.get("num_leaves", 99) < 36)
        assert ("optimizer.kind" in values) == (values["boosting"] is not None)
        assert ("optimizer.momentum" in values) == (values.get("optimizer.kind") == "sgd")
        chosen.tell(number, float(values["größe µ/x"]))
    assert len(seen) > 3


def test_values_of_a_mapping_are_given_in_it_beside_those_that_params_have() -> None:
    among = spaces.parameters(TREE)
    values = {"boosting": "rf", "optimizer.kind": "sgd", "optimizer.momentum": 0.3}
    given = {"optimizer": {"nesterov": True, "kind": "adam"}, "boosting": "gbdt", "hidden": 3}
    assert spaces.nested(among, values, given) == {
        "boosting": "rf",
        "optimizer": {"nesterov": True, "kind": "sgd", "momentum": 0.3},
    }
    assert given["optimizer"] == {"nesterov": True, "kind": "adam"}
    assert spaces.nested(among, values, {"optimizer": "sgd"})["optimizer"] == {"kind": "sgd", "momentum": 0.3}


def test_an_example_has_what_makes_its_values_exist() -> None:
    among = spaces.parameters(TREE)
    found = spaces.example(among, {"optimizer.momentum": 0.9})
    assert (found["optimizer.momentum"], found["optimizer.kind"], found["boosting"]) == (0.9, "sgd", "gbdt")
    assert spaces.example(among, {"deep": [1, 2]})["num_leaves"] == 8
    assert spaces.example(among, {})["größe µ/x"] == 10


def test_a_grid_has_each_combination_once_the_first_parameter_moving_fastest() -> None:
    search: dict[str, Any] = {
        "b": {"choice": [1, 2]},
        "a": {"choice": ["x", "y"]},
        "c": {"choice": [True, 1], "when": {"a": ["y"]}},
    }
    found = in_order(spaces.parameters(search))
    assert found == [
        {"a": "x", "b": 1}, {"a": "x", "b": 2},
        {"a": "y", "b": 1, "c": True}, {"a": "y", "b": 2, "c": True},
        {"a": "y", "b": 1, "c": 1}, {"a": "y", "b": 2, "c": 1},
    ]  # fmt: skip
    plain = {name: {"choice": space["choice"]} for name, space in search.items()}
    first = [tuple(one.values()) for one in in_order(spaces.parameters(plain))][:3]
    assert first == [("x", 1, True), ("y", 1, True), ("x", 2, True)]


def test_draws_do_not_follow_from_how_a_file_was_ordered() -> None:
    backwards = dict(reversed(TREE.items()))
    assert algorithm("random", TREE).ask() == algorithm("random", backwards).ask()


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 9), st.booleans())
@settings(max_examples=60)
def test_steps_are_multiples_between_the_bounds(low: int, width: int, step: int, whole: bool) -> None:
    size = step if whole else step / 10
    bounds = [low, low + width, step] if whole else [low / 10, (low + width) / 10, size]
    form = {"qrandint" if whole else "quniform": bounds}
    if width < step or (low + width) // step - -(-low // step) < 1:
        with pytest.raises(ValueError, match=r"step|multiples"):
            spaces.domain(form)
        return
    found = spaces.domain(form)
    assert isinstance(found, Steps)
    values = [found.value(one) for one in range(found.first, found.last + 1)]
    assert values == sorted(set(values))
    assert bounds[0] <= values[0] < values[-1] <= bounds[1]
    assert all(found.holds(value) and round(value / size) * size == pytest.approx(value) for value in values)
    assert not found.holds(values[0] + size / 3)


def test_true_is_no_number() -> None:
    assert not Options((1, 2)).holds(True)
    assert not Steps(0, 3, False, 1).holds(True)
    assert not Between(0, 3, False).holds("1")
