"""A search from its spec to its winner."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from framework import storage
from framework.api import spaces
from framework.api.fields import parse_duration
from framework.api.metrics import NO_OWN, VALIDATION, Measures
from framework.api.spaces import Parameter
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.workloads.context import WorkloadError
from framework.workloads.training import metrics
from framework.workloads.training.cluster import WorkerNeeds
from framework.workloads.training.progress import Pace, of_search, trials_in_all
from framework.workloads.training.shards import Shards
from framework.workloads.training.trainer import REPORTS, FitSettings, TrainingData
from framework.workloads.training.tuning.algorithms import ALGORITHMS, Space
from framework.workloads.training.tuning.constraints import Bound, bounds_of, metrics_of, missed, worth
from framework.workloads.training.tuning.course import Choosing, OneByOne, SearchCourse, TrialOutcome
from framework.workloads.training.tuning.importance import importance
from framework.workloads.training.tuning.journal import TrialJournal
from framework.workloads.training.tuning.population import Population, chain
from framework.workloads.training.tuning.schedulers import PBT, SCHEDULERS
from framework.workloads.training.tuning.tune import TrialTask, carry_out

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """The winner as the trainer is given it, and every trial for the record: {number, parameters by key, rounds,
    reports, <what it told>, error; of a population also after}. ``stages`` are [rounds, parameters] where these change
    on the way, ``winner`` is its number; ``metric`` is what trials were compared by, as they report it."""

    parameters: dict[str, Any]
    rounds: int
    trials: list[dict[str, Any]]
    stages: list[list[Any]] = field(default_factory=list)
    winner: int | None = None
    metric: str = ""

    def told(self, tune: Mapping[str, Any]) -> dict[str, Any]:
        """What is kept of the search beside its trials: ``importance`` is the share of each parameter."""
        asked = {key: tune.get(key) for key in ("metric", "mode", "algorithm", "scheduler", "constraints", "refit")}
        stages = [rounds for rounds, _ in self.stages[:-1]]
        shares = importance(self.trials, spaces.parameters(tune["search"]), self.metric, tune["mode"])
        return {**asked, "winner": self.winner, "stages": stages, "importance": shares}

    def settings(self, before: FitSettings) -> FitSettings:
        """The settings of the winner's fit, which is over after as many rounds as the winner was best after."""
        return replace(
            before,
            params={**before.params, **self.parameters},
            rounds=max(1, self.rounds),
            stages=tuple((rounds, parameters) for rounds, parameters in self.stages),
            stop=None,
        )


def search(
    data: TrainingData | Shards,
    trainer: str,
    settings: FitSettings,
    tune: Mapping[str, Any],
    needs: WorkerNeeds,
    folder: str,
    tell: Callable[[float | None, str], None],
) -> SearchResult:
    """Run the trials of the spec's ``tune`` (JSON by alias). A search that an earlier attempt finished is read from
    ``folder``; one that it did not finish goes on: trials that are over are not run again.

    Raises:
        WorkloadError: "UnknownMetric", "GridNeedsChoice", "UnsupportedSearch", "PackageMissing"; "TrialsFailed" when no
            trial succeeded; "NoTrialFits" where none keeps all bounds, with the nearest.
    """
    done = storage.readable_json(f"{folder}/search.json")
    if done is not None:
        return SearchResult(**{one.name: done[one.name] for one in fields(SearchResult) if one.name in done})
    task, own = data.output.task, data.own.measures
    metric, bounds = checked_metric(tune["metric"], task, own), _checked(tune, task, own)
    among, mode = spaces.parameters(tune["search"]), tune["mode"]
    choosing = _choosing(tune, among, len(bounds), settings)

    def outcome(reports: Sequence[Mapping[str, Any]]) -> TrialOutcome:
        return TrialOutcome(reports[-1][metric], missed(reports[-1], bounds))

    place = f"{folder}/search"
    course = SearchCourse(choosing, TrialJournal(place), tune["concurrency"], outcome, time.monotonic)
    pace, already = Pace(time.monotonic), len(course.known)

    def told(ended: int, running: int) -> None:
        best = _so_far(course.trials(), metric, mode, bounds)
        left = pace.left(max(ended, already), course.total)
        tell(*of_search(tune["algorithm"], course.total, ended, running, str(needs), best, left))

    told(0, 0)
    left = _left(tune, course)
    if left is None or left > 0:
        boosts = TRAINER_FORMS[trainer].counted_by is not None
        task_of_trial = TrialTask(
            trainer, settings, among, metric, mode, bounds, place, latest=tune["scheduler"] == PBT,
            known={number: (note.reports, note.error) for number, note in course.known.items()},
        )  # fmt: skip
        scheduler = SCHEDULERS[tune["scheduler"]](REPORTS if boosts else 1, settings.seed)
        carry_out(course, task_of_trial, data, scheduler, needs, folder, left, told)
    trials = course.trials()
    best = _best(trials, metric, mode, bounds)
    found = replace(_result(trials, best, among, settings), metric=metric)
    storage.write_sealed(f"{folder}/search.json", asdict(found))
    storage.delete_folder(f"{place}/models")
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


