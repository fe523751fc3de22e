"""Which commit is in force and what is told of it, whenever the controller is killed or a port fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, SpecError, TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import Crash, FaultInjector
from framework.ports import Pin
from tests.controllers.test_windows import NOON_TO_TWO
from tests.world import ANOTHER, BETTER, DEPARTURES, DEPLOYMENT, PROJECT, TRAINING, World, environment

READ: dict[str, Snapshot] = {}
OUTAGE = {"SourceUnavailable", "SourceAvailable"}


class Life:
    """An environment that is only looked at. ``work`` is what was given out to be looked at."""

    def __init__(self, arm: Callable[[FaultInjector], None]) -> None:
        self.world = World({**PROJECT, "mlops_specs/local.yaml": environment("")})
        self.faults = FaultInjector()
        self.down = False
        self.work: set[Ref] = set()
        self.world.read = self._read  # type: ignore[method-assign]
        self._restart()
        arm(self.faults)

    def _restart(self) -> None:
        ports = self.faults.around(self.world.ports)
        source = ports.source
        read = source.refresh

        def refresh() -> None:
            if self.down:
                raise TransientError("no answer")
            read()

        self.world.restart(replace(ports, source=_Refreshing(source, refresh)))  # type: ignore[arg-type]

    def _read(self, commit: str) -> Snapshot:
        """Equal commits have equal names in every life, so each is read once."""
        if commit not in READ:
            READ[commit] = World.read(self.world, commit)
        return READ[commit]

    def poll(self) -> None:
        """Until a look was not disturbed, and one more."""
        for _ in range(2):
            while not self._look():
                pass

    def _look(self) -> bool:
        try:
            self.work |= set(self.world.source.poll() or ())
        except Crash:
            self.faults.revive()
            self._restart()
            return False
        except TransientError:
            return self.down and not self.faults.pending
        except (SpecError, ConfigurationError):
            return True
        return True

    def pin(self, commit: str, message: str = "") -> None:
        world = self.world
        world.now += timedelta(seconds=1)
        world.ports.state.set_pin(Pin(commit=commit, over=world.head, actor="ann", time=world.now, message=message))

    def told(self) -> list[tuple[str, str]]:
        return [
            (event.reason, event.commit)
            for event in self.world.ports.state.events(limit=1_000)
            if event.ref is None and event.reason not in OUTAGE
        ]


def _commits(life: Life) -> Iterator[None]:
    yield
    life.world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    yield
    life.world.commit(classifier=BETTER)
    yield
    life.world.commit(classifier=f"# a comment\n{BETTER}")
    yield
    life.world.commit(departures=None)
    yield
    life.world.commit(departures=DEPARTURES, classifier=BETTER, delay=DEPLOYMENT)
    yield


def _windows(life: Life) -> Iterator[None]:
    yield
    life.world.commit(local=environment(NOON_TO_TWO))
    yield
    life.world.commit(classifier=BETTER)
    yield
    life.world.commit(classifier=ANOTHER)
    yield
    life.world.now += timedelta(hours=3)
    yield


def _pins(life: Life) -> Iterator[None]:
    yield
    first = life.world.head
    life.world.commit(classifier=BETTER)
    yield
    life.pin(first)
    yield
    life.world.ports.state.set_pin(None)
    yield
    life.pin(first, "again")
    yield
    life.world.commit(classifier=ANOTHER)
    yield
    life.pin("f" * 40)
    yield
    life.world.commit(classifier=BETTER)
    yield
    life.pin(first, "a third time")
    yield
    life.world.ports.source.point("main", first)
    yield


STORIES = {"commits": _commits, "windows": _windows, "pins": _pins}


class _Refreshing:
    def __init__(self, source: object, refresh: Callable[[], None]) -> None:
        self._source, self.refresh = source, refresh

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)


def play(story: str, arm: Callable[[FaultInjector], None]) -> Life:
    life = Life(arm)
    for _ in STORIES[story](life):
        life.poll()
    return life


@pytest.fixture(scope="module", params=STORIES)
def calm(request: pytest.FixtureRequest) -> tuple[str, Life]:
    return request.param, play(request.param, lambda faults: None)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Crash("killed"), TransientError("the database is locked")])
def test_a_fault_at_any_call_loses_nothing_and_tells_nothing_twice(
    calm: tuple[str, Life], error: BaseException, after: bool
) -> None:
    story, expected = calm
    for call in range(1, expected.faults.calls + 1):
        found = play(story, lambda faults: faults.fail_at_any(call, error, after=after))  # noqa: B023
        assert found.told() == expected.told(), call
        assert found.world.source.loaded is not None
        assert expected.world.source.loaded is not None
        assert found.world.source.loaded.commit == expected.world.source.loaded.commit, call
        assert found.world.source.rules == expected.world.source.rules, call
        assert found.work >= expected.work, call
        assert found.world.ports.state.pin() == expected.world.ports.state.pin(), call
        assert [(item.commit, item.accepted) for item in found.world.ports.state.revisions()] == [
            (item.commit, item.accepted) for item in expected.world.ports.state.revisions()
        ], call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [Crash("killed"), TransientError("the database is locked")])
@pytest.mark.parametrize("verb", ["state.append_events", "state.events", "state.revisions", "state.pin"])
def test_an_outage_is_told_once_and_so_is_its_end(verb: str, error: BaseException, after: bool) -> None:
    for step in range(4):
        life = Life(lambda faults: None)
        life.poll()
        for number, down in enumerate((True, True, False, False)):
            if number == step:
                life.faults.fail_on(verb, error, after=after)
            life.down = down
            life.poll()
        told = [event.reason for event in life.world.ports.state.events(limit=100) if event.reason in OUTAGE]
        assert told == ["SourceUnavailable", "SourceAvailable"], step
