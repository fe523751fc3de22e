"""A Ray of our own that was lost is started again, beside the loop, with growing waits, and each of it is told once."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from controllers.runtime.revival import FIRST_WAIT, LONGEST_WAIT, LOOK_SECONDS, Revival
from framework.api.errors import ConfigurationError, TransientError
from framework.ports import Event
from tests.controllers.test_passes import NoCluster, at_work, project
from tests.waiting import until
from tests.world import World


class Mortal(NoCluster):
    """Dies when it is told to, and starts when it may."""

    def __init__(self) -> None:
        self.why, self.starts = "", 0
        self.error: Exception | None = None
        self.may_start = threading.Event()
        self.may_start.set()

    def lost(self) -> str:
        return self.why

    def running(self) -> bool:
        return not self.why

    def start(self) -> None:
        self.starts += 1
        assert self.may_start.wait(10)
        if self.error is not None:
            raise self.error
        self.why = ""


class Watched:
    def __init__(self) -> None:
        self.cluster, self.told, self.now = Mortal(), [], 0.0
        self.revival = Revival(self.cluster, lambda *told: self.told.append(told), lambda: self.now)

    def turn(self, seconds: float = LOOK_SECONDS) -> None:
        self.now += seconds
        self.revival.look()
        start = self.revival._start
        if start is not None and self.cluster.may_start.is_set():
            start.join(10)


def test_one_that_runs_and_one_that_was_stopped_are_left_alone() -> None:
    watched = Watched()
    for _ in range(5):
        watched.turn()
    assert (watched.cluster.starts, watched.told) == (0, [])


def test_one_that_is_lost_is_started_and_both_are_told_with_the_reason() -> None:
    watched = Watched()
    watched.cluster.why = "its processes have ended: gcs_server was killed"
    watched.turn()
    watched.turn()
    watched.turn()
    assert watched.cluster.starts == 1
    (lost, started) = watched.told
    assert lost == (
        "RayLost", "Ray was lost, and is started again; its processes have ended: gcs_server was killed"
    )  # fmt: skip
    assert started == ("RayStarted", "Ray runs again, 2 s after it was found lost")


def test_the_loop_goes_on_while_it_starts() -> None:
    watched = Watched()
    watched.cluster.may_start.clear()
    watched.cluster.why = "killed"
    for _ in range(20):
        watched.turn()
    assert watched.cluster.starts == 1
    assert [reason for reason, _ in watched.told] == ["RayLost"]
    watched.cluster.may_start.set()
    start = watched.revival._start
    assert start is not None
    start.join(10)
    watched.turn()
    assert [reason for reason, _ in watched.told] == ["RayLost", "RayStarted"]


def test_starts_that_fail_are_tried_again_less_and_less_often_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    watched = Watched()
    watched.cluster.why, watched.cluster.error = "killed", ConfigurationError("port 8265 is not free")
    at = []
    for _ in range(2000):
        before = watched.cluster.starts
        watched.turn(1.0)
        if watched.cluster.starts > before:
            at.append(watched.now)
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits[:3] == pytest.approx([FIRST_WAIT + 1, 2 * FIRST_WAIT + 1, 4 * FIRST_WAIT + 1], abs=1)
    assert max(waits) <= LONGEST_WAIT + 2
    assert [reason for reason, _ in watched.told] == ["RayLost"]
    assert caplog.text.count("port 8265 is not free") == 1
    watched.cluster.error = None
    for _ in range(400):
        watched.turn(1.0)
    assert [reason for reason, _ in watched.told] == ["RayLost", "RayStarted"]


def test_what_cannot_be_told_now_is_told_later() -> None:
    watched = Watched()
    told = watched.told

    def tell(reason: str, message: str) -> None:
        if len(calls) < 2:
            calls.append(reason)
            raise TransientError("the state store is locked")
        told.append((reason, message))

    calls: list[str] = []
    watched.revival = Revival(watched.cluster, tell, lambda: watched.now)
    watched.cluster.why = "killed"
    for _ in range(2):
        with pytest.raises(TransientError):
            watched.turn()
    for _ in range(3):
        watched.turn()
    assert [reason for reason, _ in told] == ["RayLost", "RayStarted"]


def test_a_running_controller_starts_it_and_writes_it_down() -> None:
    world, cluster = World(), Mortal()
    world.resign()

    def events() -> list[Event]:
        return [event for event in world.ports.state.events(limit=1000) if event.reason.startswith("Ray")]

    with at_work(replace(project(world), cluster=cluster)):
        until(lambda: bool(world.ports.state.revisions()))
        cluster.why = "killed"
        until(lambda: len(events()) == 2)
    assert [event.reason for event in events()] == ["RayLost", "RayStarted"]
    assert {event.commit for event in events()} == {world.head}
    assert cluster.starts == 1
