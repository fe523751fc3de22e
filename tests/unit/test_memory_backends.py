from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.backends.memory import (
    Call,
    Calls,
    MemoryCode,
    MemoryNotifier,
    MemoryPorts,
    MemoryRegistry,
    MemoryReports,
    MemoryRuns,
    MemoryServing,
    MemorySource,
    MemoryStateStore,
    MemoryTables,
    Served,
    memory_ports,
)
from framework.ports import (
    LATENCY_BOUNDS,
    Alert,
    AppPhase,
    AppSpec,
    CodeRef,
    FailureKind,
    Record,
    RouteSpec,
    RunPhase,
    RunSpec,
    TableState,
)
from tests.builders import app_arguments

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW = Ref("FeatureView", "flights")


def app(name: str, version: str = "1") -> AppSpec:
    return AppSpec(f"delay-{name}", "delay", app_arguments(f"delay-{name}", version))


def table(weights: dict[str, int], stable: str, generation: int = 1, *, shield: bool = True) -> RouteSpec:
    return RouteSpec("delay", "/delay", weights, stable, generation, shield=shield)


def serving(*running: AppSpec, routers: int = 1) -> MemoryServing:
    """Time passes by ``tick`` only; ``running`` are up."""
    backend = MemoryServing(clock=lambda: NOW, observations=None, routers=routers)
    for item in running:
        backend.deploy(item, None)
    backend.tick()
    return backend


# ---------------------------------------------------------------------- calls


def test_every_changing_call_is_counted_even_without_effect() -> None:
    ports = memory_ports(lambda: NOW)
    run = RunSpec("train-delay-1", 1, "a:b", {}, "memory://store", "")
    lease = ports.state.acquire("a", 30.0, NOW)
    assert lease is not None
    for _ in range(2):
        ports.runs.submit(run, None)
        ports.serving.delete("delay-gone")
    ports.state.append_events([], lease.token)
    ports.state.save(Record(ref=VIEW, status={}), lease.token)
    assert ports.calls.made == (
        Call("runs.submit", "train-delay-1-1"),
        Call("serving.delete", "delay-gone"),
        Call("runs.submit", "train-delay-1-1"),
        Call("serving.delete", "delay-gone"),
        Call("state.save", "FeatureView/flights"),
    )
    assert ports.calls.subjects("runs.submit") == ("train-delay-1-1", "train-delay-1-1")
    ports.calls.clear()
    assert len(ports.calls) == 0


def test_reads_are_no_changing_calls() -> None:
    ports = memory_ports(lambda: NOW)
    ports.state.acquire("a", 30.0, NOW)
    ports.state.records(), ports.state.events(), ports.state.revisions(), ports.state.lease()
    ports.registry.versions("delay"), ports.runs.observe("memory://store", "none"), ports.runs.runs()
    ports.serving.apps("delay"), ports.serving.route("delay", ""), ports.tables.describe("memory://store/x/y")
    ports.profiles.reference("memory://store/x")
    assert ports.calls.made == ()


@pytest.mark.parametrize(
    ("open_with", "change"),
    [
        (MemoryRuns, lambda port: port.stop("memory://store", "none")),
        (MemoryServing, lambda port: port.delete("delay-gone")),
        (MemoryTables, lambda port: port.delete("memory://store/x/y")),
        (MemoryReports, lambda port: port.write("memory://store/x", "")),
        (MemoryNotifier, lambda port: port.send(Alert("m", "e", "s", "", {}, "", NOW), {})),
        (lambda calls: MemoryCode(_source(), calls), lambda port: port.ensure(_code())),
        (lambda calls: MemoryStateStore(calls), lambda port: _leading(port).save(Record(ref=VIEW, status={}), 1)),
    ],
)
def test_a_log_of_calls_that_is_still_empty_is_the_one_used(
    open_with: Callable[[Calls], object], change: Callable[[object], object]
) -> None:
    calls = Calls()
    change(open_with(calls))
    assert len(calls) == 1


def _source() -> MemorySource:
    source = MemorySource()
    source.commit({"p/__init__.py": ""})
    return source


