"""Scikit-learn's estimators by name: is there one, what does it take, and does it give probabilities?"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from framework.api.nearest import did_you_mean, nearest
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line


class NoEstimatorError(Exception):
    """There is no class of that name; ``near`` are estimators that there are."""

    def __init__(self, name: str, near: tuple[str, ...]) -> None:
        super().__init__(f"scikit-learn has no {name}")
        self.near = near


def find(name: str, task: Task | None = None) -> Any:
    """The class that a dotted name below sklearn stands for. ``task`` says what is likely meant where there is none.

    Raises:
        NoEstimatorError: there is none.
    """
    module_name, _, own = name.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        sklearn = importlib.import_module("sklearn")
        raise NoEstimatorError(name, tuple(f"sklearn.{item}.{own}" for item in sklearn.__all__)) from error
    found = getattr(module, own, None)
    if not inspect.isclass(found):
        raise NoEstimatorError(name, _alike(name, module, module_name, task))
    return found


def _alike(name: str, module: Any, module_name: str, task: Task | None) -> tuple[str, ...]:
    """What answers as the task asks for, classifiers where nothing is said; where none of these is meant, whatever
    predicts."""
    there = {item: getattr(module, item) for item in dir(module) if not item.startswith("_")}
    predict = {item: found for item, found in there.items() if hasattr(found, "predict")}
    classifies = task is not Task.REGRESSION
    fit = [item for item, found in predict.items() if hasattr(found, "predict_proba") is classifies]
    able = tuple(f"{module_name}.{item}" for item in fit)
    return able if nearest(name, able) is not None else tuple(f"{module_name}.{item}" for item in predict)


def parameters(estimator: Any) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(estimator).parameters


def unfit(estimator: Any, params: Mapping[str, Any], task: Task) -> str | None:
    """Why an estimator made with ``params`` does not answer what the task asks for, None where it does. Some do with
    other parameters."""
    name = estimator.__name__
    if task is Task.REGRESSION:
        from sklearn.base import is_regressor

        return None if is_regressor(estimator(**params)) else f"{name} is no regressor, which dataset.task asks for"
    if not hasattr(estimator, "predict_proba"):
        return f"{name} is no classifier with probabilities (it has no predict_proba)"
    try:
        estimator(**params).predict_proba  # noqa: B018 - whether it is there is what is asked
    except AttributeError as error:
        told = f"{name} gives no probabilities with these parameters: {first_line(error.__cause__ or error)}"
        return f"{told}; say params: {{probability: true}}" if "probability" in parameters(estimator) else told
    return None


def build(name: str, params: Mapping[str, Any], seed: int, task: Task = Task.BINARY) -> Any:
    """An estimator that can be fitted.

    Raises:
        WorkloadError: "EstimatorMissing" for one that does not exist or does not fit the task; "UnknownParameter";
            "TrainerFailed" where it cannot be made.
    """
    try:
        estimator = find(name, task)
    except NoEstimatorError as error:
        raise WorkloadError("EstimatorMissing", f"{error}{did_you_mean(name, error.near)}") from error
    known = parameters(estimator)
    wrong = [key for key in params if key not in known]
    if wrong:
        told = ", ".join(f"{key!r}{did_you_mean(key, known)}" for key in wrong)
        raise WorkloadError(
            "UnknownParameter", f"{estimator.__name__} has no parameter {told} (allowed: {', '.join(known)})"
        )
    try:
        lacking = unfit(estimator, params, task)
    except Exception as error:
        raise WorkloadError("TrainerFailed", f"{name} cannot be made: {first_line(error)}") from error
    if lacking is not None:
        raise WorkloadError("EstimatorMissing", lacking)
    ours = {"random_state": seed} if "random_state" in known else {}
    return estimator(**{**ours, **params})
