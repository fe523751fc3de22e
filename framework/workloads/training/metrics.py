"""What is measured of a model's answers, the same for every trainer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import MEASURES, NO_OWN, VALIDATION, Measures, measure_of, measured, shown, why_not, written
from framework.api.nearest import did_you_mean
from framework.api.tasks import TASKS, Task
from framework.scores import Answered, score
from framework.workloads.context import WorkloadError
from framework.workloads.training.own_metrics import NO_OWN_METRICS, OwnMetrics
from framework.workloads.training.trainer import TrainingData

NOT_FINITE = "not_finite"
"""What stands among the metrics in their place where the model gave NaN or infinity: for how many rows."""


def answered(
    output: ModelOutput,
    truth: Matrix,
    answers: Matrix,
    groups: Matrix | None = None,
    own: OwnMetrics = NO_OWN_METRICS,
    rows: Any = None,
) -> Answered:
    """Answers of a model beside the truth; ``rows`` are what ``OwnMetrics.rows`` makes of the frame."""
    threshold = 0.5 if output.threshold is None else output.threshold
    return Answered(truth, answers, output.task, threshold, output.quantiles, groups, own.functions, rows)


def measure(known: Answered, prefix: str = "", also: Iterable[str] = ()) -> dict[str, float]:
    """Every metric of the task and of the spec's own, and ``also`` those that the spec names, as ``measured_by`` has
    them."""
    return measured_by([*measured(known.task), *known.own, *also], known, prefix)


def measured_by(names: Iterable[str], known: Answered, prefix: str = "") -> dict[str, float]:
    """The metrics that are defined on these rows, by (prefixed) name; where an answer is not finite none of them is,
    and ``not_finite`` says how many."""
    unscored = not_finite(known.given)
    if unscored:
        return {f"{prefix}{NOT_FINITE}": float(unscored)}
    wanted = dict.fromkeys(name if name in known.own else written(name) for name in names)
    found = {f"{prefix}{name}": score(name, known) for name in wanted}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def validated(data: TrainingData, answers: Matrix) -> Answered:
    """Answers to the validation rows."""
    part = data.validation
    return answered(data.output, part.y, answers, part.groups, data.own, part.rows)


def headline(data: TrainingData, answers: Matrix) -> str:
    """How good answers to the validation rows are, in a word: ``validation_auc 0.7123``; empty where nobody can
    tell."""
    found = measured_by([TASKS[data.output.task].headline], validated(data, answers), VALIDATION)
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


def is_loss(name: str, own: OwnMetrics = NO_OWN_METRICS) -> bool:
    """Whether less of it is better."""
    return measure_of(name, own.measures).loss


def not_finite(answers: Matrix) -> int:
    """Rows whose answer is no number, or has a part that is none."""
    finite = np.isfinite(answers)
    return int(np.count_nonzero(~(finite if finite.ndim == 1 else finite.all(axis=1))))


def checked(name: str, task: Task, own: Measures = NO_OWN) -> str:
    """The metric called ``name``, as results have it; ``own`` are those of the spec's own.

    Raises:
        WorkloadError: "UnknownMetric" where there is none, or where it says nothing of the task.
    """
    try:
        measure_of(name, own)
    except KeyError:
        near = did_you_mean(name, (*own, *MEASURES))
        told = f"there is no metric {name!r}{near} (allowed: {', '.join([*own, *shown()])})"
        raise WorkloadError("UnknownMetric", told) from None
    unfit = why_not(name, task, own)
    if unfit is not None:
        raise WorkloadError("UnknownMetric", unfit)
    return written(name, own)
