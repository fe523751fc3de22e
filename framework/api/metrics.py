"""What a model is measured by: the values that each metric can have, and which of them are better. Pure, because the
specs that bound a metric and the workload that measures it have to mean the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

LEAST_PROBABILITY = 1e-15
"""Probabilities are kept that far from 0 and 1, so that a sure mistake costs much and not everything."""


@dataclass(frozen=True)
class Measure:
    """``least`` and ``most`` are the ends of its range, both possible; ``loss``: better when smaller."""

    least: float
    most: float
    loss: bool = False

    @property
    def span(self) -> float:
        return self.most - self.least

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most


MEASURES: Mapping[str, Measure] = {
    "auc": Measure(0, 1),
    "log_loss": Measure(0, -math.log(LEAST_PROBABILITY), loss=True),
    "accuracy": Measure(0, 1),
    "brier": Measure(0, 1, loss=True),
}
LOSSES = frozenset(name for name, measure in MEASURES.items() if measure.loss)
