from __future__ import annotations

from dataclasses import dataclass

import pytest

from framework.backends.memory import MemoryServing
from framework.ports import AppPhase, AppSpec, AppState, RouteState
from tests.builders import app_arguments
from tests.contract.suites.polling import Patience
from tests.contract.suites.serving import ServingContract, ServingWorld

COMPLAINT = "the artefact is not what was registered"


def memory_world(backend: MemoryServing, world: type[ServingWorld] = ServingWorld) -> ServingWorld:
    def app(name: str) -> AppSpec:
        return AppSpec(f"delay-{name}", "delay", app_arguments(f"delay-{name}", name))

    def broken(name: str) -> AppSpec:
        backend.break_on_start(f"delay-{name}", COMPLAINT)
        return app(name)

    def send(requests: int) -> int:
        backend.send("delay", requests)
        return len(backend.harm)

    return world(
        backend, "delay", "/delay", "memory://store/traffic/delay", Patience(1.0, 0.001), app, broken, send, COMPLAINT
    )


class TestMemoryServing(ServingContract):
    @pytest.fixture
    def world(self) -> ServingWorld:
        return memory_world(MemoryServing(routers=2))


@dataclass(frozen=True)
class Ticking(ServingWorld):
    """Time passes while one waits, and only then."""

    def in_phase(self, app: AppSpec, phase: AppPhase) -> AppState:
        self._tick()
        return super().in_phase(app, phase)

    def acknowledged(self, generation: int) -> RouteState:
        self._tick()
        return super().acknowledged(generation)

    def _tick(self) -> None:
        assert isinstance(self.backend, MemoryServing)
        self.backend.tick()


class TestMemoryServingByTick(ServingContract):
    @pytest.fixture
    def world(self) -> ServingWorld:
        return memory_world(MemoryServing(observations=None), Ticking)
