"""The final fit: in workers of its own, which start again from their last checkpoint when they die. Several of them, or
one with a GPU, are Ray Train's."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from framework.answers import Matrix
from framework.ports import FailureKind
from framework.workloads.context import WorkloadError
from framework.workloads.failures import first_line, traceback_of
from framework.workloads.priority import give_way
from framework.workloads.training import cluster, metrics
from framework.workloads.training.alone import TRIES, fit_alone
from framework.workloads.training.checkpoints import CheckpointState, kept_rounds, read_checkpoint, write_checkpoint
from framework.workloads.training.cluster import WorkerNeeds
from framework.workloads.training.loading import opened
from framework.workloads.training.progress import Rounds
from framework.workloads.training.shards import Shards
from framework.workloads.training.stages import fitted
from framework.workloads.training.trainer import Artifact, FitSettings, Fitted, SeveralWorkers, TrainingData
from framework.workloads.training.trainers import TRAINERS

log = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint"


class TrainWatch:
    """Reports to Ray Train; every ``every``-th report carries a checkpoint."""

    def __init__(self, data: TrainingData, rounds: int, every: int, told: Rounds) -> None:
        self._data, self._rounds, self._every, self._reports = data, rounds, every, 0
        self._told = told
        self.resumed: tuple[int, ...] = ()

    def resume(self) -> tuple[int, Artifact] | None:
        """The last checkpoint of this fit, from this attempt or an earlier one."""
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return None
        try:
            with checkpoint.as_directory() as folder:
                state, model = read_checkpoint(f"{folder}/{_CHECKPOINT}")
        except WorkloadError as error:
            log.warning("the fit starts over: %s", error)
            return None
        if state.failure is not None:
            return None
        self.resumed = state.resumed if state.final else (*state.resumed, state.rounds)
        return state.rounds, Artifact(model, state.format, state.best)

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        """Measure, and checkpoint when it is time; the last state is published by ``publish``."""
        import ray.train

        self._reports += 1
        if _first():
            self._told.tell(rounds, metrics.headline(self._data, scores))
        found = {"rounds": rounds}
        if not last and rounds < self._rounds and self._reports % self._every == 0:
            artifact = model() if _first() else None
            format, best = (artifact.format, artifact.best) if artifact else ("", None)
            self._send(found, artifact, CheckpointState(rounds, format, False, self.resumed, best=best))
        else:
            ray.train.report(found)

    def publish(self, artifact: Artifact) -> None:
        """Hand the finished model to the driver."""
        state = CheckpointState(self._rounds, artifact.format, True, self.resumed, best=artifact.best)
        self._send({"rounds": self._rounds}, artifact, state)

    def fail(self, error: WorkloadError) -> None:
        """Hand the driver a failure that another try would repeat."""
        failure = (error.reason, str(error), traceback_of(error))
        self._send({"rounds": 0}, Artifact(b"", ""), CheckpointState(0, "", False, self.resumed, failure))

    def _send(self, found: dict[str, Any], artifact: Artifact | None, state: CheckpointState) -> None:
        import ray.train

        if not _first() or artifact is None:
            # Every worker reports, because Ray Train waits for all of them; the first one brings the files.
            ray.train.report(found)
            return
        with tempfile.TemporaryDirectory() as folder:
            write_checkpoint(f"{folder}/{_CHECKPOINT}", state, artifact.data)
            ray.train.report(found, checkpoint=ray.train.Checkpoint.from_directory(folder))


def fit(
    data: TrainingData | Shards,
    trainer: str,
    settings: FitSettings,
    workers: int,
    needs: WorkerNeeds,
    checkpoint: Mapping[str, int],
    folder: str,
    name: str,
    tell: Callable[[int | None, str], None],
    fewest: int | None = None,
) -> Fitted:
    """Fit with ``settings`` on ``workers`` workers. ``name`` and ``folder`` carry the fingerprint: the same fit goes
    on from its checkpoint, whichever attempt it is. ``tell`` is called with the rounds that are done, None while no
    worker runs yet, and how good the model is by then. With ``fewest`` as many workers fit as there is room for when
    they start, from that many to ``workers``; where one is lost, as many go on from the checkpoint as there is room for
    then.

    Raises:
        WorkloadError: "UnsupportedWorkers" for a trainer that cannot share one fit; what the trainer raised;
            "WorkersLost" (Infrastructure) when the fit left no model.
        ray.train.TrainingFailedError: workers died more than twice; its causes say of what.
    """
    if workers == 1 and not needs.gpus and fewest is None:
        return fit_alone(data, trainer, settings, needs, checkpoint, f"{folder}/{name}", tell)
    import ray
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

    several = TRAINERS[trainer].several if workers > 1 else None
    if workers > 1 and several is None:
        able = ", ".join(known for known, candidate in TRAINERS.items() if candidate.several is not None)
        raise WorkloadError(
            "UnsupportedWorkers",
            f"trainer {trainer} fits on one worker, resources.workers is {workers} (several: {able})",
        )
    reference = ray.put(data)
    rounds = Rounds(folder)

    def loop() -> None:
        work(ray.get(reference), trainer, settings, int(checkpoint["every"]), rounds)

    def start(count: int, failures: int) -> Any:
        fitting = _trainer_class(several if count > 1 else None)(
            loop,
            scaling_config=ScalingConfig(
                num_workers=count,
                resources_per_worker=dict(needs.resources),
                use_gpu=needs.gpus > 0,
                label_selector=dict(needs.labels) or None,
            ),
            run_config=RunConfig(
                name=name,
                storage_path=folder,
                failure_config=FailureConfig(max_failures=failures),
                checkpoint_config=CheckpointConfig(num_to_keep=int(checkpoint["keep"])),
            ),
        )
        return fitting.fit()

    with rounds.followed(tell):
        if fewest is None:
            result = start(workers, TRIES - 1)
        else:
            result, workers = _elastic(start, needs, fewest, workers)
    if result.checkpoint is None:
        raise WorkloadError("WorkersLost", "the fit ended without a model", kind=FailureKind.INFRASTRUCTURE)
    with result.checkpoint.as_directory() as path:
        state, model = read_checkpoint(f"{path}/{_CHECKPOINT}")
    if state.failure is not None:
        reason, message, trace = state.failure
        raise WorkloadError(reason, message, data={"traceback": trace})
    artifact = Artifact(model, state.format, state.best)
    return Fitted(artifact, kept_rounds(state), state.resumed, workers=workers)


def _elastic(start: Callable[[int, int], Any], needs: WorkerNeeds, fewest: int, most: int) -> tuple[Any, int]:
    """What ``start`` gives with as many workers as there is room for, each time anew, and how many these were."""
    from ray.train import TrainingFailedError

    for _ in range(TRIES - 1):
        count = cluster.at_hand(needs, fewest, most)
        try:
            return start(count, 0), count
        except TrainingFailedError as error:
            log.warning("workers of the fit were lost, and as many go on as there is room for: %s", first_line(error))
    count = cluster.at_hand(needs, fewest, most)
    return start(count, 0), count


def work(data: TrainingData | Shards, trainer: str, settings: FitSettings, every: int, told: Rounds) -> None:
    """One worker's part of the fit."""
    import ray.train.collective

    give_way()
    world = ray.train.get_context()
    workers = world.get_world_size()
    several = TRAINERS[trainer].several
    if workers > 1 and several is not None:
        settings = replace(
            settings,
            rank=world.get_world_rank(),
            workers=workers,
            network=several.network(),
            agree=ray.train.collective.broadcast_from_rank_zero,
        )
    rows = opened(data, settings)
    watch = TrainWatch(rows, settings.rounds, every, told)
    if _first():
        told.tell(0)
    try:
        watch.publish(fitted(trainer, rows, settings, watch))
    except WorkloadError as error:
        watch.fail(error)


def _trainer_class(several: SeveralWorkers | None) -> Any:
    """The trainer of a library's own opens the ports that several workers need; one worker needs none."""
    if several is not None:
        return several.trainer()
    from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

    return DataParallelTrainer


def _first() -> bool:
    import ray.train

    return bool(ray.train.get_context().get_world_rank() == 0)
