"""A clock that is set, ahead or back, for a moment or for good: it is told, and nothing takes longer or shorter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from controllers.loop.timekeeping import Timekeeper
from controllers.runtime.clock import TOLERANCE, WatchedClock
from framework.api.errors import TransientError
from framework.backends.memory import MemoryStateStore
from framework.backends.memory.faults import Crash, FaultInjector
from framework.kinds import KINDS
from framework.ports import Event
from tests.builders import NOW
from tests.controllers.test_passes import at_work, project
from tests.world import BETTER, DEPLOYMENT, ENDPOINT, World

YEAR, DAY, HOUR, SIX_MINUTES = timedelta(days=365), timedelta(days=1), timedelta(hours=1), timedelta(minutes=6)
JUMPS = [YEAR, -DAY, SIX_MINUTES]


# ------------------------------------------------------------------- seeing it


class Clocks:
    def __init__(self) -> None:
        self.wall, self.seconds = NOW, 7.0

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


def watched(clocks: Clocks) -> WatchedClock:
    return WatchedClock(lambda: clocks.wall, lambda: clocks.seconds)


def test_time_that_passes_is_no_jump_however_long_nobody_asks() -> None:
    clocks = Clocks()
    clock = watched(clocks)
    for seconds in (0.0, 0.1, 3600.0, 1e8):
        clocks.pass_(seconds)
        assert clock() == clocks.wall
    assert clock.jumps == 0


def test_a_clock_that_is_brought_into_line_little_by_little_was_not_set() -> None:
    clocks = Clocks()
    clock = watched(clocks)
    for _ in range(1000):
        clocks.pass_(1.0)
        clocks.wall += TOLERANCE / 2
        clock()
    assert clock.jumps == 0


@pytest.mark.parametrize("jump", JUMPS)
def test_that_it_was_set_is_seen_when_it_is_asked(jump: timedelta) -> None:
    clocks = Clocks()
    clock = watched(clocks)
    clocks.pass_(10.0)
    clocks.wall += jump
    assert clock() == clocks.wall
    assert clock.jumps == 1
    clocks.wall -= jump
    clock()
    assert clock.jumps == 2


def test_being_held_up_between_two_clocks_is_no_jump() -> None:
    seconds = iter([0.0, 0.0, 0.0, 60.0, 60.0, 60.0])
    clock = WatchedClock(lambda: NOW, lambda: next(seconds))
    clock()  # held up once; read again at once
    assert clock.jumps == 1, "a minute went by and the wall clock stood still: that is one"
    walls = iter([NOW, NOW, NOW + timedelta(seconds=60)])
    seconds = iter([0.0, 0.0, 0.0, 60.0, 60.0, 60.0])
    held = WatchedClock(lambda: next(walls), lambda: next(seconds))
    held()
    assert held.jumps == 0


# ------------------------------------------------------------------- in the middle of anything


def until(world: World, holds: Callable[[dict[str, Any]], bool], rounds: int = 300) -> None:
    for _ in range(rounds):
        world.pass_()
        if holds(world.state(ENDPOINT)):
            return
        world.advance()
    raise AssertionError(f"not reached: {world.message(ENDPOINT)}")


def canary(state: dict[str, Any]) -> dict[str, Any]:
    rollout: dict[str, Any] = state.get("rollout") or {}
    return rollout.get("canary") or {}


STAGES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "starting": lambda state: bool(state.get("rollout")),
    "the first analysis": lambda state: canary(state).get("weight") == 10 and bool(canary(state).get("step_since")),
    "the second analysis": lambda state: canary(state).get("weight") == 50 and bool(canary(state).get("step_since")),
    "retiring": lambda state: bool(state.get("retiring")),
}


def trial(stage: str, upset: Callable[[World], None]) -> tuple[World, float]:
    """A rollout that is upset in the middle, and how many seconds it took from there until all was over."""
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    until(world, STAGES[stage])
    upset(world)
    started = world.now - world.jumped
    for _ in range(200):
        world.pass_()
        if world.standing().settled and not world.draining():
            return world, (world.now - world.jumped - started).total_seconds()
        world.advance()
    raise AssertionError(f"not settled: {world.message(ENDPOINT)}")


@cache
def calm(stage: str) -> tuple[float, tuple[list[int], list[str]]]:
    """How long it takes, and how it ends, where nothing is upset."""
    world, seconds = trial(stage, lambda world: None)
    return seconds, served(world)


def served(world: World) -> tuple[list[int], list[str]]:
    """Shares of the traffic, and who was turned down."""
    return sorted(world.weights().values()), [item["reason"] for item in world.state(ENDPOINT)["quarantined"]]


def told(world: World) -> list[str]:
    return [event.message for event in world.ports.state.events(limit=1000) if event.reason == "ClockSet"]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("jump", JUMPS)
def test_a_rollout_takes_as_long_as_it_would_have(stage: str, jump: timedelta) -> None:
    seconds, result = calm(stage)
    world, took = trial(stage, lambda world: world.jump(jump))
    assert took == pytest.approx(seconds, abs=2.0)
    assert served(world) == result == ([100], [])
    assert len(told(world)) == 1
    assert ("ahead" if jump > timedelta(0) else "back") in told(world)[0]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_is_wrong_for_a_moment_changes_nothing(stage: str, jump: timedelta) -> None:
    def upset(world: World) -> None:
        world.jump(jump)
        world.pass_()
        world.jump(-jump)

    seconds, result = calm(stage)
    world, took = trial(stage, upset)
    assert took == pytest.approx(seconds, abs=2.0)
    assert served(world) == result
    assert len(told(world)) == 2


@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("stage", ["the first analysis", "retiring"])
def test_nor_does_one_that_is_set_while_no_controller_runs(stage: str, jump: timedelta) -> None:
    def upset(world: World) -> None:
        world.jump(jump)
        world.restart(world.ports)

    seconds, _ = calm(stage)
    world, took = trial(stage, upset)
    assert took == pytest.approx(seconds, abs=2.0)
    assert len(told(world)) == 1


@pytest.mark.parametrize("jump", [-YEAR, -DAY, -HOUR])
def test_after_a_start_of_the_machine_a_clock_that_went_back_is_seen_by_the_log(jump: timedelta) -> None:
    def upset(world: World) -> None:
        world.jump(jump)
        world.restart(world.ports)
        world.keeper.boot = lambda: "another start"

    world, took = trial("the first analysis", upset)
    assert took < 60
    assert len(told(world)) == 1


@pytest.mark.parametrize("how", ["promote", "rollback"])
def test_an_analysis_that_is_not_over_is_not_ended_by_the_clock(how: str) -> None:
    """In one look under a clock that is ahead, a version without enough requests would be promoted, or turned down."""
    spec = DEPLOYMENT.replace("minRequests: 100", f"minRequests: 100\n      onInconclusive: {how}")
    world = World()
    world.commit(delay=spec)
    world.run()
    stable = set(world.weights())
    world.error_rate = lambda app: 0.0 if app in stable else 0.5
    world.requests_per_second = 1
    world.commit(classifier=BETTER)
    until(world, STAGES["the first analysis"])
    world.jump(HOUR)
    world.pass_()
    world.pass_()
    assert world.weights().keys() > stable
    assert sorted(world.weights().values()) == [10, 90]
    world.jump(-HOUR)
    world.requests_per_second = 1000
    world.run()
    assert set(world.weights()) == stable
    assert served(world)[1] == ["AnalysisFailed"]


@pytest.mark.parametrize("jump", [-DAY, HOUR])
@pytest.mark.parametrize("error", [TransientError("locked"), Crash("killed")])
@pytest.mark.parametrize("after", [False, True])
def test_a_failure_while_everything_moves_moves_it_once(jump: timedelta, error: BaseException, after: bool) -> None:
    def upset(world: World) -> None:
        faults = FaultInjector()
        world.restart(faults.around(world.ports))
        world.pass_()
        world.jump(jump)
        faults.fail_on("state.set_clock", error, after=after)
        with pytest.raises(type(error)):
            world.pass_()
        faults.revive()
        if isinstance(error, Crash):
            world.restart(world.ports)

    seconds, _ = calm("the first analysis")
    world, took = trial("the first analysis", upset)
    assert took == pytest.approx(seconds, abs=3.0)
    assert served(world) == ([100], [])


def test_until_everything_has_moved_nothing_is_decided() -> None:
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    until(world, STAGES["starting"])
    before = world.state(ENDPOINT)
    world.jump(HOUR)
    world.reconciler.clock()
    assert world.keeper.era is None
    assert world.reconciler.reconcile(ENDPOINT, world.source.desired[ENDPOINT]).retry
    assert world.state(ENDPOINT) == before
    world.keeper.look()
    assert world.keeper.era == 1


def test_a_look_that_the_clock_was_set_in_counts_for_nothing() -> None:
    world = World()
    world.run()
    (app,) = world.weights()
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    observer = world.reconciler.observers["ModelDeployment"]

    def slowly(*arguments: Any) -> Any:
        found = observer.observe(*arguments)
        world.jump(HOUR)
        return found

    slow = replace(observer, observe=slowly)
    upset = replace(world.reconciler, observers={**world.reconciler.observers, "ModelDeployment": slow})
    assert upset.reconcile(ENDPOINT, world.source.desired[ENDPOINT]).retry
    assert world.weights() == {app: 40}
    world.run()
    assert world.weights() == {app: 100}


def test_a_state_that_is_quiet_is_not_written_to() -> None:
    state, clocks = MemoryStateStore(), Clocks()
    lease = state.acquire("a", 30.0, NOW)
    assert lease is not None
    for _ in range(3):
        keeper = Timekeeper(state, KINDS, watched(clocks), lambda: lease.token, "a", lambda: "boot")
        for _ in range(3):
            clocks.pass_(1000.0)
            keeper.look()
    assert state._calls.made == state._calls.made[:1], "only how the clock stood at first"


# ------------------------------------------------------------------- the loop as it runs


@pytest.mark.parametrize(("jump", "back"), [(-DAY, False), (YEAR, False), (YEAR, True), (-DAY, True)])
def test_a_running_controller_goes_on_looking_acting_and_repairing(jump: timedelta, back: bool) -> None:
    offset = [timedelta(0)]
    world = World()
    world.resign()
    made = project(world)
    settings = replace(made.settings, resync=timedelta(seconds=0.2))
    made = replace(made, settings=settings, clock=lambda: datetime.now(UTC) + offset[0])

    def eventually(holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    def submitted() -> int:
        return len(world.ports.calls.subjects("runs.submit"))

    def set_events() -> list[Event]:
        return [event for event in world.ports.state.events(limit=1000) if event.reason == "ClockSet"]

    with world.at_work(), at_work(made):
        eventually(lambda: bool(world.weights()), "the first deployment")
        offset[0] = jump
        eventually(lambda: len(set_events()) == 1, "the clock is told")
        if back:
            offset[0] = timedelta(0)
            eventually(lambda: len(set_events()) == 2, "the clock is told again")
        before = submitted()
        world.commit(classifier=BETTER)
        eventually(lambda: submitted() > before, "a new commit is acted on")
        (app,) = [name for name, weight in world.weights().items() if weight >= 50]
        world.ports.serving.change_route_by_hand("delay", weights={app: 40})
        eventually(lambda: world.weights().get(app) != 40, "what was changed by hand is repaired")
        lease = world.ports.state.lease()
        assert lease is not None
        renewals = lease.renewals
        eventually(lambda: (found := world.ports.state.lease()) is not None and found.renewals > renewals, "it leads")
