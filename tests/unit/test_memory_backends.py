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
    memory_ports,
)
from framework.ports import (
    Alert,
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
