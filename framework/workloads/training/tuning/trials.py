"""One trial: what it reports while it is fitted, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from framework.answers import Matrix
from framework.api.metrics import VALIDATION
from framework.workloads.context import WorkloadError
from framework.workloads.training import metrics
from framework.workloads.training.trainer import Artifact, TrainingData


class TrialWatch:
    """Reports the best state of a trial so far, so that a trial is worth its best round and not its last."""

    def __init__(self, data: TrainingData, metric: str, mode: str, emit: Callable[[dict[str, Any]], None]) -> None:
        self._data, self._metric, self._sign, self._emit = data, metric, 1 if mode == "max" else -1, emit
        self._best: dict[str, Any] | None = None

    def resume(self) -> tuple[int, Artifact] | None:
        """Trials are short and start over."""
        return None

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact]) -> None:
        """Measure the validation rows; hand on the best report so far.

        Raises:
            WorkloadError: "ScoresNotFinite": such a state cannot be compared with any other.
        """
        unscored = metrics.not_finite(scores)
        if unscored:
            told = f"the model answers {unscored:,} of {len(scores):,} validation rows with no finite number"
            raise WorkloadError("ScoresNotFinite", told)
        known = metrics.validated(self._data, scores)
        name = self._metric.removeprefix(VALIDATION)
        found: dict[str, Any] = {**metrics.measured_by([name], known, VALIDATION), "rounds": rounds}
        if self._best is None or self._sign * found[self._metric] > self._sign * self._best[self._metric]:
            self._best = found
        self._emit(dict(self._best))


def trial_record(number: int, result: Any) -> dict[str, Any]:
    """What came of a trial, from what Tune says of it."""
    reported = result.metrics or {}
    kept = {key: value for key, value in reported.items() if key.startswith(VALIDATION)}
    return {
        "number": number,
        "parameters": json.loads(json.dumps(result.config or {}, default=_plain)),
        "rounds": int(reported.get("rounds", 0)),
        "reports": int(reported.get("training_iteration", 0)),
        **kept,
        "error": None if result.error is None else _cause(result.error),
    }


def _plain(value: Any) -> Any:
    """numpy scalars, which Optuna returns."""
    return value.item()


def _cause(error: Exception) -> str:
    """What a trial raised, in one line; Ray wraps it and puts the whole remote traceback into the message."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, WorkloadError):
            return f"{cause.reason}: {cause}"
        cause = getattr(cause, "cause", None) or cause.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
