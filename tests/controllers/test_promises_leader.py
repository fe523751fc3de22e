"""Promise 10: one active controller per environment, with real threads, leases and clocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controllers.commands.project import Project
from controllers.host.passes import serve
from controllers.host.wiring import OBSERVERS
from controllers.loop.reconciler import Reconciler
from controllers.runtime.leadership import Leadership
from controllers.settings import Settings
from framework.api.errors import ConflictError
from framework.backends.memory.faults import FaultInjector
from framework.kinds import KINDS
from framework.planning.grammar.actions import DeleteApp, DeployApp, SetRoute
from framework.ports import Lease, Ports, StateStore
from tests.builders import NOW
from tests.controllers.test_passes import at_work, project
from tests.crashing import do_late, intentions
from tests.waiting import until
from tests.world import BETTER, ENDPOINT, TRAINING, World, reconciled


class Store:
    """A project per controller on one shared world, and what each of them changed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults: dict[str, FaultInjector] = {}

    def project(self, holder: str, lease: float) -> Project:
        self.faults[holder] = FaultInjector()
        ports: Ports = self.faults[holder].around(self.world.ports)
        made = project(self.world, holder)
        settings = Settings(
            Path("/project"),
            revision="main",
            holder=holder,
            poll=timedelta(milliseconds=20),
            lease=timedelta(seconds=lease),
        )
        return replace(made, settings=settings, ports=ports, idle=ports)

    def changed(self, holder: str) -> list[str]:
        return [verb for verb in self.faults[holder].changing if not verb.startswith("state.")]


@pytest.fixture
def shared() -> Iterator[Store]:
    """Its data plane works in the background until the test ends."""
    world = World()
    world.resign()
    with world.at_work():
        yield Store(world)


def taken_over(state: StateStore, holder: str) -> Leadership:
    """By somebody who has seen no sign of life for longer than the lease lasts."""
    seconds = iter([0.0, 3600.0])
    made = Leadership(state, holder, 3600.0, lambda: NOW, monotonic=lambda: next(seconds, 3600.0))
    assert not made.acquire()
    assert made.acquire()
    return made


def stolen(state: StateStore, ttl_seconds: float) -> Lease:
    """The lease, at once, whatever its holder believes."""
    taken = None
    while taken is None:
        taken = state.acquire("thief", ttl_seconds, NOW, over=state.lease())
    return taken


def test_10_of_two_controllers_on_one_store_exactly_one_acts(shared: Store) -> None:
    stops = {name: threading.Event() for name in ("one", "two")}
    threads = {
        name: threading.Thread(target=serve, args=(shared.project(name, 5.0), stop, lambda result: None))
        for name, stop in stops.items()
    }
    for thread in threads.values():
        thread.start()
    try:
        until(lambda: bool(shared.world.weights()))
        actors = [name for name in threads if shared.changed(name)]
        assert len(actors) == 1
        (leader,) = actors
        (other,) = set(threads) - {leader}
        assert shared.faults[other].changing == []
        stops[leader].set()
        threads[leader].join(10)
        done = len(shared.faults[leader].changing)
        shared.world.commit(classifier=BETTER)
        until(lambda: bool(shared.changed(other)))
        assert len(shared.faults[leader].changing) == done
    finally:
        for name, stop in stops.items():
            stop.set()
            threads[name].join(10)


def test_10_a_leader_that_was_paused_acts_no_more_once_another_took_over(shared: Store) -> None:
    world = shared.world
    first = Leadership(world.ports.state, "first", 60.0, lambda: NOW)
    assert first.acquire()
    paused = shared.project("paused", 60.0).reconciler(lambda: first.token)
    source = shared.project("source", 60.0).source_controller(lambda: first.token)
    source.poll()
    until(lambda: [paused.reconcile(ref, source.desired[ref]) for ref in source.desired] == [] or bool(world.weights()))
    until(lambda: not paused.reconcile(ENDPOINT, source.desired[ENDPOINT]).calls)
    (app,) = world.weights()
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    second = taken_over(world.ports.state, "second")
    shared.faults["paused"].changing.clear()
    token = world.ports.state.lease()
    assert token is not None
    assert first.token < token.token, "it still believes that it leads"
    result = paused.reconcile(ENDPOINT, source.desired[ENDPOINT])
    assert result.retry
    assert shared.changed("paused") == [], "not even an action that no write goes before"
    assert world.weights() == {app: 40}
    with pytest.raises(ConflictError):
        world.ports.state.save_revision(world.ports.state.revisions(1)[0], first.token)
    active = replace(paused, token=lambda: second.token)
    assert active.reconcile(ENDPOINT, source.desired[ENDPOINT]).calls == 1
    first.release()
    second.release()
    assert world.ports.state.lease() is None, "only its own lease is given back"


def test_10_a_controller_that_lost_its_lease_starts_over_and_acts_again_once_it_may(shared: Store) -> None:
    with at_work(shared.project("mine", 0.3)):
        until(lambda: bool(shared.world.weights()))
        state = shared.world.ports.state
        taken = stolen(state, ttl_seconds=1.0)
        until(lambda: (lease := state.lease()) is not None and lease.holder == "mine" and lease.token > taken.token)
        before = len(shared.changed("mine"))
        shared.world.commit(classifier=BETTER)
        until(lambda: len(shared.changed("mine")) > before)


def test_10_a_lease_that_was_lost_stays_lost_for_who_held_it(shared: Store) -> None:
    """What it kept in memory says nothing about what the other one did; it has to start over."""
    state = shared.world.ports.state
    first = Leadership(state, "first", 0.15, lambda: NOW)
    assert first.acquire()
    taken = stolen(state, ttl_seconds=60.0)
    until(lambda: not first.held)
    state.release(taken)
    time.sleep(0.3)  # it would have renewed several times by then
    assert not first.held
    with pytest.raises(ConflictError):
        assert first.token
    first.release()
    assert state.lease() is None


def test_10_a_fenced_reconciler_is_the_only_thing_that_a_lost_lease_stops() -> None:
    world = reconciled()
    fenced = Reconciler(world.ports, KINDS, OBSERVERS, world.clock, lambda: world.token - 1, "late")
    assert not fenced.reconcile(ENDPOINT, world.source.desired[ENDPOINT]).retry, "there is nothing to do"
    (app,) = world.weights()
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    assert fenced.reconcile(ENDPOINT, world.source.desired[ENDPOINT]).retry
    assert world.weights() == {app: 40}


@pytest.mark.parametrize("moment", range(0, 24, 3))
def test_10_what_a_leader_that_was_paused_before_its_call_does_late_harms_no_caller(
    moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passed the last look at the lease and was stopped there. All that it ever meant to do comes in the middle of
    what the next leader does: go back to the version that the first one had replaced."""
    meant = intentions(monkeypatch)
    world = World()
    world.run()
    (first,) = world.weights()
    world.commit(classifier=BETTER)
    world.run()
    assert first not in world.weights()
    late = tuple(meant)
    assert {type(action) for action in late} >= {DeployApp, SetRoute, DeleteApp}
    stale = world.token
    world.restart(world.ports)
    world.commit(classifier=TRAINING)
    for number in range(60):
        if number == moment:
            do_late(late, world.ports, stale)
        world.pass_()
        world.advance()
    assert world.ports.serving.harm == []
    assert world.standing().converged
    assert world.weights() == {first: 100}
    assert set(world.ports.serving.apps("delay")) == {first}, "what it started is taken away again"
