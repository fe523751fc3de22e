from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.revision.acceptance import Terms
from framework.api.errors import TransientError
from framework.backends.memory import MemoryPorts, memory_ports
from framework.backends.memory import faults as faults_module
from framework.backends.memory.faults import CHANGING, Crash, FaultInjector
from framework.ports import AppSpec, RouteSpec, RunSpec
from tests.builders import app_arguments
from tests.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APP = AppSpec("delay-one", "delay", app_arguments("delay-one"))
RUN = RunSpec("train-delay-1", 1, "a:b", {}, "memory://store", "")
ROUTE = RouteSpec("delay", "/delay", {"delay-one": 100}, "delay-one", 1)


def work(ports: MemoryPorts) -> None:
    """Three changes, with reads between them."""
    ports.runs.observe("memory://store", RUN.name)
    ports.runs.submit(RUN, None)
    ports.serving.deploy(APP, None)
    ports.serving.apps("delay")
    ports.serving.set_route(ROUTE)


VERBS = ["runs.submit", "serving.deploy", "serving.set_route"]


@pytest.fixture
def ports() -> MemoryPorts:
    return memory_ports(lambda: NOW)


def made(ports: MemoryPorts) -> list[str]:
    return [call.verb for call in ports.calls.made]


def test_without_faults_nothing_is_different(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    wrapped = injector.around(ports)
    work(wrapped)
    assert made(ports) == injector.changing == VERBS
    assert wrapped.storage == ports.storage
    assert wrapped.serving.apps("delay") == ports.serving.apps("delay")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_crash_leaves_exactly_a_prefix_of_the_calls(ports: MemoryPorts, call: int, after: bool) -> None:
    injector = FaultInjector()
    injector.crash_at(call, after=after)
    wrapped = injector.around(ports)
    with pytest.raises(Crash):
        work(wrapped)
    assert made(ports) == VERBS[: call if after else call - 1]
    assert injector.changing == VERBS[:call]
    with pytest.raises(Crash, match="dead"):
        wrapped.state.records()
    injector.revive()
    work(wrapped)
    assert made(ports)[-3:] == VERBS


def test_a_crash_beyond_the_last_call_never_comes(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.crash_at(4)
    work(injector.around(ports))
    assert made(ports) == VERBS


def test_counting_starts_when_the_crash_is_planned(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    wrapped = injector.around(ports)
    work(wrapped)
    injector.crash_at(2)
    with pytest.raises(Crash):
        work(wrapped)
    assert made(ports) == [*VERBS, "runs.submit"]


def test_a_crash_is_no_exception_that_a_handler_survives(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.crash_at(1)
    survived: list[Exception] = []

    def careless() -> None:
        try:
            work(injector.around(ports))
        except Exception as error:
            survived.append(error)

    with pytest.raises(Crash):
        careless()
    assert survived == []


def test_a_failure_before_the_work_has_not_done_it_and_happens_once(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.fail_at(2, TransientError("the head is gone"))
    wrapped = injector.around(ports)
    with pytest.raises(TransientError, match="the head is gone"):
        work(wrapped)
    assert made(ports) == VERBS[:1]
    work(wrapped)
    assert made(ports) == [*VERBS[:1], *VERBS]


def test_a_failure_after_the_work_has_done_the_work(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.fail_on("serving.deploy", TransientError("the answer was lost"), after=True)
    wrapped = injector.around(ports)
    with pytest.raises(TransientError, match="the answer was lost"):
        wrapped.serving.deploy(APP, None)
    assert "delay-one" in ports.serving.apps("delay")


@pytest.mark.parametrize("times", [1, 3, None])
def test_a_named_verb_fails_as_often_as_it_is_told(ports: MemoryPorts, times: int | None) -> None:
    injector = FaultInjector()
    injector.fail_on("serving.apps", TransientError("the head is gone"), times=times)
    wrapped = injector.around(ports)
    for _ in range(5 if times is None else times):
        with pytest.raises(TransientError):
            wrapped.serving.apps("delay")
        wrapped.runs.runs()
    if times is None:
        injector.revive()
    assert wrapped.serving.apps("delay") == {}


@pytest.mark.parametrize("verb", ["serving.app", "nothing.apps", "serving", "", "state."])
def test_a_verb_that_no_port_has_is_refused(verb: str) -> None:
    with pytest.raises(ValueError, match="no port has the verb"):
        FaultInjector().fail_on(verb, TransientError(""))


def test_the_methods_of_the_test_pass_through(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.crash_at(1)
    wrapped = injector.around(ports)
    wrapped.sources.files["data/flights.csv"] = "v1"
    wrapped.serving.tick()
    assert wrapped.serving.harm == []
    assert ports.sources.files == {"data/flights.csv": "v1"}
    assert injector.changing == []


def test_what_is_marked_as_changing_the_world_is_what_the_backends_count_as_such() -> None:
    world = World()
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    world.run()
    world.source.terms = Terms(allow_prune=True)
    world.commit(delay=None, classifier=None, departures=None)
    world.run()
    counted = {call.verb for call in world.ports.calls.made}
    assert {"runs.submit", "serving.deploy", "state.save", "state.save_revision", "registry.register"} <= counted
    assert faults.reached & CHANGING <= counted <= CHANGING
    assert {"state.load", "state.events", "state.acquire", "serving.apps", "runs.observe"} <= faults_module.VERBS.keys()
    assert not CHANGING & {"state.acquire", "state.renew", "state.release", "state.beat"}, "a leader always does these"


def test_one_port_may_be_wrapped_alone(ports: MemoryPorts) -> None:
    injector = FaultInjector()
    injector.fail_on("runs.submit", TransientError("no"))
    runs: Any = injector.wrap("runs", ports.runs)
    with pytest.raises(TransientError):
        runs.submit(RUN, None)
    ports.runs.submit(RUN, None)
    assert list(runs.runs()) == [RUN.submission_id]