def checked_search(tune: Mapping[str, Any], task: Task, own: Measures = NO_OWN) -> None:
    """
    Raises:
        WorkloadError: as ``search`` does, of what can be told before.
    """
    checked_metric(tune["metric"], task, own)
    _checked(tune, task, own)


def _checked(tune: Mapping[str, Any], task: Task, own: Measures) -> tuple[Bound, ...]:
    bounds = bounds_of(tune.get("constraints") or ())
    measured = set(metrics_of(bounds))
    return tuple(
        bound._replace(name=checked_metric(bound.name, task, own))
        if bound.name.removeprefix(VALIDATION) in measured
        else bound
        for bound in bounds
    )


def _choosing(tune: Mapping[str, Any], among: tuple[Parameter, ...], bounds: int, settings: FitSettings) -> Choosing:
    for name, table in (("algorithm", ALGORITHMS), ("scheduler", SCHEDULERS)):
        if tune[name] not in table:
            told = f"tune.{name} {tune[name]} cannot run yet (allowed: {', '.join(table)})"
            raise WorkloadError("UnsupportedSearch", told)
    total = trials_in_all(tune)
    if total > tune["trials"]:
        raise WorkloadError("UnsupportedSearch", f"the grid has {total} combinations, but trials is {tune['trials']}")
    algorithm = ALGORITHMS[tune["algorithm"]](Space(among, tune["mode"], bounds), settings.seed)
    if tune["scheduler"] == PBT:
        return Population(among, algorithm, total, settings.rounds, tune["mode"], settings.seed)
    return OneByOne(algorithm, total)


def _left(tune: Mapping[str, Any], course: SearchCourse) -> float | None:
    """Seconds of the budget; None where there is none."""
    budget = tune.get("budget")
    return parse_duration(budget).total_seconds() - course.before if budget else None


def _best(trials: Sequence[Mapping[str, Any]], metric: str, mode: str, bounds: Sequence[Bound]) -> Mapping[str, Any]:
    succeeded = [trial for trial in trials if trial["error"] is None and metric in trial]
    if not succeeded:
        reasons = sorted({trial["error"] for trial in trials if trial["error"]}) or ["no trial reported a result"]
        raise WorkloadError("TrialsFailed", f"all {len(trials)} trials failed: {reasons[0]}")
    best = max(succeeded, key=lambda trial: (worth(trial, metric, mode, bounds), -trial["number"]))
    wrong = [bound for bound in bounds if bound.missed(best) > 0]
    if wrong:
        told = f"none of {len(trials)} trials keeps all bounds; the nearest is trial {best['number']}"
        raise WorkloadError("NoTrialFits", f"{told}: {'; '.join(bound.told(best) for bound in wrong)}")
    return best


def _so_far(trials: Sequence[Mapping[str, Any]], metric: str, mode: str, bounds: Sequence[Bound]) -> str:
    """``best validation_auc 0.712 (trial 3)``; of those that keep all bounds, and empty where none does yet."""
    fit = [trial for trial in trials if trial["error"] is None and metric in trial and not sum(missed(trial, bounds))]
    if not fit:
        return ""
    best = max(fit, key=lambda trial: (worth(trial, metric, mode, bounds), -trial["number"]))
    return f"best {metric} {best[metric]:.4g} (trial {best['number']})"


def _result(
    trials: list[dict[str, Any]], best: Mapping[str, Any], among: tuple[Parameter, ...], settings: FitSettings
) -> SearchResult:
    def given(trial: Mapping[str, Any]) -> dict[str, Any]:
        return spaces.nested(among, trial["parameters"], settings.params)

    stages = [] if "after" not in best else [[one["rounds"], given(one)] for one in chain(trials, best["number"])]
    return SearchResult(given(best), best["rounds"], trials, stages, best["number"])
