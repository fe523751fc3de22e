"""What LightGBM says of a job before it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.api.lightgbm import BY_COLUMN, CANONICAL, DERIVED
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.examining import Mistake
from framework.workloads.training import lightgbm_look
from framework.workloads.training.look import look
from framework.workloads.training.trainer import FitSettings
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.test_trainers import DATA, Recorder


def found(params: dict[str, Any], search: dict[str, Any] | None = None) -> list[Mistake]:
    return list(look({"spec": {"trainer": {"lightgbm": {"params": params}}, "tune": {"search": search or {}}}}))


def told(params: dict[str, Any], search: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    return [(mistake.path, mistake.message) for mistake in found(params, search)]


WRONG = [
    ({"num_leaves": 1}, "num_leaves must be more than 1, found 1"),
    ({"num_leaves": -5}, "num_leaves must be more than 1, found -5"),
    ({"num_leaves": "abc"}, "num_leaves must be a whole number, found 'abc'"),
    ({"num_leaves": 31.5}, "num_leaves must be a whole number, found 31.5"),
    ({"num_leaves": 200_000}, "num_leaves must be at most 131072, found 200000"),
    ({"num_leaves": 2**32 + 31}, "num_leaves must be a number between -2147483647 and 2147483647, found 4294967327"),
    ({"max_leaf": 1}, "max_leaf must be more than 1, found 1"),
    ({"learning_rate": -1}, "learning_rate must be more than 0.0, found -1"),
    ({"eta": 0}, "eta must be more than 0.0, found 0"),
    ({"learning_rate": "fast"}, "learning_rate must be a number, found 'fast'"),
    ({"learning_rate": float("inf")}, "learning_rate must be a finite number, found inf"),
    ({"bagging_fraction": 7}, "bagging_fraction must be at most 1.0, found 7"),
    ({"max_bin": 1}, "max_bin must be more than 1, found 1"),
    ({"min_data_in_leaf": 1.5}, "min_data_in_leaf must be a whole number, found 1.5"),
    ({"extra_trees": 3}, "extra_trees must be true or false, found 3"),
    ({"lambda_l1": {"a": 1}}, "lambda_l1 must be a number, a word, true or false, or a list of those, found {'a': 1}"),
    ({"eta": "0.1 num_leaves=1"}, "eta must be one word, without blanks and equals signs, found '0.1 num_leaves=1'"),
    ({"boosting": "nonsense"}, "LightGBM has no boosting 'nonsense'"),
    ({"device": "tpu"}, "LightGBM has no device 'tpu'"),
    ({"metric": "auc,nonsense"}, "LightGBM has no metric 'nonsense'"),
    ({"monotone_constraints_method": "x"}, "LightGBM has no monotone_constraints_method 'x'"),
]


LIBRARY = lightgbm_look.LightGBMLibrary(Task.BINARY)


@pytest.mark.parametrize(("params", "message"), WRONG)
def test_a_value_that_lightgbm_does_not_take_is_told_at_its_place(params: dict[str, Any], message: str) -> None:
    (name,) = params
    assert told(params) == [(f'spec.trainer.lightgbm.params["{name}"]', message)]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"num_leaves": 15, "min_data_in_leaf": 40, "learning_rate": 0.05},
        {"num_leaves": 131_072, "min_data_in_leaf": 10**6, "max_bin": 10**6},
        {"bagging_fraction": 1e-4, "bagging_freq": 1},
        {"pos_bagging_fraction": 0.001, "neg_bagging_fraction": 0.001, "bagging_freq": 1},
        {"boosting": "goss", "top_rate": 0.001, "other_rate": 0.001},
        {"boosting": "rf", "subsample": 0.01, "subsample_freq": 1},
        {"boosting": "dart", "extra_trees": True, "linear_tree": None, "metric": ["auc", "binary_logloss"]},
        {"device_type": "cuda"},
        {"objective": "cross_entropy", "num_leaves": [7]},
        {"verbosity": 9},
    ],
)
def test_what_a_run_takes_is_sound(params: dict[str, Any]) -> None:
    assert told(params) == []


def test_every_mistake_is_told_at_once_and_words_with_what_is_allowed() -> None:
    (first, second) = found({"num_leaves": 1, "boosting": "gdbt"})
    assert first.path == 'spec.trainer.lightgbm.params["num_leaves"]'
    assert (second.wanted, second.allowed) == ("gdbt", lightgbm_look.WORDS["boosting"])


@pytest.mark.parametrize(
    ("params", "name", "message"),
    [
        ({"boosting": "rf"}, "boosting", "a random forest needs bagging_freq above 0"),
        ({"is_unbalance": True, "scale_pos_weight": 2.0}, "is_unbalance", "at the same time"),
        ({"boosting": "goss", "top_rate": 0.9, "other_rate": 0.9}, "boosting", "top_rate + other_rate"),
        ({"num_leaves": 7, "metric": ["auc", "na"], "boosting": "rf"}, "boosting", "a random forest needs"),
    ],
)
def test_values_that_do_not_go_together_are_told_at_one_of_them(
    params: dict[str, Any], name: str, message: str
) -> None:
    ((path, said),) = told(params)
    assert path == f'spec.trainer.lightgbm.params["{name}"]'
    assert message in said


def test_every_choice_and_both_ends_of_a_range_are_looked_at() -> None:
    search: dict[str, Any] = {
        "boosting": {"choice": ["gbdt", "darts"]},
        "max_bin": {"randint": [1, 5]},
        "max_depth": {"randint": [2, 9]},
        "learning_rate": {"loguniform": [0.01, 0.3]},
        "feature_fraction": {"uniform": [0.5, 2]},
        "lambda_l1": {"uniform": [0, 1]},
        "num_leaves": {"uniform": [2, 9]},
    }
    assert told({}, search) == [
        ('spec.tune.search["boosting"].choice[1]', "LightGBM has no boosting 'darts'"),
        ('spec.tune.search["max_bin"].randint[0]', "max_bin must be more than 1, found 1"),
        ('spec.tune.search["feature_fraction"].uniform[1]', "feature_fraction must be at most 1.0, found 2.0"),
        (
            'spec.tune.search["num_leaves"].uniform',
            "num_leaves must be a whole number, and uniform draws fractions: write randint, or choice",
        ),
    ]
    ((path, said),) = told({"bagging_freq": 1, "bagging_fraction": 0.5}, {"boosting": {"choice": ["gbdt", "goss"]}})
    assert path == 'spec.tune.search["boosting"].choice[1]'
    assert "Cannot use bagging in GOSS" in said


def test_to_ask_reads_and_writes_no_file_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever names a file never reaches the library, and what it would print stays there."""
    monkeypatch.chdir(tmp_path)
    names = {name: "made.txt" for name, of in CANONICAL.items() if name in DERIVED and "column" not in of}
    assert told({**names, "forcedbins_filename": "/etc/passwd", "verbosity": 9, "max_depth": 70}) == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_what_the_library_dies_of_never_reaches_it() -> None:
    lists: dict[str, Any] = {name: [9] for name, of in CANONICAL.items() if of in BY_COLUMN}
    assert told({**lists, "interaction_constraints": [[0, 99]]}) == []


