"""A fit on one worker without GPUs: an actor of Ray's that takes what the worker takes. It keeps its own checkpoints,
and starts within seconds where Ray Train takes ten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from framework.answers import Matrix
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, traceback_of
from framework.workloads.persistence import persistently
from framework.workloads.priority import give_way
from framework.workloads.training import metrics
from framework.workloads.training.checkpoints import Checkpoints, CheckpointState, kept_rounds
from framework.workloads.training.cluster import WorkerNeeds
from framework.workloads.training.loading import opened
from framework.workloads.training.progress import Rounds
from framework.workloads.training.shards import Shards
from framework.workloads.training.stages import fitted
from framework.workloads.training.trainer import Artifact, FitSettings, Fitted, TrainingData

log = logging.getLogger(__name__)

TRIES = 3
"""How often a worker that dies is followed by another within one attempt of the run."""

_Failure = tuple[str, str, str]


class AloneWatch:
    """Tells how far the fit is, and writes every ``every``-th report as a checkpoint."""

    def __init__(self, data: TrainingData, rounds: int, every: int, kept: Checkpoints, told: Rounds) -> None:
        self._data, self._rounds, self._every, self._kept, self._told = data, rounds, every, kept, told
        self._reports = 0
        self.resumed: tuple[int, ...] = ()

    def resume(self) -> tuple[int, Artifact] | None:
        """The newest checkpoint of this fit, from this attempt or an earlier one."""
        found = self._kept.newest()
        if found is None:
            return None
        state, model = found
        self.resumed = (*state.resumed, state.rounds)
        return state.rounds, Artifact(model, state.format, state.best)

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        """A checkpoint that cannot be written now costs nothing but the way back."""
        self._reports += 1
        self._told.tell(rounds, metrics.headline(self._data, scores))
        if not last and rounds < self._rounds and self._reports % self._every == 0:
            artifact = model()
            try:
                state = CheckpointState(rounds, artifact.format, False, self.resumed, best=artifact.best)
                self._kept.add(state, artifact.data)
            except OSError as error:
                log.warning("no checkpoint after %d rounds: %s", rounds, error)


class FitWorker:
    """What runs in the actor."""

    def fit(
        self,
        data: TrainingData | Shards,
        trainer: str,
        settings: FitSettings,
        checkpoint: Mapping[str, int],
        place: str,
    ) -> _Failure | None:
        """Leave the finished model as the last checkpoint of ``place``; or say what another try would repeat."""
        give_way()
        kept, told = Checkpoints(f"{place}/checkpoints", int(checkpoint["keep"])), Rounds(place)
        rows = opened(data, settings)
        watch = AloneWatch(rows, settings.rounds, int(checkpoint["every"]), kept, told)
        told.tell(0)
        try:
            artifact = fitted(trainer, rows, settings, watch)
        except WorkloadError as error:
            return error.reason, str(error), traceback_of(error)
        state = CheckpointState(settings.rounds, artifact.format, True, watch.resumed, best=artifact.best)
        persistently(lambda: kept.add(state, artifact.data))
        return None


def fit_alone(
    data: TrainingData | Shards,
    trainer: str,
    settings: FitSettings,
    needs: WorkerNeeds,
    checkpoint: Mapping[str, int],
    place: str,
    tell: Callable[[int | None, str], None],
) -> Fitted:
    """As ``fit.fit``. What lies under ``place`` is of this very fit.

    Raises:
        WorkloadError: what the trainer raised; "WorkersLost" (Infrastructure) where workers died again and again.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    kept = Checkpoints(f"{place}/checkpoints", int(checkpoint["keep"]))
    finished = _finished(kept)
    if finished is not None:
        return finished
    own = {"CPU": "num_cpus", "memory": "memory"}
    taken = {own[name]: value for name, value in needs.resources.items() if name in own}
    others = {name: value for name, value in needs.resources.items() if name not in own}
    labels = dict(needs.labels) or None
    worker: Any = ray.remote(**taken, resources=others, label_selector=labels, max_restarts=0)(FitWorker)
    reference, rounds = ray.put(data), Rounds(place)
    for left in reversed(range(TRIES)):
        with rounds.followed(tell):
            actor = worker.remote()
            try:
                failure = ray.get(actor.fit.remote(reference, trainer, settings, dict(checkpoint), place))
            except RayTaskError:
                raise
            except RayError as error:
                if not left:
                    raise
                log.warning("the worker of the fit died and is followed by another: %s", first_line(error))
                continue
            finally:
                ray.kill(actor)
        if failure is not None:
            reason, message, trace = failure
            raise WorkloadError(reason, message, data={"traceback": trace})
        break
    finished = _finished(kept)
    if finished is None:
        raise WorkloadError("WorkersLost", "the fit ended without a model", kind=FailureKind.INFRASTRUCTURE)
    return finished


def _finished(kept: Checkpoints) -> Fitted | None:
    found = kept.newest()
    if found is None or not found[0].final:
        return None
    state, model = found
    return Fitted(Artifact(model, state.format, state.best), kept_rounds(state), state.resumed)
