from datetime import timedelta

import pytest

from framework.planning.plan import runs
from framework.ports import FailureKind, RunPhase, RunState
from tests.builders import NOW, at

BACKOFF = timedelta(seconds=10)


def test_a_run_that_nobody_started_is_started() -> None:
    assert runs.next_step(RunState(RunPhase.ABSENT), 2, BACKOFF, NOW) == runs.Start(1)


@pytest.mark.parametrize("phase", [RunPhase.PENDING, RunPhase.RUNNING])
def test_a_run_under_way_is_awaited_with_its_progress(phase: RunPhase) -> None:
    step = runs.next_step(RunState(phase, attempt=1, progress=0.25, message="fits"), 2, BACKOFF, NOW)
    assert isinstance(step, runs.Await)
    assert "25%" in step.message
    assert "fits" in step.message


def test_the_users_own_failure_is_not_tried_again() -> None:
    run = RunState(
        RunPhase.FAILED, 1, failure=FailureKind.USER, reason="MissingColumn", message="no column x", finished=NOW
    )
    assert runs.next_step(run, 5, BACKOFF, at(1000)) == runs.GaveUp("MissingColumn", "no column x")


def test_a_lost_node_is_tried_again_after_a_wait_that_doubles() -> None:
    lost = RunState(RunPhase.FAILED, 2, failure=FailureKind.INFRASTRUCTURE, message="node died", finished=NOW)
    early = runs.next_step(lost, 2, BACKOFF, at(19))
    assert isinstance(early, runs.Await)
    assert early.requeue_after == timedelta(seconds=1)
    assert runs.next_step(lost, 2, BACKOFF, at(20)) == runs.Start(3)


def test_however_long_the_wait_has_become_it_is_a_time() -> None:
    lost = RunState(RunPhase.FAILED, 99, failure=FailureKind.INFRASTRUCTURE, message="node died", finished=NOW)
    assert isinstance(runs.next_step(lost, 100, timedelta(days=36_500), NOW), runs.Await)


def test_retries_end() -> None:
    lost = RunState(RunPhase.FAILED, 3, failure=FailureKind.INFRASTRUCTURE, message="node died", finished=NOW)
    step = runs.next_step(lost, 2, BACKOFF, at(1000))
    assert isinstance(step, runs.GaveUp)
    assert step.reason == "RetriesExhausted"
