"""A fit whose parameters change on the way: each stage goes on from the model of the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from framework.answers import Matrix
from framework.workloads.training.trainer import Artifact, FitSettings, TrainingData, Watch
from framework.workloads.training.trainers import TRAINERS


class StageWatch:
    """The watch of the whole fit, for one of its stages."""

    def __init__(self, watch: Watch, start: tuple[int, Artifact] | None) -> None:
        self._watch, self._start = watch, start

    def resume(self) -> tuple[int, Artifact] | None:
        return self._start

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        self._watch.report(rounds, scores, model, last=last)


def fitted(trainer: str, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
    """Fit in the stages of ``settings``, or at once where it has none.

    Raises:
        WorkloadError: what the trainer raises.
    """
    if not settings.stages:
        return TRAINERS[trainer].fit(data, settings, watch)
    done = watch.resume()
    for rounds, params in settings.stages:
        if done is None or done[0] < rounds:
            stage = replace(settings, params={**settings.params, **params}, rounds=rounds, stages=())
            done = rounds, TRAINERS[trainer].fit(data, stage, StageWatch(watch, done))
    assert done is not None
    return done[1]
