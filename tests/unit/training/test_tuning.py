"""A search goes the same way however often it was interrupted, and its best trial keeps all bounds. Nothing here needs
a cluster: what Ray Tune does for a search, one trial after the other, is a loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayTaskError

from framework.answers import ModelOutput
from framework.api import spaces
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.kinds.training_job.tuning import Tune
from framework.workloads.context import WorkloadError
from framework.workloads.training import stages
from framework.workloads.training.cluster import WorkerNeeds
from framework.workloads.training.trainer import Artifact, FitSettings, Part, SeveralWorkers, TrainingData, Watch
from framework.workloads.training.trainers import TRAINERS
from framework.workloads.training.tuning import searching
from framework.workloads.training.tuning.algorithms import ALGORITHMS
from framework.workloads.training.tuning.constraints import Bound, bounds_of, latency_ms, worth
from framework.workloads.training.tuning.course import SearchCourse, TrialOutcome
from framework.workloads.training.tuning.importance import importance
from framework.workloads.training.tuning.journal import TrialJournal
from framework.workloads.training.tuning.population import STEPS, Population
from framework.workloads.training.tuning.schedulers import SCHEDULERS
from framework.workloads.training.tuning.trials import cause
from framework.workloads.training.tuning.tune import TrialTask
from tests.unit.training.test_spaces import TREE

TRUTH = np.array([0.0, 0.0, 1.0, 1.0])
DATA = TrainingData(Part(np.zeros((4, 1)), TRUTH), Part(np.zeros((4, 1)), TRUTH), ("x",), {}, ModelOutput(Task.BINARY))
ONE_CPU = WorkerNeeds({"CPU": 1.0})
SEARCH = {"eta": {"loguniform": [0.01, 1.0]}, "depth": {"randint": [2, 9]}, "boost": {"choice": ["a", "b"]}}
ASKED: dict[str, Any] = {
    "search": SEARCH, "metric": "validation_brier", "mode": "min", "trials": 8, "concurrency": 1,
    "algorithm": "optuna", "scheduler": "none", "budget": None,
}  # fmt: skip


class PowerCutError(Exception):
    """The process is gone."""


@dataclass
class Counted:
    """A trainer whose model is the list of what it was fitted with, and which counts its fits. The closer eta comes to
    0.3 the better it is."""

    several: SeveralWorkers | None = None
    fits: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    dies_at: int | None = None
    refuses: float = 2.0

    def fit(self, data: TrainingData, settings: FitSettings, watch: Watch) -> Artifact:
        if len(self.fits) == self.dies_at:
            raise PowerCutError
        params = dict(settings.params)
        done, model = watch.resume() or (0, Artifact(b"", "list"))
        self.fits.append((settings.rounds, params))
        if params.get("eta", 0) > self.refuses:
            raise WorkloadError("TrainerFailed", f"eta: {params['eta']} is too much")
        for rounds in range(done + 1, settings.rounds + 1):
            model = Artifact(model.data + f"{params}".encode(), "list")
            off = abs(params.get("eta", 0) - 0.3) + 1 / rounds
            watch.report(
                rounds,
                np.clip(TRUTH + np.array([1, 1, -1, -1]) * off / 4, 0, 1),
                partial(Artifact, model.data, model.format),
            )
        return model


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setitem(TRAINERS, "counted", found)  # type: ignore[arg-type]
    monkeypatch.setitem(TRAINER_FORMS, "counted", TRAINER_FORMS["xgboost"])  # type: ignore[index]
    return found


def searched(folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> searching.SearchResult:
    """The search itself, with a loop in place of Ray Tune."""

    def carry_out(course: SearchCourse, task: TrialTask, data: TrainingData, *_: Any) -> None:
        while (found := course.next()) is not None:
            number, asked = found
            try:
                task.run(number, asked, data, partial(course.reported, number))
            except WorkloadError as error:
                course.over(number, f"{error.reason}: {error}")
            else:
                course.over(number)

    monkeypatch.setattr(searching, "carry_out", carry_out)
    settings = FitSettings({"depth": 3}, rounds=10, seed=5)
    told: list[Any] = []
    return searching.search(
        DATA, "counted", settings, {**ASKED, **changes}, ONE_CPU, str(folder), lambda *one: told.append(one)
    )


def test_schedulers_of_the_language_are_those_that_run() -> None:
    assert set(Tune.model_fields["scheduler"].annotation.__args__) == set(SCHEDULERS)  # type: ignore[union-attr]


@pytest.mark.parametrize("scheduler", ["none", "pbt"])
@pytest.mark.parametrize("algorithm", ["optuna", "random", "hyperopt"])
def test_a_search_that_was_cut_off_goes_on_and_fits_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Counted, algorithm: str, scheduler: str
) -> None:
    how: dict[str, Any] = {"algorithm": algorithm, "scheduler": scheduler, "search": {**SEARCH, **TREE}}
    whole = searched(tmp_path / "whole", monkeypatch, **how)
    total = len(trainer.fits)
    assert total == 8 * (STEPS if scheduler == "pbt" else 1)
    undisturbed, trainer.fits = trainer.fits, []
    for dies_at in (3, 6):
        trainer.dies_at = dies_at
        with pytest.raises(PowerCutError):
            searched(tmp_path / "cut", monkeypatch, **how)
    trainer.dies_at = None
    assert searched(tmp_path / "cut", monkeypatch, **how) == whole
    assert trainer.fits == undisturbed
    assert searched(tmp_path / "cut", monkeypatch, **how) == whole
    assert len(trainer.fits) == total


def test_with_several_at_a_time_those_that_are_over_are_kept_and_the_others_asked_for_again(tmp_path: Path) -> None:
    def course() -> SearchCourse:
        space = searching.Space(spaces.parameters(SEARCH), "max")
        choosing = searching.OneByOne(ALGORITHMS["optuna"](space, 3), 30)
        return SearchCourse(choosing, TrialJournal(str(tmp_path)), 3, lambda told: TrialOutcome(told[-1]["v"]), float)

    first, begun = course(), dict[int, Any]()
    for _ in range(12):
        while (found := first.next()) is not None:
            begun[found[0]] = found[1]
        over = max(first._running)
        first.reported(over, {"v": begun[over].values["eta"]})
        first.over(over)
    assert first.next() is not None

    second = course()
    again = {}
    while (found := second.next()) is not None:
        again[found[0]] = found[1]
        if found[0] in second.known:
            second.over(found[0])
    assert len(second.known) == 12
    assert {number: begun[number] for number in again if number in begun} == {
        number: asked for number, asked in again.items() if number in begun
    }
    assert set(again) > set(second.known)


def test_what_failed_is_not_tried_again_and_a_damaged_note_is_no_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Counted
) -> None:
    trainer.refuses, trainer.dies_at = 0.1, 6
    with pytest.raises(PowerCutError):
        searched(tmp_path, monkeypatch)
    trainer.dies_at = None
    notes = sorted((tmp_path / "search" / "over").iterdir())
    notes[4].write_bytes(b"{")
    found = searched(tmp_path, monkeypatch)
    assert len(trainer.fits) == 6 + 4, "what came after the note that cannot be read is not known to be right"
    failed = [trial for trial in found.trials if trial["error"]]
    assert failed
    assert failed[0]["error"].startswith("TrainerFailed: eta: ")


def test_where_every_trial_fails_the_search_does_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Counted
) -> None:
    trainer.refuses = 0
    for scheduler, fits in (("none", 8), ("pbt", 16)):
        with pytest.raises(WorkloadError, match="all 8 trials failed: TrainerFailed: eta"):
            searched(tmp_path / scheduler, monkeypatch, scheduler=scheduler)
        assert len(trainer.fits) == fits


def test_a_population_goes_on_from_better_models_and_ends_with_the_model_that_its_stages_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Counted
) -> None:
    found = searched(tmp_path, monkeypatch, scheduler="pbt", algorithm="random")
    by_number = {trial["number"]: trial for trial in found.trials}
    assert [trial["rounds"] for trial in found.trials[::8]] == [2, 4, 6, 8, 10]
    later = [trial for trial in found.trials if trial["after"] is not None]
    taken = [trial for trial in later if trial["after"] != trial["number"] - 8]
    assert len(taken) == 2 * 4, "a quarter of each step gives up its model"
    for trial in taken:
        before = trial["number"] // 8 * 8 - 8
        ranked = sorted(range(before, before + 8), key=lambda one: by_number[one]["validation_brier"])
        assert trial["after"] in ranked[:2]
        assert trial["number"] - 8 in ranked[-2:]
    kept = [trial for trial in later if trial not in taken]
    assert all(trial["parameters"] == by_number[trial["after"]]["parameters"] for trial in kept)

    settings = found.settings(FitSettings({"depth": 3}, rounds=10, seed=5))
    best = min(found.trials, key=lambda trial: (trial["validation_brier"], trial["number"]))
    assert settings.rounds == best["rounds"] == settings.stages[-1][0]
    model = stages.fitted("counted", DATA, settings, Watching())
    ends = [0, *(rounds for rounds, _ in settings.stages)]
    grown = [{"depth": 3, **params} for _, params in settings.stages]
    assert model.data.decode() == "".join(f"{p}" * (e - b) for p, b, e in zip(grown, ends, ends[1:], strict=False))
    assert not (tmp_path / "search" / "models").exists(), "nobody goes on from them any more"


def test_a_population_is_the_same_for_any_number_of_trials_at_a_time(tmp_path: Path) -> None:
    def run(concurrency: int) -> list[dict[str, Any]]:
        among = spaces.parameters(SEARCH)
        chosen = ALGORITHMS["random"](searching.Space(among, "max"), 4)
        population = Population(among, chosen, 4, 10, "max", 4)
        course = SearchCourse(
            population,
            TrialJournal(str(tmp_path / str(concurrency))),
            concurrency,
            lambda told: TrialOutcome(told[-1]["v"]),
            lambda: 0.0,
        )
        running: dict[int, Any] = {}
        while course.open or running:
            while (found := course.next()) is not None:
                running[found[0]] = found[1]
            number = max(running)
            course.reported(number, {"v": running.pop(number).values["eta"]})
            course.over(number)
        return course.trials()

    assert run(1) == run(3)


def test_a_trial_that_a_machine_lost_is_tried_again_and_what_followed_from_its_loss_forgotten(tmp_path: Path) -> None:
    def course() -> SearchCourse:
        among = spaces.parameters(SEARCH)
        population = Population(among, ALGORITHMS["random"](searching.Space(among, "max"), 4), 4, 10, "max", 4)
        return SearchCourse(
            population, TrialJournal(str(tmp_path)), 1, lambda told: TrialOutcome(told[-1]["v"]), lambda: 0.0
        )

    first = course()
    for _ in range(6):
        found = first.next()
        assert found is not None
        first.reported(found[0], {"v": found[1].values["eta"]})
        lost = found[0] == 2
        first.over(found[0], "the worker died" if lost else None, again=lost)
    assert first.trials()[2]["error"] == "the worker died"
    second = course()
    assert sorted(second.known) == [0, 1, 3]
    given = [found[0] for _ in range(4) if (found := second.next()) and second.over(found[0]) is None]
    assert given == [0, 1, 2, 3]


class Watching:
    """Follows nothing, from the beginning."""

    def resume(self) -> tuple[int, Artifact] | None:
        return None

    def report(self, rounds: int, scores: Any, model: Any, *, last: bool = False) -> None:
        pass


def test_the_best_trial_keeps_all_bounds_and_the_nearest_is_named_where_none_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: Counted
) -> None:
    free = searched(tmp_path / "free", monkeypatch, mode="min")
    asked = {"constraints": [{"metric": "validation_log_loss", "min": 0.05, "max": None}]}
    bound = searched(tmp_path / "bound", monkeypatch, **asked)
    best = next(trial for trial in bound.trials if trial["parameters"]["eta"] == bound.parameters["eta"])
    assert best["validation_log_loss"] >= 0.05
    assert all("validation_log_loss" in trial for trial in bound.trials)
    assert "validation_log_loss" not in free.trials[0]
    asked = {
        "constraints": [{"metric": "validation_accuracy", "min": 0.5}, {"metric": "validation_log_loss", "max": 0}]
    }
    with pytest.raises(WorkloadError, match="none of 8 trials keeps all bounds; the nearest is trial") as told:
        searched(tmp_path / "none", monkeypatch, **asked)
    assert "validation_log_loss 0." in str(told.value)
    assert "at most 0 is asked for" in str(told.value)
    assert "accuracy" not in str(told.value)


def test_of_two_states_the_one_that_misses_less_is_worth_more() -> None:
    bounds = bounds_of([{"metric": "validation_recall", "min": 0.5}, {"latency": {"max": "2ms"}}])
    assert bounds[1] == Bound("latency_ms", None, 2.0)
    good = {"validation_auc": 0.6, "validation_recall": 0.5, "latency_ms": 1.9}
    slow = {"validation_auc": 0.9, "validation_recall": 0.9, "latency_ms": 2.5}
    slower, unmeasured = {**slow, "latency_ms": 4.0}, {"validation_auc": 1.0, "validation_recall": 0.9}
    states = [worth(one, "validation_auc", "max", bounds) for one in (good, slow, slower, unmeasured)]
    assert states == sorted(states, reverse=True)
    assert worth(good, "validation_auc", "max", ()) < worth(slow, "validation_auc", "max", ())


def test_how_long_a_single_row_takes_is_measured_of_what_can_be_opened() -> None:
    booster = TRAINERS["lightgbm"].fit(
        TrainingData(Part(np.arange(40.0)[:, None], np.arange(40) % 2.0), DATA.validation, ("x",), {}, DATA.output),
        FitSettings({"min_data_in_leaf": 1}, 3, 1), Watching(),
    )  # fmt: skip
    taken = latency_ms(booster, DATA.validation.x, DATA.output)
    assert taken is not None
    assert 0 < taken < 1000
    assert latency_ms(Artifact(b"", "torch-checkpoint"), DATA.validation.x, DATA.output) is None


def test_what_mattered_is_found_also_of_what_was_not_always_there() -> None:
    search: dict[str, Any] = {
        "eta": {"loguniform": [0.01, 1.0]}, "idle": {"uniform": [0, 1]},
        "kind": {"choice": [True, 1, [2]]}, "leaves": {"qrandint": [8, 64, 8], "when": {"kind": [True]}},
    }  # fmt: skip
    among = spaces.parameters(search)
    chosen = ALGORITHMS["random"](searching.Space(among, "max"), 3)
    trials = []
    for number in range(60):
        values = chosen.ask()
        trials.append(
            {"number": number, "parameters": values, "validation_auc": 1 - abs(values["eta"] - 0.3), "error": None}
        )
    shares = importance(trials, among, "validation_auc", "max")
    assert next(iter(shares)) == "eta"
    assert shares["eta"] > 0.5
    assert set(shares) == {"eta", "idle", "kind", "leaves"}
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert shares == importance(trials, among, "validation_auc", "max")
    assert importance(trials[:4], among, "validation_auc", "max") == {}
    assert importance([{**one, "validation_auc": 0.5} for one in trials], among, "validation_auc", "max") == {}
    assert importance([{**one, "after": None} for one in trials], among, "validation_auc", "max") == {}


def test_a_trial_is_called_by_what_it_raised_and_not_by_where_ray_saw_that() -> None:
    raised = WorkloadError("TrainerFailed", "eta: 9 is too much")
    wrapped = RayTaskError("train", "Traceback: long", raised).as_instanceof_cause()
    assert cause(wrapped) == ("TrainerFailed: eta: 9 is too much", True)
    assert cause(RuntimeError("Traceback\n  the worker died ")) == ("the worker died", False)
    assert cause(None) == ("it failed, and nothing says why", False)
