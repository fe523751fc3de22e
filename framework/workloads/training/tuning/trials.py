"""One trial: what it reports while it is fitted, and what it is called when it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from framework.answers import Matrix
from framework.api.metrics import VALIDATION
from framework.workloads.context import WorkloadError
from framework.workloads.training import metrics
from framework.workloads.training.trainer import Artifact, TrainingData
from framework.workloads.training.tuning.constraints import LATENCY, Bound, latency_ms, metrics_of, worth


class TrialWatch:
    """Reports the best state of a trial so far, so that a trial is worth its best round and not its last. ``start`` is
    the model that it goes on from, if any: then it is worth what it is in the end, where others go on from it."""

    def __init__(
        self,
        data: TrainingData,
        metric: str,
        mode: str,
        emit: Callable[[dict[str, Any]], None],
        bounds: Sequence[Bound] = (),
        *,
        latest: bool = False,
        start: tuple[int, Artifact] | None = None,
    ) -> None:
        self._data, self._metric, self._mode, self._emit, self._bounds = data, metric, mode, emit, bounds
        self._latest, self._start = latest, start
        self._best: dict[str, Any] | None = None

    def resume(self) -> tuple[int, Artifact] | None:
        """Trials are short and start over."""
        return self._start

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        """Measure the validation rows; hand on the best report so far.

        Raises:
            WorkloadError: "ScoresNotFinite", "MetricUndefined": such a state cannot be compared with any other.
        """
        unscored = metrics.not_finite(scores)
        if unscored:
            told = f"the model answers {unscored:,} of {len(scores):,} validation rows with no finite number"
            raise WorkloadError("ScoresNotFinite", told)
        known = metrics.validated(self._data, scores)
        names = [self._metric.removeprefix(VALIDATION), *metrics_of(self._bounds)]
        found: dict[str, Any] = {**metrics.measured_by(names, known, VALIDATION), "rounds": rounds}
        if self._metric not in found:
            raise WorkloadError("MetricUndefined", f"{self._metric} is not defined on the validation rows")
        if any(bound.name == LATENCY for bound in self._bounds):
            taken = latency_ms(model(), self._data.validation.batch(0).x, self._data.output)
            found |= {} if taken is None else {LATENCY: taken}
        if self._best is None or self._latest or self._worth(found) > self._worth(self._best):
            self._best = found
        self._emit(dict(self._best))

    def _worth(self, found: dict[str, Any]) -> tuple[float, float]:
        return worth(found, self._metric, self._mode, self._bounds)


def cause(error: BaseException | None) -> tuple[str, bool]:
    """What a trial raised, in one line, and whether another try would repeat it; Ray wraps it and puts the whole remote
    traceback into the message."""
    if error is None:
        return "it failed, and nothing says why", False
    named: WorkloadError | None = None
    inner: BaseException | None = error
    while inner is not None:
        named = inner if isinstance(inner, WorkloadError) else named
        inner = getattr(inner, "cause", None) or inner.__cause__
    if named is not None:
        return f"{named.reason}: {named}", True
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__, False
