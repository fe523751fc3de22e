"""The lease: who may take it over, who counts it as lost, and that no time of day has a say in either."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from controllers.runtime.leadership import Leadership, break_lease
from framework.api.errors import ConflictError, TransientError
from framework.backends.memory import MemoryStateStore
from framework.backends.memory.faults import FaultInjector
from framework.backends.state import tables
from framework.ports import Lease, StateStore
from tests.builders import NOW
from tests.unit.test_process import ROOT, SAY_WHO
from tests.waiting import until

TTL = 15.0


class Seconds:
    """A clock that nobody sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Team:
    """Controllers on one store, each with its own two clocks."""

    def __init__(self) -> None:
        self.state, self.seconds = MemoryStateStore(), Seconds()
        self.clock = NOW
        self.made: list[Leadership] = []

    def controller(self, holder: str, state: StateStore | None = None, ttl: float = TTL) -> Leadership:
        made = Leadership(state or self.state, holder, ttl, lambda: self.clock, self.seconds)
        self.made.append(made)
        return made

    def elsewhere(self, holder: str = "elsewhere") -> Lease:
        """A controller on a machine that nothing can be seen of."""
        lease = self.state.acquire(holder, TTL, self.clock, {"machine": "another", "pid": 1, "birth": "1"})
        assert lease is not None
        return lease


@pytest.fixture
def team() -> Iterator[Team]:
    found = Team()
    yield found
    for made in found.made:
        made.release()


def test_a_lease_that_shows_no_sign_of_life_is_taken_over_after_the_time_that_it_lasts(team: Team) -> None:
    dead = team.elsewhere()
    waiting = team.controller("waiting")
    assert not waiting.acquire(), "it has only just been seen"
    team.seconds.now += TTL - 0.1
    assert not waiting.acquire()
    team.seconds.now += 0.2
    assert waiting.acquire()
    assert waiting.token > dead.token


def test_each_sign_of_life_starts_the_wait_anew(team: Team) -> None:
    lease = team.elsewhere()
    waiting = team.controller("waiting")
    for _ in range(5):
        assert not waiting.acquire()
        team.seconds.now += TTL - 1
        assert team.state.renew(lease, team.clock) is not None
    assert not waiting.acquire()


@pytest.mark.parametrize("jump", [timedelta(days=365), timedelta(days=-1), timedelta(hours=-1)])
def test_a_clock_that_ran_ahead_or_behind_for_a_moment_locks_nobody_out(team: Team, jump: timedelta) -> None:
    lease = team.elsewhere()
    team.clock += jump
    assert team.state.renew(lease, team.clock) is not None
    team.clock -= jump
    waiting = team.controller("waiting")
    assert not waiting.acquire()
    team.clock += jump
    assert not waiting.acquire(), "nor does the clock of the one that waits count"
    team.seconds.now += TTL
    assert waiting.acquire()


def test_how_long_to_wait_is_for_the_holder_to_say(team: Team) -> None:
    team.state.acquire("slow", 60.0, NOW)
    waiting = team.controller("waiting", ttl=1.0)
    assert not waiting.acquire()
    team.seconds.now += 59
    assert not waiting.acquire()
    team.seconds.now += 1
    assert waiting.acquire()


@pytest.mark.parametrize("renewal", [{}, {"expires": "2027-11-29T00:00:05Z"}])
def test_the_lease_of_an_older_version_is_read_and_its_renewals_are_seen(team: Team, renewal: dict[str, str]) -> None:
    row = {"holder": "old", "token": 4, "expires": "2027-11-29T00:00:00Z", "note": {}}
    waiting = team.controller("waiting")
    team.state.acquire("old", TTL, NOW)
    for found in (row, row | renewal):
        with team.state.database.write() as connection:
            connection.execute(update(tables.environments).values(token=4, lease=json.dumps(found)))
        assert not waiting.acquire()
        team.seconds.now += TTL / 2
    assert waiting.acquire() is (renewal == {})


