"""Fits that stop because the validation rows have nothing more to gain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix
from framework.api.metrics import measure_of, measured
from framework.api.tasks import TASKS, Task
from framework.api.trainers import TRAINER_FORMS
from framework.workloads.context import WorkloadError
from framework.workloads.formats import FORMATS
from framework.workloads.training import metrics
from framework.workloads.training.alone import FitWorker, _finished
from framework.workloads.training.checkpoints import Checkpoints
from framework.workloads.training.loading import opened
from framework.workloads.training.own_metrics import own_metrics
from framework.workloads.training.shards import StreamedPart
from framework.workloads.training.stopping import Stopping
from framework.workloads.training.trainer import Artifact, BestRound, FitSettings, Part, StopRule, TrainingData
from framework.workloads.training.trainers import TRAINERS, chosen
from framework.workloads.training.tuning.trials import TrialWatch
from tests.unit.training.test_shards import written
from tests.unit.training.test_tasks import data, settings

FITS = [(name, task) for name in ("lightgbm", "xgboost", "torch") for task in Task if task in TRAINER_FORMS[name].tasks]
QUICK: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_leaves": 31, "min_data_in_leaf": 2, "learning_rate": 0.3},
    "xgboost": {"max_depth": 6, "learning_rate": 0.4},
    "torch": {"hidden": 16},
}


def eager(name: str, task: Task, rule: StopRule, **changes: Any) -> FitSettings:
    """A fit that learns its training rows by heart within a few rounds."""
    found = settings(name, task)
    rounds = 25 if name == "torch" else 60
    loop = {**found.loop, "learningRate": 0.1} if name == "torch" else found.loop
    return replace(found, params=QUICK[name], rounds=rounds, loop=loop, stop=rule, **changes)


class Watching:
    """Keeps every report; goes on from what it is given."""

    def __init__(self, start: tuple[int, Artifact] | None = None) -> None:
        self.start, self.kept = start, list[tuple[int, Artifact]]()
        self.rounds, self.answers, self.ended = list[int](), np.empty(0), 0

    def resume(self) -> tuple[int, Artifact] | None:
        return self.start

    def report(self, rounds: int, scores: Matrix, model: Callable[[], Artifact], *, last: bool = False) -> None:
        self.rounds.append(rounds)
        self.answers = scores
        if last:
            self.ended += 1
        else:
            self.kept.append((rounds, model()))


def value(given: TrainingData, answers: Matrix, metric: str) -> float:
    return metrics.measured_by([metric], metrics.validated(given, answers))[metric]


def every_round(name: str, given: TrainingData, asked: FitSettings, metric: str) -> list[float]:
    """What the metric is after each round, by fits that end there."""
    found = []
    for rounds in range(1, asked.rounds + 1):
        watch = Watching()
        TRAINERS[name].fit(given, replace(asked, rounds=rounds, stop=None), watch)
        found.append(value(given, watch.answers, metric))
    return found


@pytest.mark.parametrize(("name", "task"), FITS)
def test_the_model_is_that_of_the_best_round(name: str, task: Task) -> None:
    given, metric = data(task), TASKS[task].headline
    asked = eager(name, task, StopRule("", 3))
    watch = Watching()
    artifact = TRAINERS[name].fit(given, asked, watch)
    assert artifact.best is not None
    best = artifact.best.rounds
    assert best + 3 <= asked.rounds, "it stopped"
    assert (watch.rounds[-1], watch.ended) == (best, 1)
    answers = FORMATS[artifact.format].load(artifact.data, given.output)(given.validation.x)
    np.testing.assert_allclose(answers, watch.answers, rtol=1e-9)
    assert value(given, answers, metric) == pytest.approx(artifact.best.value, abs=1e-6)
    plain = Watching()
    TRAINERS[name].fit(given, replace(asked, rounds=best, stop=None), plain)
    np.testing.assert_allclose(answers, plain.answers, atol=1e-6)
    assert TRAINERS[name].fit(given, asked, Watching()).data == artifact.data, "equal arguments, equal bytes"


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("metric", [one for one in measured(Task.BINARY) if one in ("log_loss", "f1", "mcc")])
def test_it_stops_at_the_very_round_whatever_metric_it_goes_by(name: str, metric: str) -> None:
    """Patience is counted in rounds, not in reports: 60 rounds report every sixth."""
    given, asked = data(Task.BINARY), eager(name, Task.BINARY, StopRule(metric, 2))
    history = every_round(name, given, replace(asked, rounds=30), metric)
    if measure_of(metric).loss:
        history = [-one for one in history]
    best = 0
    for place, one in enumerate(history):
        best = place if one > history[best] + 1e-9 else best
        if place - best >= 2:
            break
    artifact = TRAINERS[name].fit(given, asked, Watching())
    assert artifact.best is not None
    assert artifact.best.rounds == best + 1


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "torch"])
def test_a_fit_that_is_never_over_keeps_its_best_round_all_the_same(name: str) -> None:
    given = data(Task.BINARY)
    asked = replace(eager(name, Task.BINARY, StopRule("log_loss", 1000)), rounds=20)
    watch = Watching()
    artifact = TRAINERS[name].fit(given, asked, watch)
    assert artifact.best is not None
    assert watch.rounds[-1] == artifact.best.rounds < 20
    assert watch.rounds[:-1] == list(range(2, 20, 2))


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "torch"])
def test_the_best_so_far_outlives_a_crash(name: str) -> None:
    """Also where it lies before the checkpoint, and the fit is over soon after it."""
    given = data(Task.BINARY)
    asked = eager(name, Task.BINARY, StopRule("log_loss", 8))
    if name == "xgboost":
        asked = replace(asked, params={**asked.params, "subsample": 0.8})
    whole = Watching()
    undisturbed = TRAINERS[name].fit(given, asked, whole)
    assert undisturbed.best is not None
    behind = [one for one in whole.kept if one[0] > undisturbed.best.rounds]
    assert behind, "a checkpoint behind the best round"
    assert behind[0][1].best == undisturbed.best
    for start in (whole.kept[0], behind[0]):
        watch = Watching(start)
        again = TRAINERS[name].fit(given, asked, watch)
        assert watch.rounds[0] > start[0] or len(watch.rounds) == 1
        if name == "lightgbm":  # whose fits that go on are no equals to the bit
            assert again.best is not None
            assert again.best.value == pytest.approx(undisturbed.best.value, abs=0.01)
        else:
            assert (again.best, again.data) == (undisturbed.best, undisturbed.data)
    if name == "lightgbm":
        assert TRAINERS[name].fit(given, asked, Watching(behind[0])).data.count(b"Tree=") == undisturbed.best.rounds


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "torch"])
def test_what_is_recorded_is_the_best_round(name: str, tmp_path: Path) -> None:
    asked = eager(name, Task.BINARY, StopRule("log_loss", 4))
    assert FitWorker().fit(data(Task.BINARY), name, asked, {"every": 1, "keep": 2}, str(tmp_path)) is None
    fitted = _finished(Checkpoints(f"{tmp_path}/checkpoints", 2))
    assert fitted is not None
    assert fitted.artifact.best is not None
    assert fitted.rounds == fitted.artifact.best.rounds < asked.rounds
    assert TRAINERS[name].fit(data(Task.BINARY), asked, Watching()).data == fitted.artifact.data


def test_a_trial_is_worth_its_best_round() -> None:
    told: list[dict[str, Any]] = []
    given, asked = data(Task.BINARY), eager("lightgbm", Task.BINARY, StopRule("log_loss", 3))
    watch = TrialWatch(given, "validation_log_loss", "min", told.append)
    artifact = TRAINERS["lightgbm"].fit(given, asked, watch)
    assert artifact.best is not None
    assert told[-1] == {"rounds": artifact.best.rounds, "validation_log_loss": pytest.approx(artifact.best.value)}


def numbers(*answers: float) -> tuple[TrainingData, list[Matrix]]:
    """One row whose truth is 0, and an answer to it after each round."""
    part = Part(np.zeros((1, 1)), np.zeros(1))
    output = data(Task.REGRESSION).output
    return TrainingData(part, part, ("x",), {}, output), [np.array([one]) for one in answers]


def test_what_is_no_more_than_delta_better_is_no_improvement() -> None:
    given, answers = numbers(5.0, 4.5, 4.0, 3.9)
    for delta, best in ((0.0, 4), (0.5, 3), (1.2, 1), (0.99, 3)):
        stopping = Stopping(given, FitSettings({}, 9, 0, stop=StopRule("mae", 9, delta)))
        for place, one in enumerate(answers):
            stopping.see(place + 1, one)
        assert stopping.kept(4) == best


def test_equal_is_no_better_and_no_answer_is_worse_than_any() -> None:
    given, answers = numbers(float("nan"), 3.0, 3.0, float("inf"))
    stopping = Stopping(given, FitSettings({}, 9, 0, stop=StopRule("mae", 2)))
    seen = []
    for place, one in enumerate(answers):
        stopping.see(place + 1, one)
        seen.append(stopping.over())
    assert (stopping.best, seen) == (BestRound(2, 3.0), [False, False, False, True])


def test_a_metric_that_is_never_defined_is_told() -> None:
    given, (answer,) = numbers(1.0)
    stopping = Stopping(given, FitSettings({}, 9, 0, stop=StopRule("r2", 3)))
    for rounds in (1, 2, 3):
        assert not stopping.see(rounds, answer)
    with pytest.raises(WorkloadError, match="goes by r2, which is not defined on the validation rows after any of 3"):
        stopping.over()


def test_workers_go_by_what_the_first_one_measures() -> None:
    given, answers = numbers(5.0, 1.0, 1.0)
    told = iter([5.0, 6.0, 7.0])
    stopping = Stopping(given, FitSettings({}, 9, 0, stop=StopRule("mae", 2), agree=lambda value: next(told)))
    for place, one in enumerate(answers):
        stopping.see(place + 1, one)
    assert stopping.over()
    assert stopping.best == BestRound(1, 5.0)


def test_without_a_rule_nothing_stops() -> None:
    given, answers = numbers(5.0)
    stopping = Stopping(given, FitSettings({}, 9, 0))
    assert not stopping.see(1, answers[0])
    assert (stopping.over(), stopping.kept(9), stopping.best) == (False, 9, None)


def test_a_spec_says_what_it_goes_by() -> None:
    form = {"metric": "validation_mae", "patience": 5, "minDelta": 0.1}
    trainer = {"lightgbm": {"params": {}, "rounds": 7, "earlyStopping": form}}
    _, found = chosen(trainer, 1, 1)
    assert (found.stop, found.loop) == (StopRule("mae", 5, 0.1), {})
    assert chosen({"xgboost": {"rounds": 7, "earlyStopping": {"patience": 5}}}, 1, 1)[1].stop == StopRule("", 5)


STREAMED: dict[str, FitSettings] = {
    "lightgbm": FitSettings({"num_leaves": 31, "min_data_in_leaf": 2, "learning_rate": 0.3}, 60, 7),
    "xgboost": FitSettings({"max_depth": 6, "learning_rate": 0.4}, 60, 7),
    "torch": FitSettings(
        {}, 20, 7, entrypoint="tests.unit.training.networks:layers", loop={"learningRate": 0.05, "batchSize": 64}
    ),
}


@pytest.mark.parametrize("name", STREAMED)
def test_rows_that_stream_stop_a_fit_likewise_and_are_never_asked_for_all_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, held = written(tmp_path)
    own = own_metrics(
        {"metrics": [{"name": "error", "entrypoint": "tests.unit.training.kpi:weighed", "better": "smaller",
                      "columns": ["fee"]}]}, held.output, ["fee"],
    )  # fmt: skip
    rows = own.rows(pl.DataFrame({"fee": np.arange(len(held.validation.y)) % 5 + 1.0}))
    files, held = replace(files, own=own, rows=rows), replace(held, own=own, validation=with_rows(held, rows))
    asked = replace(STREAMED[name], stop=StopRule("error", 3))
    streaming = replace(asked, stream=True)

    def refuse(self: Any) -> Matrix:
        raise AssertionError("all rows at once")

    with monkeypatch.context() as patch:
        patch.setattr(StreamedPart, "x", property(refuse))
        watches = [Watching(), Watching()]
        found = [TRAINERS[name].fit(opened(files, streaming), streaming, watch) for watch in watches]
    assert found[0] == found[1]
    assert found[0].best is not None
    assert watches[0].rounds[-1] == found[0].best.rounds < asked.rounds
    measured = metrics.measured_by(["error"], metrics.validated(held, watches[0].answers))["error"]
    assert measured == pytest.approx(found[0].best.value, abs=1e-6)
    if name == "lightgbm":
        assert TRAINERS[name].fit(held, asked, Watching()) == found[0]


def with_rows(data: TrainingData, rows: Any) -> Part:
    return replace(data.validation, rows=rows)
