"""The search for good parameters, by Ray Tune. Every trial fits on the train part and is judged on the validation part.

Reproducible with one trial at a time and no time budget; with several, the order in which they finish steers the
search.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from framework import storage
from framework.answers import Matrix
from framework.api.fields import parse_duration
from framework.api.metrics import NO_OWN, VALIDATION, Measures
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.workloads.context import WorkloadError
from framework.workloads.priority import give_way
from framework.workloads.training import metrics
from framework.workloads.training.progress import of_search, trials_in_all
from framework.workloads.training.trainer import REPORTS, Artifact, FitSettings, TrainingData
from framework.workloads.training.trainers import TRAINERS


@dataclass(frozen=True)
class SearchResult:
    """The winner, and every trial for the record: {number, parameters, rounds, reports, <validation metrics>,
    error}."""

    parameters: dict[str, Any]
    rounds: int
    trials: list[dict[str, Any]]


class TrialWatch:
    """Reports the best state of a trial so far, so that a trial is worth its best round and not its last."""

    def __init__(self, data: TrainingData, metric: str, mode: str, emit: Callable[[dict[str, Any]], None]) -> None:
        self._data, self._metric, self._sign, self._emit = data, metric, 1 if mode == "max" else -1, emit
        self._best: dict[str, Any] | None = None

    def resume(self) -> tuple[int, Artifact] | None:
        """Trials are short and start over."""
        return None

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
        name = self._metric.removeprefix(VALIDATION)
        found: dict[str, Any] = {**metrics.measured_by([name], known, VALIDATION), "rounds": rounds}
        if self._metric not in found:
            raise WorkloadError("MetricUndefined", f"{self._metric} is not defined on the validation rows")
        if self._best is None or self._sign * found[self._metric] > self._sign * self._best[self._metric]:
            self._best = found
        self._emit(dict(self._best))


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
    tune = {**tune, "metric": checked_metric(tune["metric"], data.output.task, data.own.measures)}
    grid = _run(data, trainer, settings, tune, resources, folder, tell)
    trials = [_trial(number, result) for number, result in enumerate(grid)]
    succeeded = [trial for trial in trials if trial["error"] is None and tune["metric"] in trial]
    if not succeeded:
        reasons = sorted({trial["error"] for trial in trials if trial["error"]}) or ["no trial reported a result"]
        raise WorkloadError("TrialsFailed", f"all {len(trials)} trials failed: {reasons[0]}")
    sign = 1 if tune["mode"] == "max" else -1
    best = max(succeeded, key=lambda trial: (sign * trial[tune["metric"]], -trial["number"]))
    found = SearchResult(best["parameters"], best["rounds"], trials)
    storage.write_sealed(f"{folder}/search.json", asdict(found))
    return found


def checked_metric(name: str, task: Task, own: Measures = NO_OWN) -> str:
    """The metric that trials are compared by, as they report it.

    Raises:
        WorkloadError: "UnknownMetric" for one that no trial reports.
    """
    plain = name.removeprefix(VALIDATION)
    if plain == name:
        raise WorkloadError(
            "UnknownMetric", f"tune.metric {name!r} is not of the validation part: say {VALIDATION}{name}"
        )
    return f"{VALIDATION}{metrics.checked(plain, task, own)}"


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
    algorithm, samples, space = _algorithm(tune, settings.seed)
    reports = REPORTS if TRAINER_FORMS[trainer].counted_by else 1
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
        param_space=space,
        tune_config=ray_tune.TuneConfig(
            metric=metric,
            mode=mode,
            search_alg=algorithm,
            scheduler=_scheduler(tune["scheduler"], reports),
            num_samples=samples,
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


def _algorithm(tune: Mapping[str, Any], seed: int) -> tuple[Any, int, dict[str, Any]]:
    """(search algorithm, samples, parameter space). Optuna gets the space through Tune, which converts it."""
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.basic_variant import BasicVariantGenerator

    name, concurrency = tune["algorithm"], tune["concurrency"]
    # Draws go by the order of the parameters, which must not follow from how a file or a JSON writer ordered them.
    space = {key: _distribution(distribution) for key, distribution in sorted(tune["search"].items())}
    if name == "optuna":
        from ray.tune.search.optuna import OptunaSearch

        return ConcurrencyLimiter(OptunaSearch(seed=seed), max_concurrent=concurrency), tune["trials"], space
    if name == "random":
        return BasicVariantGenerator(max_concurrent=concurrency, random_state=seed), tune["trials"], space
    if name == "grid":
        return BasicVariantGenerator(max_concurrent=concurrency, random_state=seed), 1, grid_space(tune)
    raise WorkloadError("UnsupportedSearch", f"tune.algorithm {name} cannot run yet (allowed: optuna, random, grid)")


def grid_space(tune: Mapping[str, Any]) -> dict[str, Any]:
    """Every combination of the choices, as Tune writes it.

    Raises:
        WorkloadError: "GridNeedsChoice" for a distribution that has no finite list; "UnsupportedSearch" where the
            combinations outnumber ``trials``.
    """
    size = trials_in_all(tune)
    if size > tune["trials"]:
        raise WorkloadError("UnsupportedSearch", f"the grid has {size} combinations, but trials is {tune['trials']}")
    return {key: {"grid_search": list(value["choice"])} for key, value in sorted(tune["search"].items())}


def _distribution(form: Mapping[str, Any]) -> Any:
    from ray import tune as ray_tune

    ((name, value),) = ((key, given) for key, given in form.items() if given is not None)
    if name == "choice":
        return ray_tune.choice(list(value))
    return getattr(ray_tune, name)(*value)


def _scheduler(name: str, reports: int) -> Any:
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, MedianStoppingRule

    match name:
        case "asha":
            return ASHAScheduler(max_t=reports, grace_period=max(1, reports // 5), reduction_factor=2)
        case "median":
            return MedianStoppingRule(grace_period=max(1, reports // 5), min_samples_required=2)
        case "none":
            return FIFOScheduler()
        case _:
            raise WorkloadError(
                "UnsupportedSearch", f"tune.scheduler {name} cannot run yet (allowed: asha, median, none)"
            )


def _trial(number: int, result: Any) -> dict[str, Any]:
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