def test_the_lease_of_a_process_that_was_killed_on_this_machine_is_taken_at_once(team: Team) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SAY_WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    try:
        assert team.state.acquire("killed", TTL, NOW, json.loads(child.stdout.readline()))
        waiting = team.controller("waiting")
        assert not waiting.acquire(), "it lives"
        child.kill()
        until(waiting.acquire)
    finally:
        child.kill()
        child.wait()


def test_who_could_not_renew_for_as_long_as_the_lease_lasts_counts_it_as_lost_for_good(team: Team) -> None:
    alone = team.controller("alone")
    assert alone.acquire()
    assert alone.held
    team.seconds.now += TTL
    assert not alone.held
    with pytest.raises(ConflictError):
        assert alone.token
    team.seconds.now -= TTL
    assert not alone.held
    assert team.controller("alone").acquire(), "by the same name it is had again, under a higher token"


@pytest.mark.parametrize("error", [TransientError("locked"), ValueError("x"), OSError(5, "I/O"), KeyError("lease")])
def test_a_renewal_that_fails_however_it_fails_is_told_once_and_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    state, faults = MemoryStateStore(), FaultInjector()
    faults.fail_on("state.renew", error, times=3)
    held = Leadership(faults.wrap("state", state), "held", 0.3, lambda: NOW)
    caplog.set_level(logging.WARNING)
    assert held.acquire()
    try:
        until(lambda: (lease := state.lease()) is not None and lease.renewals >= 2)
        assert held.held
        told = [record.getMessage() for record in caplog.records]
        assert len([line for line in told if line.startswith("the lease could not be renewed: ")]) == 2, told
        assert told[-1] == "the lease could not be renewed: that is over"
    finally:
        held.release()


def test_an_answer_that_is_lost_does_not_lose_the_lease() -> None:
    state, faults = MemoryStateStore(), FaultInjector()
    faults.fail_on("state.acquire", TransientError("gone"), after=True)
    held = Leadership(faults.wrap("state", state), "held", 0.3, lambda: NOW)
    with pytest.raises(TransientError):
        held.acquire()
    assert held.acquire()
    faults.fail_on("state.renew", TransientError("gone"), after=True)
    try:
        until(lambda: (lease := state.lease()) is not None and lease.renewals >= 3)
        assert held.held
    finally:
        held.release()


def test_a_lease_that_cannot_be_given_back_ends_nothing(team: Team, caplog: pytest.LogCaptureFixture) -> None:
    faults = FaultInjector()
    faults.fail_on("state.release", OSError(5, "I/O"))
    held = team.controller("held", faults.wrap("state", team.state))
    assert held.acquire()
    held.release()
    assert "could not be given back" in caplog.text
    assert not held.held


def test_of_several_that_wait_one_gets_it(team: Team) -> None:
    team.elsewhere()
    waiting = [team.controller(f"w{number}") for number in range(6)]
    assert not any(made.acquire() for made in waiting)
    team.seconds.now += TTL
    found: list[bool] = []
    threads = [threading.Thread(target=lambda made=made: found.append(made.acquire())) for made in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 5 + [True]


def test_a_person_breaks_a_lease_and_that_is_an_event(team: Team) -> None:
    lease = team.elsewhere()
    assert break_lease(team.state, lease, "ann@host", NOW)
    assert team.state.lease() is None
    (event,) = team.state.events()
    assert (event.reason, event.actor, "elsewhere" in event.message) == ("LeaseBroken", "ann@host", True)
    assert team.controller("next").acquire()


def test_what_showed_a_sign_of_life_meanwhile_is_not_broken(team: Team) -> None:
    lease = team.elsewhere()
    renewed = team.state.renew(lease, NOW)
    assert not break_lease(team.state, lease, "ann@host", NOW)
    assert team.state.lease() == renewed


def test_who_lives_all_the_same_loses_it_and_starts_over(team: Team) -> None:
    alive = Leadership(team.state, "alive", 0.3, lambda: NOW)
    assert alive.acquire()
    token = alive.token
    lease = team.state.lease()
    while not break_lease(team.state, lease or team.elsewhere(), "ann@host", NOW):
        lease = team.state.lease()
    until(lambda: not alive.held)
    alive.release()
    again = team.controller("alive")
    assert again.acquire()
    assert again.token > token
