"""How far a training is: what was counted, and never that something runs which waits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.training import progress
from framework.workloads.training.progress import Pace, Progress, Rounds, of_fit, of_search, time_left, trials_in_all

GRID = {"eta": {"choice": [0.1, 0.2, 0.3]}, "depth": {"choice": [4, 8]}}


@pytest.mark.parametrize(("algorithm", "total"), [("grid", 6), ("optuna", 10), ("random", 10)])
def test_a_grid_has_as_many_trials_as_combinations(algorithm: str, total: int) -> None:
    tune: dict[str, Any] = {"algorithm": algorithm, "search": GRID, "trials": 10}
    assert trials_in_all(tune) == total


def test_a_grid_counts_no_parameter_where_it_does_not_exist() -> None:
    search = {**GRID, "leaves": {"choice": [7, 15, 31], "when": {"depth": [8]}}}
    assert trials_in_all({"algorithm": "grid", "search": search, "trials": 99}) == 3 + 3 * 3


def test_a_grid_without_choices_has_no_number_of_trials() -> None:
    with pytest.raises(WorkloadError, match="grid needs choice for eta"):
        trials_in_all({"algorithm": "grid", "search": {"eta": {"uniform": [0, 1]}}, "trials": 10})


@pytest.mark.parametrize(
    ("ended", "running", "told"),
    [
        (0, 0, (0.0, "waits for a worker (needs 1 CPU): 0 of 6 trials done")),
        (0, 1, (0.0, "searching with grid: 0 of 6 trials done")),
        (3, 2, (0.5, "searching with grid: 3 of 6 trials done")),
        (3, 0, (0.5, "waits for a worker (needs 1 CPU): 3 of 6 trials done")),
        (6, 0, (1.0, "searching with grid: 6 of 6 trials done")),
    ],
)
def test_a_search_is_as_far_as_its_trials(ended: int, running: int, told: Progress) -> None:
    assert of_search("grid", 6, ended, running, "1 CPU") == told


@pytest.mark.parametrize(
    ("trainer", "workers", "rounds", "done", "told"),
    [
        ("sklearn", 1, 1, None, (None, "waits for a worker (needs 2 CPUs)")),
        ("sklearn", 1, 1, 0, (None, "fitting sklearn on 1 worker")),
        ("lightgbm", 2, 50, None, (None, "waits for 2 workers (each needs 2 CPUs)")),
        ("lightgbm", 2, 50, 0, (0.0, "fitting lightgbm on 2 workers: 0 of 50 rounds done")),
        ("lightgbm", 1, 50, 25, (0.5, "fitting lightgbm on 1 worker: 25 of 50 rounds done")),
    ],
)
def test_a_fit_is_as_far_as_its_rounds(
    trainer: str, workers: int, rounds: int, done: int | None, told: Progress
) -> None:
    assert of_fit(trainer, workers, rounds, done, "2 CPUs") == told


def test_the_driver_hears_what_the_worker_tells_and_nothing_of_an_attempt_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.001)
    rounds, heard, arrived = Rounds(str(tmp_path)), list[int | None](), threading.Event()
    rounds.tell(40)

    def tell(done: int | None, _: str) -> None:
        heard.append(done)
        if done == 5:
            arrived.set()

    with rounds.followed(tell):
        Rounds(str(tmp_path)).tell(5)
        assert arrived.wait(10)
    assert heard[0] is None
    assert set(heard) == {None, 5}


def test_a_fit_goes_on_where_its_file_cannot_be_written_or_read(tmp_path: Path) -> None:
    (tmp_path / "rounds.json").mkdir()
    rounds = Rounds(str(tmp_path))
    rounds.tell(5)
    assert rounds.told() == (None, "")


def test_the_time_that_is_left_follows_from_the_pace_since_the_first_count() -> None:
    now = [100.0]
    pace = Pace(lambda: now[0])
    told = []
    for at, done in ((100, None), (110, 40), (120, 40), (130, 50), (140, 50), (170, 70), (171, 100), (180, 100)):
        now[0] = float(at)
        told.append(pace.left(done, 100))
    assert told == ["", "", "", "about 2 min left", "about 2 min left", "about 60 s left", "", ""]


def test_what_an_earlier_attempt_did_makes_nothing_look_faster() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.left(90, 100) == ""
    now[0] = 60.0
    assert pace.left(91, 100) == "about 9 min left"
    now[0] = 10_000.0
    assert pace.left(91, 100) == "a few seconds left", "it takes longer than thought, and no less than nothing"


@pytest.mark.parametrize("seconds", [0, 9, 10, 89, 90, 5399, 5400, 86_400])
def test_the_time_that_is_left_is_told_in_one_unit(seconds: float) -> None:
    assert time_left(seconds).endswith(" left")
    assert time_left(seconds + 1e6) != time_left(seconds)