def _code() -> CodeRef:
    return CodeRef(_source().resolve("main"), "p", "d")


def _leading(store: MemoryStateStore) -> MemoryStateStore:
    assert store.acquire("a", 30.0, NOW) is not None
    return store


def test_the_registry_is_fenced_by_its_state_store() -> None:
    calls = Calls()
    state = MemoryStateStore(calls)
    assert MemoryRegistry(state, calls).versions("delay") == []
    assert isinstance(memory_ports(), MemoryPorts)


# ---------------------------------------------------------------------- runs


@pytest.fixture
def run() -> RunSpec:
    return RunSpec("train-delay-1", 1, "a:b", {"x": 1}, "memory://store", "training")


def test_a_run_goes_as_far_as_it_is_moved(run: RunSpec) -> None:
    now = NOW
    runs = MemoryRuns(clock=lambda: now)
    runs.submit(run, "memory://code/d.zip")
    assert runs.observe(run.storage, run.name).phase is RunPhase.PENDING
    assert runs.active() == (run,)
    runs.start(run.name)
    now += timedelta(minutes=1)
    runs.progress(run.name, 0.5, "half")
    state = runs.observe(run.storage, run.name)
    assert (state.phase, state.progress, state.message, state.started) == (RunPhase.RUNNING, 0.5, "half", NOW)
    runs.succeed(run.name, {"auc": 0.7})
    state = runs.observe(run.storage, run.name)
    assert (state.phase, state.result, state.finished) == (RunPhase.SUCCEEDED, {"auc": 0.7}, now)
    assert runs.active() == ()
    assert runs.code_uri(run.name) == "memory://code/d.zip"


def test_a_lost_run_is_nobodys_mistake(run: RunSpec) -> None:
    runs = MemoryRuns()
    runs.submit(run, None)
    runs.lose(run.name)
    state = runs.observe(run.storage, run.name)
    assert (state.phase, state.failure, state.reason) == (RunPhase.FAILED, FailureKind.INFRASTRUCTURE, "RunLost")


def test_a_payload_that_no_request_file_could_hold_is_refused(run: RunSpec) -> None:
    runs = MemoryRuns()
    with pytest.raises(TypeError):
        runs.submit(replace(run, payload={"when": NOW}), None)
    with pytest.raises(TypeError):
        runs.submit(replace(run, payload={"set": {1}}), None)
    assert list(runs.runs()) == []


def test_moving_a_run_that_is_not_there_is_a_mistake_of_the_test() -> None:
    with pytest.raises(KeyError, match="no run train-delay-1"):
        MemoryRuns().succeed("train-delay-1")


# ---------------------------------------------------------------------- serving


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


# ---------------------------------------------------------------------- the rest


def test_commits_build_on_each_other() -> None:
    source = MemorySource()
    first = source.commit({"a": "1", "b": "2"})
    second = source.change({"a": "9", "b": None, "c": "3"})
    assert source.files(second) == {"a": "9", "c": "3"}
    assert (source.parent(second), source.parent(first)) == (first, None)
    assert source.resolve("main") == second
    assert source.commit({"a": "1", "b": "2"}, branch="other") == first
    assert source.commit({"a": "1", "b": "2"}) != first


def test_a_branch_may_be_moved_back() -> None:
    source = MemorySource()
    first = source.commit({"a": "1"})
    source.commit({"a": "2"})
    source.point("main", first)
    assert source.resolve("main") == first
    with pytest.raises(ConfigurationError):
        source.point("main", "0" * 40)


def test_finding_published_code_is_no_change() -> None:
    source, calls = _source(), Calls()
    store = MemoryCode(source, calls)
    for _ in range(2):
        store.ensure(CodeRef(source.resolve("main"), "p", "d1"))
    assert calls.made == (Call("code.ensure", "d1"),)


def test_tables_dropped_by_hand_are_gone() -> None:
    tables = MemoryTables()
    tables.publish(TableState("memory://store/x/y", 0, 1, "", "", "", NOW))
    tables.drop_by_hand("memory://store/x/y")
    assert tables.describe("memory://store/x/y") is None
