"""Controllers that are killed, that go on, and that wake up too late."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import pytest

from controllers.loop.executor import execute
from framework.api.errors import ConflictError, TransientError
from framework.backends.memory.faults import Crash, FaultInjector
from framework.planning.grammar.actions import Action
from framework.ports import Ports
from tests.world import World


def faulty(world: World) -> FaultInjector:
    """From now on the controller's ports fail when they are told to."""
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    return faults


def survive(world: World, faults: FaultInjector) -> None:
    """To the end, with a new process whenever one is killed."""
    for _ in range(400):
        try:
            world.pass_()
        except Crash:
            faults.revive()
            world.restart(faults.around(world.ports))
            continue
        except TransientError:
            pass
        if world.standing().settled and not world.draining():
            return
        world.advance()
    raise AssertionError(f"not settled: {world.standing()}")


def killed(world: World, verb: str, *, after: bool) -> FaultInjector:
    """Look until the controller is killed at ``verb``; nobody leads then."""
    faults = faulty(world)
    faults.fail_on(verb, Crash(f"killed at {verb}"), after=after)
    for _ in range(100):
        try:
            world.pass_()
        except Crash:
            faults.revive()
            world.restart(faults.around(world.ports))
            return faults
        world.advance()
    raise AssertionError(f"{verb} was never called")


def intentions(monkeypatch: pytest.MonkeyPatch) -> list[Action]:
    """All that leaders do from now on, as they do it."""
    meant: list[Action] = []

    def noted(action: Action, ports: Ports, token: int) -> None:
        meant.append(action)
        execute(action, ports, token)

    monkeypatch.setattr("controllers.loop.reconciler.execute", noted)
    return meant


def do_late(actions: Iterable[Action], ports: Ports, token: int) -> None:
    """As a leader does that was paused after its last look at the lease, and has lost it meanwhile."""
    for action in actions:
        with suppress(ConflictError):
            execute(action, ports, token)
