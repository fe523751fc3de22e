"""Serving in memory: as Ray Serve and our router would, and what it notices that callers would suffer from."""

from __future__ import annotations

from dataclasses import replace

from framework.backends.memory import (
    MemoryServing,
    Served,
)
from framework.ports import (
    LATENCY_BOUNDS,
    AppPhase,
    CodeRef,
)
from tests.unit.test_memory_backends import app, serving, table


def test_requests_are_split_by_weight_and_counted() -> None:
    old, new = app("old"), app("new")
    backend = serving(old, new, routers=3)
    backend.set_route(table({old.name: 90, new.name: 10}, old.name))
    backend.send("delay", 1000, error_rate={new.name: 0.2}, latency={new.name: 0.5})
    state = backend.route("delay", "")
    assert state is not None
    assert len(state.replicas) == 3
    versions = {name: [replica.versions[name] for replica in state.replicas] for name in (old.name, new.name)}
    assert [sum(item.requests for item in found) for found in versions.values()] == [900, 100]
    assert [sum(item.errors for item in found) for found in versions.values()] == [0, 20]
    assert [sum(item.shielded for item in found) for found in versions.values()] == [0, 20]
    slow = [sum(counts) for counts in zip(*(item.latency_buckets for item in versions[new.name]), strict=True)]
    assert sum(slow) == 100
    assert LATENCY_BOUNDS[slow.index(100) - 1] < 0.5 <= LATENCY_BOUNDS[slow.index(100)]
    assert backend.harm == []


def test_errors_of_stable_and_of_an_open_route_are_not_shielded() -> None:
    old, new = app("old"), app("new")
    for shield, shielded in ((True, {old.name: 0, new.name: 5}), (False, {old.name: 0, new.name: 0})):
        backend = serving(old, new)
        backend.set_route(table({old.name: 50, new.name: 50}, old.name, shield=shield))
        backend.serve("delay", {old.name: Served(10, 5), new.name: Served(10, 5)})
        state = backend.route("delay", "")
        assert state is not None
        (replica,) = state.replicas
        assert {name: counters.shielded for name, counters in replica.versions.items()} == shielded
        assert {counters.errors for counters in replica.versions.values()} == {5}


def test_a_restarted_router_counts_from_zero_under_a_new_name() -> None:
    old = app("old")
    backend = serving(old)
    backend.set_route(table({old.name: 100}, old.name))
    backend.send("delay", 10)
    before = backend.route("delay", "")
    backend.restart_routers("delay")
    after = backend.route("delay", "")
    assert before is not None
    assert after is not None
    assert before.replicas[0].versions[old.name].requests == 10
    assert after.replicas[0].versions == {}
    assert after.replicas[0].replica != before.replicas[0].replica
    assert after.replicas[0].generation == 1


def test_traffic_to_a_version_that_does_not_run_is_harm() -> None:
    old = app("old")
    backend = serving(old)
    backend.set_route(table({old.name: 100, "delay-new": 0}, old.name))
    assert backend.harm == []
    backend.set_route(table({old.name: 90, "delay-new": 10}, old.name, 2))
    assert backend.harm == ["delay sends to delay-new, which is missing"]
    backend.deploy(app("new"), None)
    backend.set_route(table({old.name: 80, "delay-new": 20}, old.name, 3))
    assert backend.harm[1:] == ["delay sends to delay-new, which is Deploying"]
    backend.tick()
    backend.set_route(table({old.name: 70, "delay-new": 30}, old.name, 4))
    assert len(backend.harm) == 2


def test_an_app_that_is_deployed_in_place_goes_on_answering() -> None:
    old = app("old")
    backend = serving(old)
    backend.set_route(table({old.name: 100}, old.name))
    backend.deploy(app("old", version="2"), None)
    state = backend.apps("delay")[old.name]
    assert (state.phase, state.replicas) == (AppPhase.DEPLOYING, 1)
    backend.set_route(table({old.name: 100}, old.name, 2))
    backend.deploy(app("old", version="3"), None)
    backend.set_route(table({old.name: 100}, old.name, 3))
    backend.tick()
    assert backend.apps("delay")[old.name].phase is AppPhase.RUNNING
    assert backend.harm == []


def test_an_app_that_fails_to_start_in_place_leaves_the_one_before_answering() -> None:
    old = app("old")
    backend = serving(old)
    backend.break_on_start(old.name)
    backend.deploy(app("old", version="2"), None)
    backend.tick()
    backend.set_route(table({old.name: 100}, old.name))
    state = backend.apps("delay")[old.name]
    assert (state.phase, state.replicas, backend.harm) == (AppPhase.FAILED, 1, [])


