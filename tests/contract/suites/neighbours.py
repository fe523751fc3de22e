"""What two environments on one Ray promise each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from framework.api.errors import TerminalError
from framework.ports import AppPhase, AppSpec, AppState, RunBackend, RunPhase, RunSpec, ServingBackend
from tests.contract.suites.runs import RunWorld
from tests.contract.suites.serving import ServingWorld


@dataclass(frozen=True)
class Neighbours:
    """Two environments whose resources have the same names; their routes differ. ``twin`` gives a backend of an
    environment of the first one's name in another project."""

    first: ServingWorld
    second: ServingWorld
    twin: Callable[[], ServingBackend]


def seen(world: ServingWorld) -> tuple[Mapping[str, AppState], Any]:
    """Everything that an environment sees of what serves."""
    state = world.state()
    return world.backend.apps(world.deployment), state and state.spec


class ServingNeighbourContract:
    """Subclass it and provide a fixture ``neighbours``."""

    def test_each_lives_its_life_beside_the_other(self, neighbours: Neighbours) -> None:
        first, second = neighbours.first, neighbours.second
        one = first.running("one")
        assert seen(second) == ({}, None), "an app of another environment is not there"
        first.backend.set_route(first.table({one.name: 100}, one.name, 3))
        settled(first)
        left_alone_by_a_twin(first, neighbours.twin())
        other = second.running("one")
        assert (one.name, other.name) == (f"{first.deployment}-one", f"{first.deployment}-one")
        refused_the_route(second, other, of=first)
        second.backend.set_route(second.table({other.name: 100}, other.name, 1))
        settled(second)
        before = seen(second)
        two = first.running("two")
        first.backend.set_route(first.table({one.name: 50, two.name: 50}, one.name, 4))
        first.backend.set_route(first.table({two.name: 100}, two.name, 5))
        first.backend.delete(one.name)
        first.gone(one)
        assert set(first.backend.apps(first.deployment)) == {two.name}
        assert seen(second) == before
        first.backend.delete_route(first.deployment)
        first.patience.until(first.state, lambda state: state is None)
        first.backend.delete(two.name)
        first.gone(two)
        assert seen(second) == before


def refused_the_route(world: ServingWorld, app: AppSpec, of: ServingWorld) -> None:
    """What another environment has, or what lies below it, is not taken away from its callers."""
    before = seen(of)
    for route in (of.route, f"{of.route}/below"):
        table = replace(world.table({app.name: 100}, app.name, 1), route=route)
        with pytest.raises(TerminalError, match=of.route) as caught:
            world.backend.set_route(table)
        assert caught.value.reason == "RouteTaken"
    assert world.state() is None
    assert seen(of) == before


def left_alone_by_a_twin(mine: ServingWorld, twin: ServingBackend) -> None:
    """``twin`` is that of an environment of the same name, which neither sees nor changes what is not its own."""
    before = seen(mine)
    (name,), table = before
    assert not twin.apps(mine.deployment)
    assert twin.route(mine.deployment, mine.traffic) is None
    for change in (
        lambda: twin.deploy(replace(mine.app(name.rpartition("-")[2]), max_queued_requests=7), None),
        lambda: twin.delete(name),
        lambda: twin.set_route(replace(table, generation=9)),
        lambda: twin.delete_route(mine.deployment),
    ):
        with pytest.raises(TerminalError, match="MLOPS_RAY_OWNER") as caught:
            change()
        assert caught.value.reason == "NotOurs"
        assert seen(mine) == before


def settled(world: ServingWorld) -> None:
    """Its router is up."""
    world.patience.until(world.state, lambda state: state is not None and state.phase is AppPhase.RUNNING)


@dataclass(frozen=True)
class RunNeighbours:
    """Two environments whose runs have the same names; the storage of each is its own."""

    first: RunWorld
    second: RunWorld
    twin: Callable[[], RunBackend]


class RunNeighbourContract:
    """Subclass it and provide a fixture ``neighbours``."""

    def test_runs_of_one_name_do_not_meet(self, neighbours: RunNeighbours) -> None:
        first, second = neighbours.first, neighbours.second
        mine, theirs = first.spec(first.sleep, "both"), second.spec(second.sleep, "both")
        assert mine.submission_id == theirs.submission_id
        first.submit(mine)
        assert mine.submission_id in first.backend.runs()
        assert theirs.submission_id not in second.backend.runs()
        second.submit(theirs)
        first.running(mine), second.running(theirs)
        first.backend.stop(first.storage, mine.name)
        assert first.ended(mine).reason == "Stopped"
        assert second.running(theirs).attempt == 1
        second.backend.stop(second.storage, theirs.name)
        second.ended(theirs)

    def test_a_run_of_an_equally_named_environment_of_another_project_is_left_alone(
        self, neighbours: RunNeighbours
    ) -> None:
        mine, twin = neighbours.first, neighbours.twin()
        run = mine.spec(mine.sleep, "twin")
        mine.submit(run)
        mine.running(run)
        elsewhere: RunSpec = replace(run, storage=f"{run.storage}/elsewhere")
        with pytest.raises(TerminalError, match="MLOPS_RAY_OWNER") as caught:
            twin.submit(elsewhere, None)
        assert caught.value.reason == "NotOurs"
        assert run.submission_id not in twin.runs()
        assert twin.observe(elsewhere.storage, run.name).phase is RunPhase.ABSENT
        twin.stop(elsewhere.storage, run.name)
        assert mine.running(run).attempt == 1
        mine.backend.stop(mine.storage, run.name)
        mine.ended(run)
