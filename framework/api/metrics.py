"""What a model is measured by: for which tasks, the values that each metric can have, and which of them are better.
Pure, because the specs that bound a metric and the workload that measures it have to mean the same; the functions are
in ``framework/scores.py``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

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


def measure_of(name: str) -> Measure:
    """Raises KeyError where there is no such metric."""
    return MEASURES[parted(name)[0]]


def written(name: str) -> str:
    """The name as results have it: ``ndcg`` is ``ndcg@10``."""
    base, places = parted(name)
    return base if places is None else f"{base}@{places}"


def measured(task: Task) -> tuple[str, ...]:
    """What is measured of every model of a task."""
    return tuple(written(name) for name, one in MEASURES.items() if task in one.tasks)


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


Metric = Annotated[str, AfterValidator(known), WithJsonSchema({"type": "string", "pattern": PATTERN})]
"""A field that names a metric."""


def known_of_validation(name: str) -> str:
    """``name`` where it is a metric of the validation part.

    Raises:
        FieldError: it is none.
    """
    if name.startswith(VALIDATION):
        try:
            parted(name.removeprefix(VALIDATION))
        except KeyError:
            pass
        else:
            return name
    allowed = [f"{VALIDATION}{one}" for one in shown()]
    near = nearest(name.removeprefix(VALIDATION), MEASURES)
    told = f"{name!r} is no metric of the validation part (allowed: {', '.join(allowed)})"
    raise FieldError(told, f"{VALIDATION}{near}" if near else None)


ValidationMetric = Annotated[
    str,
    AfterValidator(known_of_validation),
    WithJsonSchema({"type": "string", "pattern": PATTERN.replace("^", f"^{VALIDATION}", 1)}),
]
"""A field that names a metric of the validation part."""


def shown() -> list[str]:
    """The names as a message lists them."""
    return [f"{name}@k" if one.places else name for name, one in MEASURES.items()]


def why_not(name: str, task: Task) -> str | None:
    """Why a metric says nothing of a task, None where it does."""
    if task in measure_of(name).tasks:
        return None
    return f"{name} is no metric of {task.value} (its own: {', '.join(measured(task))})"
