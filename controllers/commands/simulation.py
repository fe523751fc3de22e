"""The real loop on a world that is imagined: what would be done, in which order and when, if all went well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from controllers.kinds.observer import Observer
from controllers.loop.reconciler import Reconciler, Result
from controllers.revision.acceptance import rules
from controllers.revision.source import Loaded
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.remembered import status_of
from framework.planning.grammar.steps import Ending, Sequence, Step
from framework.planning.reports.settled import standing
from framework.ports import Ports, RunSpec

ASSUMED = timedelta(minutes=1)
"""What a run takes of which nothing like it ever ran."""
PATIENCE = timedelta(minutes=10)
"""So long must nothing be done until nothing more is expected: apps out of service are removed with a delay."""
LONGEST = timedelta(days=7)
QUIET_STEP, BUSY_STEP = timedelta(seconds=30), timedelta(seconds=2)
RETRY = timedelta(seconds=1)


class Plane(Protocol):
    """What runs and calls in the imagined world."""

    def advance(self, elapsed: timedelta) -> None: ...

    def next_end(self) -> datetime | None: ...


class Clock:
    """Time that passes when told."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class Imagined:
    """A world to try things in. ``ports`` read what is live; nothing that is done through them leaves the process."""

    ports: Ports
    plane: Plane
    clock: Clock


Imagine = Callable[[datetime, Callable[[RunSpec], float]], Imagined]
"""Makes a world that stands where the live one does, at a time, in which a run takes so many seconds."""


def simulation(
    imagine: Imagine,
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

    return Simulation(imagine(now, seconds), kinds, observers, environment, assumed)


@dataclass
class Simulation:
    """One imagined world, through as many commits as wanted. ``assumed``: whose runs' durations nothing tells."""

    world: Imagined
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observer]
    environment: str
    assumed: set[Ref] = field(default_factory=set)

    def __post_init__(self) -> None:
        lease = self.world.ports.state.acquire("simulation", LONGEST.total_seconds() * 10, self.world.clock())
        assert lease is not None  # a store of our own
        self._reconciler = Reconciler(
            self.world.ports, self.kinds, self.observers, self.world.clock, lambda: lease.token, "simulation"
        )

    def go_to(self, loaded: Loaded) -> Sequence:
        """Reconcile until nothing moves any more, or for a week of imagined time."""
        allowed = rules(loaded, loaded.environment, None)
        reconciler = replace(self._reconciler, rules=lambda: allowed)
        return _Passage(self.world, reconciler, loaded, self.environment, self.assumed).run()


@dataclass
class _Passage:
    world: Imagined
    reconciler: Reconciler
    loaded: Loaded
    environment: str
    assumed: set[Ref]
    due: dict[Ref, datetime] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    hungry: set[Ref] = field(default_factory=set)
    """Held back by a quota."""

    def run(self) -> Sequence:
        clock = self.world.clock
        began = last = clock()
        desired = self.loaded.desired
        vanished = sorted((ref for ref in self._recorded() if ref not in desired), reverse=True)
        stages = _stages(desired)
        self.due = dict.fromkeys((*desired, *vanished), began)
        pace = BUSY_STEP
        while clock() - began < LONGEST:
            before = len(self.steps)
            news = self._look(began, stages)
            last = clock() if len(self.steps) > before else last
            settled = standing(desired, self.world.ports.state.records()).settled
            if settled and (clock() - last > PATIENCE or not self.due):
                break
            pace = BUSY_STEP if news else min(pace * 2, QUIET_STEP if settled else BUSY_STEP)
            self._wait(pace)
        else:
            settled = False
        seconds = self.steps[-1].at if self.steps else 0.0
        return Sequence(
            self.environment, self.loaded.commit, tuple(self.steps), seconds, settled, self._endings(), self._assumed()
        )

    def _look(self, began: datetime, stages: Mapping[Ref, int]) -> bool:
        """One look at everything that is due. Whether anything was done or came to light."""
        clock, news = self.world.clock, False
        for ref in [ref for ref, when in self.due.items() if when <= clock()]:
            result = self.reconciler.reconcile(ref, self.loaded.desired.get(ref))
            news |= self._note(result, (clock() - began).total_seconds(), stages)
        return news

    def _note(self, result: Result, at: float, stages: Mapping[Ref, int]) -> bool:
        now, ref, change = self.world.clock(), result.ref, result.change
        del self.due[ref]
        if result.retry:
            self.due[ref] = now + RETRY
        elif result.requeue_after is not None:
            self.due[ref] = now + result.requeue_after
        if result.news:
            self.due |= dict.fromkeys(self.loaded.downstream.get(ref, ()), now)
        (self.hungry.add if result.hungry else self.hungry.discard)(ref)
        if result.freed:
            self.due |= dict.fromkeys(self.hungry, now)
        if change is None or not change.actions:
            return result.news
        stage = stages.get(ref, max(stages.values(), default=0) + 1)
        self.steps.append(Step(at, stage, ref, change.reason, change.actions))
        return True

    def _wait(self, pace: timedelta) -> None:
        """Until something is due, at least ``pace`` unless a run ends before."""
        clock, plane = self.world.clock, self.world.plane
        begun, end = clock(), plane.next_end()
        soonest = max(min(self.due.values(), default=begun + pace), begun + pace)
        clock.now = max(begun, min(soonest, end)) if end is not None else soonest
        plane.advance(clock() - begun)

    def _recorded(self) -> tuple[Ref, ...]:
        return tuple(record.ref for record in self.world.ports.state.records())

    def _assumed(self) -> tuple[Ref, ...]:
        ran = {step.ref for step in self.steps}
        return tuple(sorted(self.assumed & ran))

    def _endings(self) -> tuple[Ending, ...]:
        records = self.world.ports.state.records()
        found = standing(self.loaded.desired, records)
        statuses = {record.ref: status_of(record) for record in records}
        return tuple(
            Ending(ref, motion.value, statuses[ref].summary, statuses[ref].conditions.ready.message)
            for motion, refs in found.items()
            for ref in refs
            if ref in statuses
        )


def _stages(desired: Mapping[Ref, Desired[Any]]) -> dict[Ref, int]:
    """``desired`` is in dependency order, so every upstream's stage is known before it is asked for."""
    stages: dict[Ref, int] = {}
    for ref, asked in desired.items():
        stages[ref] = 1 + max((stages[item] for item in asked.upstream if item in stages), default=0)
    return stages
