"""Trials on a cluster, by Ray Tune: it gives each its room, one process after the other, and stops hopeless ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from framework import storage
from framework.api import spaces
from framework.api.metrics import VALIDATION
from framework.api.spaces import Parameter
from framework.workloads.context import WorkloadError
from framework.workloads.priority import give_way
from framework.workloads.training.checkpoints import CheckpointState, read_checkpoint, write_checkpoint
from framework.workloads.training.cluster import WorkerNeeds
from framework.workloads.training.loading import opened
from framework.workloads.training.shards import Shards
from framework.workloads.training.trainer import Artifact, FitSettings, TrainingData
from framework.workloads.training.trainers import TRAINERS
from framework.workloads.training.tuning.constraints import LATENCY, Bound
from framework.workloads.training.tuning.course import SearchCourse, TrialOrder
from framework.workloads.training.tuning.trials import TrialWatch, cause

_NUMBER, _ASKED = "number", "asked"


@dataclass(frozen=True)
class TrialTask:
    """What every trial of a search does. ``latest``: trials go on from each other's models, which lie below ``place``.
    ``known`` are those that are over already: what they reported, and what they failed of."""

    trainer: str
    settings: FitSettings
    among: tuple[Parameter, ...]
    metric: str
    mode: str
    bounds: tuple[Bound, ...]
    place: str
    latest: bool
    known: Mapping[int, tuple[Sequence[Mapping[str, Any]], str | None]]

    def run(
        self,
        number: int,
        asked: TrialOrder,
        data: TrainingData | Shards,
        emit: Callable[[dict[str, Any]], None],
    ) -> None:
        """Fit, or tell again what came of it.

        Raises:
            WorkloadError: what the trainer raises; "Told" for what failed before.
        """
        if number in self.known:
            reports, error = self.known[number]
            for report in reports:
                emit(dict(report))
            if error is not None:
                raise WorkloadError(*error.split(": ", 1))
            return
        params = {**self.settings.params, **spaces.nested(self.among, asked.values, self.settings.params)}
        settings = replace(self.settings, params=params, rounds=asked.until or self.settings.rounds)
        start = None if asked.after is None else self._model(asked.after)
        rows = opened(data, settings)
        watch = TrialWatch(rows, self.metric, self.mode, emit, self.bounds, latest=self.latest, start=start)
        artifact = TRAINERS[self.trainer].fit(rows, settings, watch)
        if self.latest:
            write_checkpoint(
                self._place(number), CheckpointState(settings.rounds, artifact.format, True), artifact.data
            )

    def _model(self, number: int) -> tuple[int, Artifact]:
        state, model = read_checkpoint(self._place(number))
        return state.rounds, Artifact(model, state.format)

    def _place(self, number: int) -> str:
        return f"{self.place}/models/{number:06d}"


def carry_out(
    course: SearchCourse,
    task: TrialTask,
    data: TrainingData | Shards,
    scheduler: Any,
    needs: WorkerNeeds,
    folder: str,
    budget: float | None,
    told: Callable[[int, int], None],
) -> None:
    """All trials of ``course``, or as many as fit into ``budget`` seconds. ``told`` is called with how many are over
    and how many run, whenever that changes."""
    from ray import tune as ray_tune

    # It misses the per-trial log files that ``cluster.join`` turned off.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)

    def trial(form: dict[str, Any], data: TrainingData | Shards) -> None:
        give_way()
        task.run(form[_NUMBER], TrialOrder(**form[_ASKED]), data, ray_tune.report)

    room = ray_tune.PlacementGroupFactory([dict(needs.resources)], bundle_label_selector=[dict(needs.labels)])
    tuner = ray_tune.Tuner(
        ray_tune.with_resources(ray_tune.with_parameters(trial, data=data), room),
        tune_config=ray_tune.TuneConfig(
            metric=task.metric,
            mode=task.mode,
            search_alg=_searcher(course),
            scheduler=scheduler,
            num_samples=course.total,
            time_budget_s=budget,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=ray_tune.RunConfig(
            name="trials",
            storage_path=folder,
            verbose=0,
            callbacks=[_follower(course, told)],
            failure_config=ray_tune.FailureConfig(max_failures=0),
        ),
    )
    storage.delete_folder(f"{folder}/trials")
    tuner.fit()


def _searcher(course: SearchCourse) -> Any:
    from ray.tune.search import Searcher

    class CourseSearcher(Searcher):  # type: ignore[misc]
        """Tune asks it what to try next. What comes of it, ``_follower`` hears."""

        def set_search_properties(self, metric: str, mode: str, config: Any, **_: Any) -> bool:
            return True

        def suggest(self, trial_id: str) -> Any:
            found = course.next()
            if found is not None:
                number, asked = found
                return {_NUMBER: number, _ASKED: asked._asdict()}
            return None if course.open else Searcher.FINISHED

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            pass

        def save(self, checkpoint_path: str) -> None:
            """Another attempt goes on from the trials that are over."""

    return CourseSearcher()


def _follower(course: SearchCourse, told: Callable[[int, int], None]) -> Any:
    """Tune pickles its callbacks; whom they tell stays here."""
    from ray import tune as ray_tune

    class Follower(ray_tune.Callback):  # type: ignore[misc]
        course: SearchCourse | None = None
        told: Callable[[int, int], None] | None = None
        last = (0, 0)

        def on_trial_result(self, iteration: int, trials: Any, trial: Any, result: Any, **_: Any) -> None:
            if self.course is not None:
                own = {name: value for name, value in result.items() if _is_told(name)}
                self.course.reported(trial.config[_NUMBER], own)

        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            if self.course is not None:
                self.course.over(trial.config[_NUMBER])

        def on_trial_error(self, iteration: int, trials: Any, trial: Any, **_: Any) -> None:
            if self.course is not None:
                error, repeated = cause(_raised(trial))
                self.course.over(trial.config[_NUMBER], error, again=not repeated)

        def on_step_end(self, iteration: int, trials: Any, **_: Any) -> None:
            found = (sum(trial.is_finished() for trial in trials), sum(trial.status == "RUNNING" for trial in trials))
            if self.told is not None and found != self.last:
                self.last = found
                self.told(*found)

        def __getstate__(self) -> dict[str, Any]:
            return {}

    follower = Follower()
    follower.course, follower.told = course, told
    return follower


def _raised(trial: Any) -> BaseException | None:
    """What Tune wrote down of it a moment ago, on this machine; its own way to it reads what is uploaded later."""
    from ray import cloudpickle

    if trial.pickled_error_file is None:
        return None
    with open(trial.pickled_error_file, "rb") as file:
        found = cloudpickle.load(file)
    return found if isinstance(found, BaseException) else None


def _is_told(name: str) -> bool:
    return name.startswith(VALIDATION) or name in ("rounds", LATENCY)