@pytest.mark.parametrize("name", ["boosting", "data_sample_strategy"])
def test_words_are_those_of_the_installed_library(name: str) -> None:
    """Of the words that it refuses when it is given others."""
    beside = {"bagging_freq": 1, "bagging_fraction": 0.5}
    for word in lightgbm_look.WORDS[name]:
        assert LIBRARY.said({name: word, **({} if word == "goss" else beside)}, fits=True) is None
    assert "nonsense" in (LIBRARY.said({name: "nonsense"}, fits=True) or "")


@pytest.mark.parametrize(
    "params",
    [{"objective": "regression"}, {"loss": "l2"}, {"nrounds": 3}, {"model_input": "m"}, {"machine_list": "m"}],
)
def test_the_trainer_refuses_by_itself_what_no_spec_may_set(params: dict[str, Any]) -> None:
    """A spec may have come by a way that nobody examined."""
    with pytest.raises(WorkloadError) as caught:
        TRAINERS["lightgbm"].fit(DATA, FitSettings(params, rounds=2, seed=3), Recorder())
    assert caught.value.reason == "UnknownParameter"


def test_what_a_search_sets_is_looked_at_beside_what_makes_it_exist() -> None:
    drop = {"uniform": [0, 1], "when": {"boosting": ["dart"]}}
    assert told({}, {"boosting": {"choice": ["gbdt", "dart"]}, "drop_rate": drop}) == []
    wrong = {**drop, "uniform": [0, 2]}
    ((path, message),) = told({}, {"boosting": {"choice": ["gbdt", "dart"]}, "drop_rate": wrong})
    assert path == 'spec.tune.search["drop_rate"].uniform[1]'
    assert "drop_rate must be at most 1.0, found 2.0" in message


@pytest.mark.parametrize(
    ("form", "bounds", "whole"),
    [
        ("quniform", [2, 8, 2], "qrandint"),
        ("loguniform", [2, 8], "lograndint"),
        ("qloguniform", [2, 8, 2], "qlograndint"),
    ],
)
def test_a_whole_number_is_drawn_by_a_distribution_of_whole_numbers(form: str, bounds: list[int], whole: str) -> None:
    ((path, message),) = told({}, {"num_leaves": {form: bounds}})
    assert path == f'spec.tune.search["num_leaves"].{form}'
    assert f"{form} draws fractions: write {whole}, or choice" in message
    assert told({}, {"num_leaves": {whole: bounds}}) == []


def test_ends_of_a_range_of_steps_are_those_that_are_drawn() -> None:
    ((path, message),) = told({}, {"max_bin": {"qrandint": [1, 9, 1]}})
    assert (path, "found 1" in message) == ('spec.tune.search["max_bin"].qrandint[0]', True)
    assert told({}, {"max_bin": {"qrandint": [1, 9, 3]}}) == []
