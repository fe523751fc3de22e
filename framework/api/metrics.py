"""What a model is measured by: for which tasks, the values that each metric can have, and which of them are better.
Pure, because the specs that bound a metric and the workload that measures it have to mean the same; the functions are
in ``framework/scores.py``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from framework.api.errors import FieldError
from framework.api.nearest import nearest
from framework.api.tasks import Task

LEAST_PROBABILITY = 1e-15
"""Probabilities are kept that far from 0 and 1, so that a sure mistake costs much and not everything."""
DEFAULT_AT = 10
"""Where a metric of the first k places does not say how many."""
VALIDATION = "validation_"
"""Before the name of what is measured on the validation part."""
CV = "cv_"
"""Before the name of what is measured by cross-validation: the mean over its folds."""
CALLED_WITH = ("truth", "answers", "rows")
"""What a function that measures a metric of a spec's own is called with, by position."""
COST = "cost"
"""The name of what ``evaluation.costs`` measures."""


@dataclass(frozen=True)
class Measure:
    """``least`` and ``most`` are the ends of its range; ``loss``: better when smaller; ``places``: of the first k
    places of a list, written ``name@k``."""

    tasks: frozenset[Task]
    least: float
    most: float
    loss: bool = False
    places: bool = False

    @property
    def span(self) -> float:
        return self.most - self.least

    @property
    def bounded(self) -> bool:
        return math.isfinite(self.span)

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most


_BINARY, _CLASSES = frozenset({Task.BINARY}), frozenset({Task.BINARY, Task.MULTICLASS})
_NUMBER, _QUANTILE, _RANKING = (frozenset({task}) for task in (Task.REGRESSION, Task.QUANTILE, Task.RANKING))

MEASURES: Mapping[str, Measure] = {
    "auc": Measure(_CLASSES, 0, 1),
    "average_precision": Measure(_CLASSES, 0, 1),
    "log_loss": Measure(_CLASSES, 0, -math.log(LEAST_PROBABILITY), loss=True),
    "accuracy": Measure(_CLASSES, 0, 1),
    "balanced_accuracy": Measure(_CLASSES, 0, 1),
    "f1": Measure(_CLASSES, 0, 1),
    "precision": Measure(_CLASSES, 0, 1),
    "recall": Measure(_CLASSES, 0, 1),
    "mcc": Measure(_CLASSES, -1, 1),
    "brier": Measure(_CLASSES, 0, 1, loss=True),
    "calibration_error": Measure(_CLASSES, 0, 1, loss=True),
    "rmse": Measure(_NUMBER, 0, math.inf, loss=True),
    "mae": Measure(_NUMBER, 0, math.inf, loss=True),
    "mape": Measure(_NUMBER, 0, math.inf, loss=True),
    "r2": Measure(_NUMBER, -math.inf, 1),
    "pinball": Measure(_QUANTILE, 0, math.inf, loss=True),
    "coverage": Measure(_QUANTILE, 0, 1),
    "ndcg": Measure(_RANKING, 0, 1, places=True),
    "map": Measure(_RANKING, 0, 1, places=True),
}

_NAME = re.compile(r"([a-z0-9_]+?)(?:@([1-9]\d{0,3}))?")
PATTERN = f"^({'|'.join(name + ('(@[1-9][0-9]{0,3})?' if one.places else '') for name, one in MEASURES.items())})$"
"""What the name of a metric looks like, as a regular expression of JSON Schema."""


def parted(name: str) -> tuple[str, int | None]:
    """The entry of ``MEASURES`` that a name means, and of how many places it is.

    >>> parted("ndcg@5"), parted("map"), parted("auc")
    (('ndcg', 5), ('map', 10), ('auc', None))

    Raises:
        KeyError: there is no such metric.
    """
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in MEASURES or (found[2] and not MEASURES[found[1]].places):
        raise KeyError(name)
    places = int(found[2] or DEFAULT_AT) if MEASURES[found[1]].places else None
    return found[1], places


Measures = Mapping[str, Measure]
NO_OWN: Measures = MappingProxyType({})


def own_measures(evaluation: Mapping[str, Any]) -> Measures:
    """What a spec adds to ``MEASURES``, by its ``evaluation`` as JSON."""
    found = {
        one["name"]: Measure(frozenset(Task), -math.inf, math.inf, loss=one["better"] == "smaller")
        for one in evaluation.get("metrics") or ()
    }
    return found | ({COST: Measure(_CLASSES, -math.inf, math.inf, loss=True)} if evaluation.get("costs") else {})


