"""A search from its spec to its winner."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from framework import storage
from framework.api.fields import parse_duration
from framework.api.metrics import VALIDATION
from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.priority import give_way
from framework.workloads.training import metrics
from framework.workloads.training.progress import of_search, trials_in_all
from framework.workloads.training.trainer import REPORTS, FitSettings, TrainingData
from framework.workloads.training.trainers import TRAINERS
from framework.workloads.training.tuning.algorithms import samples_of
from framework.workloads.training.tuning.schedulers import scheduler_of
from framework.workloads.training.tuning.trials import TrialWatch, trial_record


@dataclass(frozen=True)
class SearchResult:
    """The winner, and every trial for the record: {number, parameters, rounds, reports, <validation metrics>,
    error}."""

    parameters: dict[str, Any]
    rounds: int
    trials: list[dict[str, Any]]


def search(
    data: TrainingData,
    trainer: str,
    settings: FitSettings,
    tune: Mapping[str, Any],
    resources: Mapping[str, float],
    folder: str,
    tell: Callable[[float | None, str], None],
) -> SearchResult:
    """Run the trials of the spec's ``tune`` (JSON by alias). A search that an earlier attempt finished is read from
    ``folder``; one that it did not finish starts over.

    Raises:
        WorkloadError: "UnknownMetric", "GridNeedsChoice", "UnsupportedSearch"; "TrialsFailed" when no trial succeeded.
    """
    done = storage.readable_json(f"{folder}/search.json")
    if done is not None:
        return SearchResult(**done)
    tune = {**tune, "metric": checked_metric(tune["metric"], data.output.task)}
    grid = _run(data, trainer, settings, tune, resources, folder, tell)
    trials = [trial_record(number, result) for number, result in enumerate(grid)]
    succeeded = [trial for trial in trials if trial["error"] is None and tune["metric"] in trial]
    if not succeeded:
        reasons = sorted({trial["error"] for trial in trials if trial["error"]}) or ["no trial reported a result"]
        raise WorkloadError("TrialsFailed", f"all {len(trials)} trials failed: {reasons[0]}")
    sign = 1 if tune["mode"] == "max" else -1
    best = max(succeeded, key=lambda trial: (sign * trial[tune["metric"]], -trial["number"]))
    found = SearchResult(best["parameters"], best["rounds"], trials)
    storage.write_sealed(f"{folder}/search.json", asdict(found))
    return found


def checked_metric(name: str, task: Task) -> str:
    """The metric that trials are compared by, as they report it.

    Raises:
        WorkloadError: "UnknownMetric" for one that no trial reports.
    """
    own = name.removeprefix(VALIDATION)
    if own == name:
        raise WorkloadError(
            "UnknownMetric", f"tune.metric {name!r} is not of the validation part: say {VALIDATION}{name}"
        )
    return f"{VALIDATION}{metrics.checked(own, task)}"


def _run(
    data: TrainingData,
    trainer: str,
    settings: FitSettings,
    tune: Mapping[str, Any],
    resources: Mapping[str, float],
    folder: str,
    tell: Callable[[float | None, str], None],
) -> Any:
    from ray import tune as ray_tune

    # It misses the per-trial log files that ``cluster.join`` turned off.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    samples = samples_of(tune, settings.seed)
    reports = REPORTS if TRAINERS[trainer].boosts else 1
    budget = tune.get("budget")
    metric, mode = tune["metric"], tune["mode"]
    name, total = tune["algorithm"], trials_in_all(tune)
    tell(*of_search(name, total, 0, 0, resources))

    def trial(parameters: dict[str, Any], data: TrainingData) -> None:
        give_way()
        watch = TrialWatch(data, metric, mode, ray_tune.report)
        TRAINERS[trainer].fit(data, replace(settings, params={**settings.params, **parameters}), watch)

    tuner = ray_tune.Tuner(
        ray_tune.with_resources(ray_tune.with_parameters(trial, data=data), dict(resources)),
        param_space=samples.space,
        tune_config=ray_tune.TuneConfig(
            metric=metric,
            mode=mode,
            search_alg=samples.algorithm,
            scheduler=scheduler_of(tune["scheduler"], reports),
            num_samples=samples.number,
            time_budget_s=parse_duration(budget).total_seconds() if budget else None,
            reuse_actors=True,
        ),
        run_config=ray_tune.RunConfig(
            name="trials",
            storage_path=folder,
            verbose=0,
            callbacks=[_teller(lambda ended, running: tell(*of_search(name, total, ended, running, resources)))],
            failure_config=ray_tune.FailureConfig(max_failures=0),
        ),
    )
    storage.delete_folder(f"{folder}/trials")
    return tuner.fit()


def _teller(tell: Callable[[int, int], None]) -> Any:
    """A Tune callback that tells how many trials are over and how many run, whenever that changes. Tune pickles its
    callbacks; whom it tells stays here."""
    from ray import tune as ray_tune

    class Teller(ray_tune.Callback):  # type: ignore[misc]
        told = (0, 0)
        tell: Callable[[int, int], None] | None = None

        def on_step_end(self, iteration: int, trials: Any, **_: Any) -> None:
            found = (sum(trial.is_finished() for trial in trials), sum(trial.status == "RUNNING" for trial in trials))
            if self.tell is not None and found != self.told:
                self.told = found
                self.tell(*found)

        def __getstate__(self) -> dict[str, Any]:
            return {}

    teller = Teller()
    teller.tell = tell
    return teller