def test_traffic_to_an_app_whose_replicas_died_is_harm_until_it_runs_again() -> None:
    old = app("old")
    backend = serving(old)
    backend.fail(old.name)
    state = backend.apps("delay")[old.name]
    assert (state.phase, state.replicas) == (AppPhase.UNHEALTHY, 0)
    backend.set_route(table({old.name: 100}, old.name))
    assert backend.harm == ["delay sends to delay-old, which is Unhealthy"]
    backend.deploy(app("old", version="2"), None)
    backend.set_route(table({old.name: 100}, old.name, 2))
    assert backend.harm[1:] == ["delay sends to delay-old, which is Deploying"]
    backend.tick()
    backend.set_route(table({old.name: 100}, old.name, 3))
    assert len(backend.harm) == 2


def test_what_changes_nothing_about_replicas_is_no_new_deployment() -> None:
    old = replace(app("old"), code=CodeRef("a" * 40, "project", "d" * 40), metadata={"commit": "a"})
    backend = serving(old)
    same = replace(old, code=CodeRef("b" * 40, "project", "d" * 40), metadata={"commit": "b"})
    backend.deploy(same, None)
    assert backend.apps("delay")[old.name].phase is AppPhase.RUNNING
    backend.deploy(replace(old, code=CodeRef("b" * 40, "project", "e" * 40)), None)
    assert backend.apps("delay")[old.name].phase is AppPhase.DEPLOYING


def test_deleting_a_version_before_the_routers_let_go_of_it_is_harm() -> None:
    old, new = app("old"), app("new")
    backend = serving(old, new)
    backend.set_route(table({old.name: 100}, old.name))
    backend.tick()
    backend.set_route(table({new.name: 100}, new.name, 2))
    backend.delete(old.name)
    assert backend.harm == ["delay-old was deleted while the router of delay may send to it"]


def test_deleting_it_after_they_acknowledged_is_none() -> None:
    old, new = app("old"), app("new")
    backend = serving(old, new)
    backend.set_route(table({old.name: 100}, old.name))
    backend.set_route(table({new.name: 100}, new.name, 2))
    state = backend.route("delay", "")
    assert state is not None
    assert [replica.generation for replica in state.replicas] == [0]
    backend.acknowledge("delay")
    backend.delete(old.name)
    assert backend.harm == []


def test_an_app_that_fails_to_start_may_be_deployed_again_once_mended() -> None:
    bad = app("bad")
    backend = serving()
    backend.break_on_start(bad.name, "no such file")
    backend.deploy(bad, None)
    backend.tick()
    state = backend.apps("delay")[bad.name]
    assert (state.phase, state.message, state.replicas) == (AppPhase.FAILED, "no such file", 0)
    backend.mend(bad.name)
    backend.tick()
    assert backend.apps("delay")[bad.name].phase is AppPhase.FAILED
    backend.deploy(bad, None)
    backend.tick()
    assert backend.apps("delay")[bad.name].phase is AppPhase.RUNNING


def test_what_was_done_by_hand_is_seen_and_can_be_repaired() -> None:
    old = app("old")
    backend = serving(old)
    route = table({old.name: 100}, old.name)
    backend.set_route(route)
    backend.change_by_hand(old.name)
    backend.change_route_by_hand("delay", weights={old.name: 60, "delay-x": 40})
    assert backend.apps("delay")[old.name].digest != old.digest
    meddled = backend.route("delay", "")
    assert meddled is not None
    assert meddled.spec.weights == {old.name: 60, "delay-x": 40}
    backend.deploy(old, None)
    backend.set_route(replace(route, generation=2))
    assert backend.apps("delay")[old.name].digest == old.digest
    repaired = backend.route("delay", "")
    assert repaired is not None
    assert repaired.spec.weights == {old.name: 100}
    backend.remove_by_hand(old.name)
    backend.remove_route_by_hand("delay")
    assert (dict(backend.apps("delay")), backend.route("delay", "")) == ({}, None)


def test_apps_and_routers_settle_after_so_many_looks() -> None:
    old = app("old")
    backend = MemoryServing(observations=2)
    backend.deploy(old, None)
    phases = [backend.apps("delay")[old.name].phase for _ in range(3)]
    assert phases == [AppPhase.DEPLOYING, AppPhase.DEPLOYING, AppPhase.RUNNING]
