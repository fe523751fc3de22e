"""When a fit in rounds has nothing more to gain, by a metric of the validation rows. One rule for all trainers, since
the best round so far has to outlive a crash, which what libraries have of their own does not."""

from __future__ import annotations

import numpy as np

from framework.answers import Matrix
from framework.api.tasks import TASKS
from framework.workloads.context import WorkloadError
from framework.workloads.training import metrics
from framework.workloads.training.trainer import BestRound, FitSettings, TrainingData


class Stopping:
    """Follows one fit. Without a rule nothing is measured, no round is better than another, and none is the last."""

    def __init__(self, data: TrainingData, settings: FitSettings, best: BestRound | None = None) -> None:
        """``best`` is that of a checkpoint which the fit goes on from."""
        self._data, self._rule, self._agree, self.best = data, settings.stop, settings.agree, best
        self._seen = 0

    @property
    def asked(self) -> bool:
        return self._rule is not None

    def see(self, rounds: int, answers: Matrix) -> bool:
        """Whether ``answers`` to the validation rows after ``rounds`` are the best so far. Equal ones are no better,
        nor are those of which the metric is not defined. Several workers go by what the first one measures."""
        if self._rule is None:
            return False
        self._seen = rounds
        metric = self._rule.metric or TASKS[self._data.output.task].headline
        found = metrics.measured_by([metric], metrics.validated(self._data, answers))
        value = self._agree(next(iter(found.values())) if len(found) == 1 and metrics.NOT_FINITE not in found else None)
        if value is None:
            return False
        gain = np.inf if self.best is None else value - self.best.value
        if metrics.is_loss(metric, self._data.own) and self.best is not None:
            gain = -gain
        if not gain > (0.0 if self.best is None else self._rule.min_delta):
            return False
        self.best = BestRound(rounds, value)
        return True

    def over(self) -> bool:
        """Whether the fit stops after the round that was seen last.

        Raises:
            WorkloadError: "MetricUndefined": after all that patience there is no value to go by.
        """
        if self._rule is None or self._seen - (self.best.rounds if self.best else 0) < self._rule.patience:
            return False
        self._defined()
        return True

    def kept(self, rounds: int) -> int:
        """The round whose model is that of a fit which ends after ``rounds``.

        Raises:
            WorkloadError: "MetricUndefined".
        """
        if self._rule is None:
            return rounds
        return self._defined().rounds

    def _defined(self) -> BestRound:
        if self.best is None:
            metric = (self._rule and self._rule.metric) or TASKS[self._data.output.task].headline
            told = f"earlyStopping goes by {metric}, which is not defined on the validation rows"
            raise WorkloadError("MetricUndefined", f"{told} after any of {self._seen:,} rounds")
        return self.best
