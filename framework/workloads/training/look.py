"""A TrainingJob before it is run: whether scikit-learn has such an estimator, with such parameters and values, and
whether LightGBM and XGBoost take those that they are given, and whether the functions that it names can be called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.api import spaces
from framework.api.tasks import Task
from framework.workloads.examining import Mistake
from framework.workloads.failures import first_line
from framework.workloads.training import estimators, signatures
from framework.workloads.training.boosting import BoostingLibrary
from framework.workloads.training.lightgbm_look import LightGBMLibrary
from framework.workloads.training.xgboost_look import XGBoostLibrary

_PARAMETER = re.compile(r"The '(\w+)' parameter of ")
_TRAINER = "spec.trainer.sklearn"
_BOOSTING: Sequence[type[BoostingLibrary]] = (LightGBMLibrary, XGBoostLibrary)


def look(question: Mapping[str, Any]) -> Iterator[Mistake]:
    """``question``: spec, root."""
    spec = question["spec"]
    trainer, search = spec["trainer"], (spec.get("tune") or {}).get("search") or {}
    task = Task(spec["task"]) if spec.get("task") else None
    if trainer.get("sklearn"):
        yield from _look(trainer["sklearn"], search, task)
    for library in _BOOSTING:
        if trainer.get(library.trainer):
            yield from library(task).look(trainer[library.trainer], search)
    yield from signatures.look(question.get("root", ""), spec.get("calls") or {})


def _look(form: Mapping[str, Any], search: Mapping[str, Any], task: Task | None) -> Iterator[Mistake]:
    params = form.get("params") or {}
    try:
        estimator = estimators.find(form["estimator"], task)
    except estimators.NoEstimatorError as error:
        yield Mistake(f"{_TRAINER}.estimator", str(error), error.near, form["estimator"])
        return
    named = {name: f'{_TRAINER}.params["{name}"]' for name in params}
    named |= {name: f'spec.tune.search["{name}"]' for name in search if name not in params}
    known = estimators.parameters(estimator)
    wrong = [
        Mistake(path, f"{estimator.__name__} has no parameter {name!r}", tuple(known), name)
        for name, path in named.items()
        if name not in known
    ]
    yield from wrong
    if not wrong:
        yield from _values(estimator, params, search, task)


def _values(
    estimator: Any, params: Mapping[str, Any], search: Mapping[str, Any], task: Task | None
) -> Iterator[Mistake]:
    """What the estimator says of the values that it will be given: as they are, and as each choice has them, with what
    makes it exist."""
    chosen = {name: space["choice"] for name, space in search.items() if space.get("choice")}
    try:
        among = spaces.parameters(search)
    except ValueError:
        return  # of its conditions, other rules tell

    def beside(fixed: Mapping[str, Any]) -> dict[str, Any]:
        return {**params, **{name: value for name, value in spaces.example(among, fixed).items() if name in chosen}}

    yield from _made(estimator, beside({}), {name: f'{_TRAINER}.params["{name}"]' for name in params}, task)
    for name, choice in chosen.items():
        for index, value in enumerate(choice):
            path = f'spec.tune.search["{name}"].choice[{index}]'
            yield from _made(estimator, beside({name: value}), {name: path}, task)


def _made(estimator: Any, params: Mapping[str, Any], paths: Mapping[str, str], task: Task | None) -> Iterator[Mistake]:
    """Mistakes of parameters that ``paths`` names."""
    try:
        lacking = _unfit(estimator, params, task)
        if lacking is None and hasattr(estimator, "_validate_params"):
            estimator(**params)._validate_params()
    except Exception as error:
        line = first_line(error)
        found = _PARAMETER.match(line)
        name = found[1] if found else ""
        if name in paths:
            yield Mistake(paths[name], line)
        elif not found:
            yield Mistake(next(iter(paths.values()), f"{_TRAINER}.estimator"), line)
        return
    if lacking is not None:
        yield Mistake(f"{_TRAINER}.estimator", lacking)


def _unfit(estimator: Any, params: Mapping[str, Any], task: Task | None) -> str | None:
    """Where the label's values decide what is learned, it has to fit something."""
    if task is not None:
        return estimators.unfit(estimator, params, task)
    if estimators.unfit(estimator, params, Task.REGRESSION) is None:
        return None
    return estimators.unfit(estimator, params, Task.BINARY)
