"""The controller on a dry run: what would be done, in which order and when, if all went well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from controllers.kinds.observer import Observer
from controllers.loop.manager import Manager
from controllers.loop.reconciler import Reconciler, Result
from controllers.revision.acceptance import rules
from controllers.revision.snapshot import Snapshot
from controllers.runtime.backoff import Backoff
from framework.api.meta import Ref
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.remembered import status_of
from framework.planning.grammar.steps import Ending, SimulatedPass, SimulatedStep
from framework.planning.reports.convergence import environment_health
from framework.ports import Ports, RunSpec, StateStore

ASSUMED = timedelta(minutes=1)
"""What a run takes of which nothing like it ever ran."""
PATIENCE = timedelta(minutes=10)
"""So long must nothing be done until nothing more is expected: apps out of service are removed with a delay."""
LONGEST = timedelta(days=7)
QUIET_STEP, BUSY_STEP = timedelta(seconds=30), timedelta(seconds=2)


class Plane(Protocol):
    """What runs and calls in a dry run."""

    def advance(self, elapsed: timedelta) -> None: ...

    def next_end(self) -> datetime | None: ...


class Clock:
    """Time that passes when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class DryRun:
    """A world to try things in. ``ports`` read what is live; nothing that is done through them leaves the process."""

    ports: Ports
    plane: Plane
    clock: Clock


MakeDryRun = Callable[[datetime, Callable[[RunSpec], float]], DryRun]
"""Makes a world that stands where the live one does, at a time, in which a run takes so many seconds."""


def simulation(
    make: MakeDryRun,
    kinds: Mapping[str, Kind],
    observers: Mapping[str, Observer],
    environment: str,
    now: datetime,
    known: Callable[[Ref], float | None],
) -> Simulation:
    """A world that stands where the live one does. ``known`` gives the seconds that a resource's runs took so far."""
    assumed: set[Ref] = set()

    def seconds(run: RunSpec) -> float:
        ref = Ref.parse(run.metadata["resource"])
        found = known(ref)
        if found is None:
            assumed.add(ref)
            return ASSUMED.total_seconds()
        return found

    return Simulation(make(now, seconds), kinds, observers, environment, assumed)


class _Given:
    """In force is what it is given, whatever speaks against it."""

    problem: None = None
    unreachable = ""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.loaded: Snapshot | None = None
        self.rules = Rules()
        self._work: tuple[Ref, ...] | None = None

    @property
    def desired(self) -> Mapping[Ref, Desired[Any]]:
        return self.loaded.desired if self.loaded else {}

    def give(self, loaded: Snapshot) -> None:
        self.loaded, self.rules = loaded, rules(loaded, loaded.environment, None)
        vanished = sorted((ref for ref in self._state.refs() if ref not in loaded.desired), reverse=True)
        self._work = (*loaded.desired, *vanished)

    def poll(self) -> tuple[Ref, ...] | None:
        work, self._work = self._work, None
        return work


@dataclass
class Simulation:
    """One dry run, through as many commits as wanted. ``assumed``: whose runs' durations nothing tells."""

    world: DryRun
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observer]
    environment: str
    assumed: set[Ref] = field(default_factory=set)

    def __post_init__(self) -> None:
        ports, clock = self.world.ports, self.world.clock
        lease = ports.state.acquire("simulation", LONGEST.total_seconds() * 10, clock())
        assert lease is not None  # a store of our own
        self._source = _Given(ports.state)
        reconciler = Reconciler(
            ports, self.kinds, self.observers, clock, lambda: lease.token, "simulation", lambda: self._source.rules
        )
        # Nobody changes anything by hand here, so nothing is looked at but what is due.
        self._manager = Manager(
            reconciler, self._source, Backoff(lambda: 1.0), workers=0, poll=timedelta(0), resync=None,
            listen=self._heard, steady=lambda: clock().timestamp(),
        )  # fmt: skip
        self._heard_of: list[tuple[datetime, Result]] = []

    def go_to(self, loaded: Snapshot) -> SimulatedPass:
        """Let the controller work until nothing moves any more, or for a week of its time."""
        clock, pace = self.world.clock, BUSY_STEP
        began = last = clock()
        self._source.give(loaded)
        steps: list[SimulatedStep] = []
        while clock() - began < LONGEST:
            soonest = self._manager.step()
            heard, self._heard_of = self._heard_of, []
            found = [(when, result) for when, result in heard if result.change is not None and result.change.actions]
            steps += _steps(found, began, loaded)
            last = clock() if found else last
            settled = self._manager.environment_health().settled
            if settled and (clock() - last > PATIENCE or soonest is None):
                break
            moved = found or any(result.wrote for _, result in heard)
            pace = BUSY_STEP if moved else min(pace * 2, QUIET_STEP if settled else BUSY_STEP)
            self._wait(pace, soonest)
        else:
            settled = False
        seconds = steps[-1].at if steps else 0.0
        assumed = tuple(sorted(self.assumed & {step.ref for step in steps}))
        return SimulatedPass(
            self.environment, loaded.commit, tuple(steps), seconds, settled, self._endings(loaded.desired), assumed
        )

    def _heard(self, result: Result) -> None:
        self._heard_of.append((self.world.clock(), result))

    def _wait(self, pace: timedelta, soonest: timedelta | None) -> None:
        """Until something is due, at least ``pace`` unless a run ends before."""
        clock, plane = self.world.clock, self.world.plane
        begun, end = clock(), plane.next_end()
        then = begun + max(soonest or pace, pace)
        clock.now = then if end is None else max(begun, min(then, end))
        plane.advance(clock() - begun)

    def _endings(self, desired: Mapping[Ref, Desired[Any]]) -> tuple[Ending, ...]:
        records = self.world.ports.state.records()
        found = environment_health(desired, records)
        statuses = {record.ref: status_of(record) for record in records}
        return tuple(
            Ending(ref, motion.value, statuses[ref].summary, statuses[ref].conditions.ready.message)
            for motion, refs in found.items()
            for ref in refs
            if ref in statuses
        )


def _steps(done: Iterable[tuple[datetime, Result]], began: datetime, loaded: Snapshot) -> Iterator[SimulatedStep]:
    stages = _stages(loaded.desired)
    last = max(stages.values(), default=0) + 1
    for when, result in done:
        change = result.change
        assert change is not None
        at = (when - began).total_seconds()
        yield SimulatedStep(at, stages.get(result.ref, last), result.ref, change.reason, change.actions)


def _stages(desired: Mapping[Ref, Desired[Any]]) -> dict[Ref, int]:
    """``desired`` is in dependency order, so every upstream's stage is known before it is asked for."""
    stages: dict[Ref, int] = {}
    for ref, asked in desired.items():
        stages[ref] = 1 + max((stages[item] for item in asked.upstream if item in stages), default=0)
    return stages