def bare(name: str) -> str:
    """Without what says on which rows it was measured.

    >>> bare("validation_auc"), bare("cv_auc"), bare("auc")
    ('auc', 'auc', 'auc')
    """
    return next((name.removeprefix(prefix) for prefix in (VALIDATION, CV) if name.startswith(prefix)), name)


def measure_of(name: str, own: Measures = NO_OWN) -> Measure:
    """Raises KeyError where there is no such metric."""
    return own[name] if name in own else MEASURES[parted(name)[0]]


def written(name: str, own: Measures = NO_OWN) -> str:
    """The name as results have it: ``ndcg`` is ``ndcg@10``.

    Raises:
        KeyError: there is no such metric.
    """
    plain = bare(name)
    if plain in own:
        return name
    base, places = parted(plain)
    prefix = name.removesuffix(plain)
    return f"{prefix}{base}" if places is None else f"{prefix}{base}@{places}"


def measured(task: Task) -> tuple[str, ...]:
    """What is measured of every model of a task."""
    return tuple(written(name) for name, one in MEASURES.items() if task in one.tasks)


def is_known(name: str) -> bool:
    """Whether it is one of ``MEASURES``."""
    try:
        parted(name)
    except KeyError:
        return False
    return True


def known(name: str) -> str:
    """``name`` where it is a metric.

    Raises:
        FieldError: it is none.
    """
    try:
        parted(name)
    except KeyError:
        told = f"{name!r} is no metric (allowed: {', '.join(shown())})"
        raise FieldError(told, nearest(name, MEASURES)) from None
    return name


def _of_all(name: str) -> str:
    try:
        return known(name)
    except FieldError as error:
        told = f"{error}; one of a TrainingJob's own is measured by its runs alone"
        raise FieldError(told, error.suggestion) from None


Metric = Annotated[str, AfterValidator(_of_all), WithJsonSchema({"type": "string", "pattern": PATTERN})]
"""A field that names a metric, where there is no code of users to measure another one."""


_OWN = "[a-z][a-z0-9_]{0,39}"
"""What the name of a metric of the user's own looks like."""


def own_name(name: str) -> str:
    """``name`` where a metric of the user's own may have it.

    Raises:
        FieldError: it may not.
    """
    if not re.fullmatch(_OWN, name):
        raise FieldError(f"{name!r} is no name of a metric: 1 to 40 of a-z, 0-9 and _, a letter first")
    if name in (*MEASURES, COST):
        raise FieldError(f"{name} is the name of a metric that there is already")
    if bare(name) != name or name == "not_finite":
        raise FieldError(f"{name!r} would be taken for something else: results have such names of their own")
    return name


OwnName = Annotated[str, AfterValidator(own_name), WithJsonSchema({"type": "string", "pattern": f"^{_OWN}$"})]


def _or_own(name: str) -> str:
    """``name`` where it is a metric, or may be one of the spec's own: whether it is, the rules of the whole spec say.

    Raises:
        FieldError: it can be neither.
    """
    if re.fullmatch(_OWN, bare(name)) is None:
        known(bare(name))
    return name


def _of_validation(name: str) -> str:
    if not name.startswith(VALIDATION):
        allowed = [f"{VALIDATION}{one}" for one in shown()]
        near = nearest(name, MEASURES)
        told = f"{name!r} is no metric of the validation part (allowed: {', '.join(allowed)})"
        raise FieldError(told, f"{VALIDATION}{near}" if near else None)
    return _or_own(name)


def _or_own_pattern(prefix: str) -> Any:
    return WithJsonSchema({"type": "string", "pattern": f"^{prefix}[a-z][a-z0-9_]*(@[1-9][0-9]{{0,3}})?$"})


MetricOrOwn = Annotated[str, AfterValidator(_or_own), _or_own_pattern("")]
"""A field that names a metric, or one of the spec's own."""
ValidationMetric = Annotated[str, AfterValidator(_of_validation), _or_own_pattern(VALIDATION)]
"""The same, of the validation part."""


def shown() -> list[str]:
    """The names as a message lists them."""
    return [f"{name}@k" if one.places else name for name, one in MEASURES.items()]


def why_not(name: str, task: Task, own: Measures = NO_OWN) -> str | None:
    """Why a metric says nothing of a task, None where it does."""
    if task in measure_of(name, own).tasks:
        return None
    return f"{name} is no metric of {task.value} (its own: {', '.join(measured(task))})"
