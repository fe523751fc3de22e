"""How differently a model treats groups of people: the measures, what each is for, and the values that it can have.
Pure, because specs bound them and the training workload measures them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from framework.api.metrics import NO_OWN, Measures, measure_of, why_not
from framework.api.tasks import TASKS, Task


class FairnessMetric(StrEnum):
    DEMOGRAPHIC_PARITY = "demographic_parity_difference"
    EQUAL_OPPORTUNITY = "equal_opportunity_difference"
    EQUALIZED_ODDS = "equalized_odds_difference"
    GROUP_LOSS = "group_loss_difference"


@dataclass(frozen=True)
class FairnessMeasure:
    """The largest difference between two groups in any of ``rates``, which are functions of ``fairlearn.metrics``; of
    the loss that a bar names where there are none. 0 is best, ``most`` the worst."""

    tasks: frozenset[Task]
    rates: tuple[str, ...]
    most: float
    source: str


_BINARY = frozenset({Task.BINARY})

FAIRNESS: Mapping[FairnessMetric, FairnessMeasure] = {
    FairnessMetric.DEMOGRAPHIC_PARITY: FairnessMeasure(
        _BINARY, ("selection_rate",), 1, "Dwork et al., Fairness through awareness, ITCS 2012"
    ),
    FairnessMetric.EQUAL_OPPORTUNITY: FairnessMeasure(
        _BINARY, ("true_positive_rate",), 1, "Hardt, Price and Srebro, Equality of opportunity, NeurIPS 2016"
    ),
    FairnessMetric.EQUALIZED_ODDS: FairnessMeasure(
        _BINARY,
        ("true_positive_rate", "false_positive_rate"),
        1,
        "Hardt, Price and Srebro, Equality of opportunity, NeurIPS 2016",
    ),
    FairnessMetric.GROUP_LOSS: FairnessMeasure(
        frozenset(Task) - {Task.RANKING}, (), math.inf, "Agarwal, Dudik and Wu, Fair regression, ICML 2019"
    ),
}


def loss_of(task: Task, asked: str | None) -> str:
    """The loss that groups are compared by: as asked for, or else what the task is told by, of classes ``log_loss``."""
    headline = TASKS[task].headline
    return asked or (headline if measure_of(headline).loss else "log_loss")


def why_unfit(metric: FairnessMetric, loss: str | None, task: Task, own: Measures = NO_OWN) -> str | None:
    """Why a measure says nothing of a task, None where it does; ``own`` are metrics of the spec's own."""
    if task not in FAIRNESS[metric].tasks:
        other = FairnessMetric.GROUP_LOSS
        if task is Task.RANKING:
            return f"{metric} compares groups of rows, and a ranking is judged by lists"
        how = f"a label of task {task.value} has no positive class; {other} compares losses of groups"
        return f"{metric} compares how often groups are predicted positive, and {how}"
    return why_not(loss, task, own) if loss is not None else None


def most_of(metric: FairnessMetric, loss: str | None, own: Measures = NO_OWN) -> float:
    """The largest value that there can be."""
    return measure_of(loss, own).span if loss is not None else FAIRNESS[metric].most


def group_name(group: str | None) -> str:
    """Rows without a value are a group of their own."""
    return "no value" if group is None else group


def bar_name(metric: str, loss: str | None, attribute: str) -> str:
    """
    >>> bar_name("group_loss_difference", "mae", "origin")
    'group_loss_difference of mae by origin'
    """
    return f"{metric}{f' of {loss}' if loss else ''} by {attribute}"
