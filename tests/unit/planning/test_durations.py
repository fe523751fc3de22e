"""How long a run takes, from what happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.plan.durations import KEPT, Durations
from framework.planning.plan.durations import durations as taken
from framework.ports import Event
from tests.builders import at

VIEW, OTHER, JOB = Ref("FeatureView", "a"), Ref("FeatureView", "b"), Ref("TrainingJob", "a")


def durations(events: Sequence[Event]) -> Durations:
    return taken(events, KINDS)


def event(moment: float, ref: Ref | None, reason: str, **data: Any) -> Event:
    return Event(time=at(moment), commit="c" * 40, ref=ref, reason=reason, message="", data=data)


def run(ref: Ref, start: float, seconds: float, end: str = "Published") -> list[Event]:
    return [event(start, ref, "RunStarted", run="r-1"), event(start + seconds, ref, end)]


def test_the_median_of_a_resources_own_runs() -> None:
    known = durations([*run(VIEW, 0, 10), *run(VIEW, 100, 90), *run(VIEW, 300, 30), *run(OTHER, 400, 5)])
    assert known.of(VIEW) == (30.0, "median of 3 runs")
    assert known.of(OTHER) == (5.0, "its only run")


def test_else_the_median_of_its_kind_and_else_nothing() -> None:
    known = durations([*run(VIEW, 0, 10), *run(OTHER, 20, 30)])
    assert known.of(Ref("FeatureView", "new")) == (20.0, "median of 2 runs of other FeatureViews")
    assert known.of(JOB) == (None, "never ran")
    assert durations(run(VIEW, 0, 10)).of(OTHER) == (10.0, "one run of other FeatureViews")


def test_what_the_event_says_counts_before_the_time_until_somebody_looked() -> None:
    events = [event(0, JOB, "RunStarted", run="r-1"), event(500, JOB, "ModelReady", seconds=42.5)]
    assert durations(events).of(JOB) == (42.5, "its only run")


def test_a_model_that_failed_its_gates_took_its_time_too() -> None:
    assert durations(run(JOB, 0, 60, "GateFailed")).of(JOB)[0] == 60.0


def test_a_run_that_failed_tells_nothing() -> None:
    events = [*run(VIEW, 0, 10), event(20, VIEW, "RunStarted", run="r"), event(21, VIEW, "ExpectationFailed", run="r")]
    assert durations([*events, event(900, VIEW, "Published")]).of(VIEW) == (10.0, "its only run")


def test_another_attempt_starts_the_clock_again() -> None:
    events = [event(0, VIEW, "RunStarted", run="r-1"), *run(VIEW, 50, 7)]
    assert durations(events).of(VIEW)[0] == 7.0


def test_a_version_that_existed_already_took_no_run() -> None:
    assert durations([event(5, JOB, "ModelReady", seconds=3.0)]) == Durations({})


def test_only_the_newest_runs_count() -> None:
    events = [item for number in range(KEPT) for item in run(VIEW, number * 10, 1)]
    assert durations([*run(VIEW, -1000, 900), *events]).runs[VIEW] == (1.0,) * KEPT


def test_events_about_no_resource_and_clocks_that_jump_do_no_harm() -> None:
    events = [event(0, None, "RevisionAccepted"), event(100, VIEW, "RunStarted", run="r"), event(40, VIEW, "Published")]
    assert durations(events).of(VIEW) == (0.0, "its only run")
