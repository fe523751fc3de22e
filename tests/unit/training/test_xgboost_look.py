"""What XGBoost says of a job before it is run, and that the table of its parameters is that of the installed one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from framework.api.tasks import Task
from framework.api.xgboost import ARGUMENTS, BY_COLUMN, CANONICAL, DERIVED, OBJECTIVES, WORDS
from framework.workloads.examining import Mistake
from framework.workloads.training.look import look
from framework.workloads.training.xgboost_look import XGBoostLibrary


def found(params: dict[str, Any], search: dict[str, Any] | None = None, task: str | None = None) -> list[Mistake]:
    spec = {"trainer": {"xgboost": {"params": params}}, "tune": {"search": search or {}}, "task": task}
    return list(look({"spec": spec}))


def told(
    params: dict[str, Any], search: dict[str, Any] | None = None, task: str | None = None
) -> list[tuple[str, str]]:
    return [(mistake.path, mistake.message) for mistake in found(params, search, task)]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"eta": -1}, "eta must be at least 0, found -1"),
        ({"eta": "fast"}, "eta must be a number, found 'fast'"),
        ({"eta": True}, "eta must be a number, found True"),
        ({"learning_rate": float("inf")}, "learning_rate must be a finite number, found inf"),
        ({"gamma": [1]}, "gamma must be a number, found [1]"),
        ({"lambda": {"a": 1}}, "lambda must be a number, a word, or true or false, found {'a': 1}"),
        ({"max_depth": 31.5}, "max_depth must be a whole number, found 31.5"),
        ({"max_depth": "a"}, "max_depth must be a whole number, found 'a'"),
        ({"max_depth": 2**32}, "max_depth must be a number between -2147483647 and 2147483647, found 4294967296"),
        ({"max_bin": 1}, "max_bin must be at least 2, found 1"),
        ({"num_parallel_tree": 0}, "num_parallel_tree must be at least 1, found 0"),
        ({"subsample": 7}, "subsample must be between 0 and 1, found 7"),
        ({"one_drop": 3}, "one_drop must be true or false, found 3"),
        ({"tweedie_variance_power": 3}, "tweedie_variance_power must be between 1 and 2, found 3"),
        ({"lambdarank_num_pair_per_sample": 0}, "lambdarank_num_pair_per_sample must be at least 1, found 0"),
        ({"base_score": "x"}, "base_score must be a number, found 'x'"),
    ],
)
def test_a_value_that_xgboost_does_not_take_is_told_at_its_place(params: dict[str, Any], message: str) -> None:
    (name,) = params
    assert told(params) == [(f'spec.trainer.xgboost.params["{name}"]', message)]


@pytest.mark.parametrize(
    ("params", "task"),
    [
        ({}, None),
        ({"max_depth": 4, "min_child_weight": 20, "eta": 0.05, "n_jobs": 3}, None),
        ({"max_depth": 10**9, "max_bin": 10**9, "num_parallel_tree": 10**9, "max_leaves": 10**9}, None),
        ({"subsample": 1e-4, "colsample_bytree": 1e-4, "sampling_method": "gradient_based"}, None),
        ({"booster": "dart", "rate_drop": 0.1, "one_drop": True, "gamma": None}, None),
        ({"base_score": 20}, None),
        ({"device": "cuda"}, None),
        ({"objective": "reg:gamma"}, None),
        ({"objective": "reg:tweedie", "tweedie_variance_power": 1.2}, "regression"),
        ({"objective": "reg:pseudohubererror", "huber_slope": 2.0}, "regression"),
        ({"multi_strategy": "multi_output_tree"}, "multiclass"),
        ({"max_leaves": 9, "grow_policy": "lossguide"}, "quantile"),
        ({"objective": "rank:map", "lambdarank_pair_method": "mean"}, "ranking"),
        ({"ndcg_exp_gain": False}, "ranking"),
    ],
)
def test_what_a_run_takes_is_sound(params: dict[str, Any], task: str | None) -> None:
    assert told(params, task=task) == []


@pytest.mark.parametrize(
    ("params", "task", "name", "message"),
    [
        ({"tree_method": "exact", "max_depth": 0}, None, "tree_method", "doesn't support unlimited depth"),
        (
            {"multi_strategy": "multi_output_tree", "tree_method": "approx"},
            "multiclass",
            "multi_strategy",
            "beside the other parameters: Only the hist tree method is supported",
        ),
        ({"base_score": 20}, "binary", "base_score", "base_score must be in (0,1) for the logistic loss"),
    ],
)
def test_values_that_do_not_go_together_are_told_at_one_of_them(
    params: dict[str, Any], task: str | None, name: str, message: str
) -> None:
    ((path, said),) = told(params, task=task)
    assert path == f'spec.trainer.xgboost.params["{name}"]'
    assert message in said


@pytest.mark.parametrize(
    ("params", "search", "task", "path", "what"),
    [
        ({"rate_drop": 0.1}, {}, None, 'trainer.xgboost.params["rate_drop"]', "booster: dart"),
        ({"huber_slope": 1}, {}, "regression", 'trainer.xgboost.params["huber_slope"]', "objective: reg:pseudo"),
        ({"ndcg_exp_gain": True}, {}, "binary", 'trainer.xgboost.params["ndcg_exp_gain"]', "dataset.task: ranking"),
        ({"scale_pos_weight": 2}, {}, "multiclass", 'trainer.xgboost.params["scale_pos_weight"]', "what it belongs to"),
        ({}, {"skip_drop": {"uniform": [0, 0.1]}}, None, 'tune.search["skip_drop"]', "booster: dart"),
    ],
)
def test_what_has_no_effect_is_told_with_what_it_belongs_to(
    params: dict[str, Any], search: dict[str, Any], task: str | None, path: str, what: str
) -> None:
    ((where, said),) = told(params, search, task)
    assert where == f"spec.{path}"
    assert f"has no effect beside the other parameters: leave it out, or set {what}" in said


def test_of_a_name_that_it_does_not_have_rules_tell_and_nobody_else() -> None:
    assert told({"max_dpth": 5}, {}, "regression") == []


def test_what_one_choice_has_a_use_for_has_an_effect() -> None:
    assert told({"rate_drop": 0.1}, {"booster": {"choice": ["gbtree", "dart"]}}) == []
    assert told({"scale_pos_weight": 2}) == [], "the label may turn out to be binary"


def test_every_choice_and_both_ends_of_a_range_are_looked_at() -> None:
    search: dict[str, Any] = {
        "max_bin": {"randint": [1, 5]},
        "max_depth": {"uniform": [2, 9]},
        "min_child_weight": {"randint": [2, 9]},
        "eta": {"loguniform": [0.01, 0.3]},
        "subsample": {"uniform": [0.5, 2]},
        "gamma": {"choice": [0, -1]},
    }
    assert told({}, search) == [
        ('spec.tune.search["max_bin"].randint[0]', "max_bin must be at least 2, found 1"),
        (
            'spec.tune.search["max_depth"].uniform',
            "max_depth must be a whole number, and uniform draws fractions: write randint, or choice",
        ),
        ('spec.tune.search["subsample"].uniform[1]', "subsample must be between 0 and 1, found 2.0"),
        ('spec.tune.search["gamma"].choice[1]', "gamma must be at least 0, found -1"),
    ]
    ((path, said),) = told({"max_depth": 0}, {"tree_method": {"choice": ["hist", "exact"]}})
    assert path == 'spec.tune.search["tree_method"].choice[1]'
    assert "unlimited depth" in said


def test_to_ask_reads_and_writes_no_file_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    unasked = dict.fromkeys({*DERIVED, *BY_COLUMN, "interaction_constraints", "device"}, "made.txt")
    assert told({**unasked, "verbosity": 3, "max_depth": 70}) == []
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


# -- the table -------------------------------------------------------------------------------------------------------


_INTERNAL = {"name", "num_trees", "specified_updater", "updater_seq"}
"""What a configuration has besides parameters."""


def parameters(config: Any) -> Iterator[str]:
    """The names of all values of a configuration."""
    match config:
        case dict():
            for name, value in config.items():
                if isinstance(value, dict | list):
                    yield from parameters(value)
                else:
                    yield name
        case list():
            for item in config:
                yield from parameters(item)


def test_what_xgboost_knows_is_what_the_installed_one_knows() -> None:
    asked: list[dict[str, Any]] = [{"booster": booster} for booster in ("gbtree", "dart", "gblinear")]
    asked += [{"tree_method": method} for method in WORDS["tree_method"]]
    asked += [{"objective": objective} for able in OBJECTIVES.values() for objective in able]
    known = set[str]()
    asked += [{"booster": "gblinear", "updater": "coord_descent"}, {"objective": "survival:aft"}]
    for params in asked:
        needs = (
            {"num_class": 3} if "multi" in str(params) else {"quantile_alpha": 0.5} if "quant" in str(params) else {}
        )
        rows = xgboost.DMatrix(np.ones((6, 1)), np.ones(6), group=[6] if "rank" in str(params) else None)
        rows.set_float_info("label_lower_bound", np.ones(6))
        rows.set_float_info("label_upper_bound", np.ones(6))
        booster = xgboost.Booster({**params, **needs, "verbosity": 0}, [rows])
        booster.update(rows, 0)
        known |= set(parameters(json.loads(booster.save_config())["learner"]))
    of_config = known - _INTERNAL - {"version"}
    of_table = CANONICAL.keys() - ARGUMENTS
    # What is set once for a process, and what the configuration keeps elsewhere.
    assert of_table - of_config == {"eval_metric", "verbosity"}
    assert of_config - of_table == set()
    assert DERIVED.keys() >= ARGUMENTS


def test_other_names_are_those_of_the_installed_one() -> None:
    rows = xgboost.DMatrix(np.ones((6, 1)), np.ones(6))
    pairs = {name: of for name, of in CANONICAL.items() if name != of}
    assert pairs
    for name, of in pairs.items():
        config = xgboost.Booster({name: 1, "verbosity": 0}, [rows]).save_config()
        assert f'"{of}":"1"' in config


@pytest.mark.parametrize("name", [name for name in WORDS if name != "device"])
def test_words_are_those_of_the_installed_library(name: str) -> None:
    library = XGBoostLibrary(Task.RANKING if name.startswith("lambdarank") else Task.MULTICLASS)
    beside = {"booster": "dart"} if name in ("normalize_type", "sample_type") else {}
    for word in WORDS[name]:
        assert library.said({**beside, name: word}, fits=True) is None
    assert "nonsense" in (library.said({**beside, name: "nonsense"}, fits=False) or "")


@pytest.mark.parametrize(("task", "objective"), [(task, one) for task, able in OBJECTIVES.items() for one in able])
def test_objectives_are_those_of_the_installed_library(task: Task, objective: str) -> None:
    assert told({"objective": objective}, task=task.value) == []


def test_a_parameter_that_exists_only_where_it_has_an_effect_has_one() -> None:
    search: dict[str, Any] = {
        "booster": {"choice": ["gbtree", "dart"]},
        "skip_drop": {"uniform": [0, 0.1], "when": {"booster": ["dart"]}},
    }
    question = {"spec": {"trainer": {"xgboost": {"params": {}}}, "tune": {"search": search}}}
    assert list(look(question)) == []
    search["skip_drop"]["when"] = {"booster": ["gbtree"]}
    assert ["booster: dart" in one.message for one in look(question)] == [True]
