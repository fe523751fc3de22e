"""Status tells the world while Ray, the controller and the network come and go: Synced is what is, or was lately."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers.commands import situation
from controllers.commands.situation import situation as look
from controllers.host.heartbeat import Beats
from controllers.loop.manager import Manager
from controllers.runtime.looks import Ages, Looks
from framework.api.errors import SpecError, TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import VERBS, FaultInjector
from framework.planning.reports.health import Sync
from framework.planning.reports.oversight import MISSED_BEATS
from tests.controllers.test_passes import NoCluster, project
from tests.controllers.test_promises_status import lacking
from tests.fuzzing import seeds
from tests.world import DEPLOYMENT, TRAINING, World

RESYNC = timedelta(seconds=10)
BEAT = 5.0
RAY = tuple(verb for verb in VERBS if verb.startswith(("runs.", "serving.")))
GIT = tuple(verb for verb in VERBS if verb.startswith("source."))
COMMITS: tuple[dict[str, str], ...] = (
    *({"classifier": TRAINING.replace("rounds: 50", f"rounds: {rounds}")} for rounds in (50, 80, 81)),
    {"delay": DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 3}}")},
    {"delay": DEPLOYMENT.replace("/delay", "/late")},
    {"delay": DEPLOYMENT},
    {"classifier": TRAINING.replace("spine: departures", "spine: nowhere")},
)

HAPPENINGS = ("commit", "commit", "ray dies", "ray lives", "ray is empty", "killed", "starts", "git", "by hand")


class Ray(NoCluster):
    """As a probe from outside finds it."""

    dead = False

    def trouble(self) -> str:
        return "nothing listens" if self.dead else ""


@dataclass
class Island:
    """A world that hears of its controller by heartbeats alone. ``told``: that the process died is known at once,
    because it ran on this machine."""

    draw: random.Random
    told: bool
    world: World = field(default_factory=World)
    faults: FaultInjector = field(default_factory=FaultInjector)
    ray: Ray = field(default_factory=Ray)
    alive: bool = True
    git: bool = True
    since: dict[Ref, list[tuple[datetime, str]]] = field(default_factory=dict)
    """What the world lacked of each resource, at every moment that was looked at."""

    def __post_init__(self) -> None:
        made = project(self.world)
        settings = replace(made.settings, resync=RESYNC)
        self.project = replace(made, settings=settings, cluster=self.ray, clock=self.world.clock)
        self.start()

    def seconds(self) -> float:
        return self.world.now.timestamp()

    # ------------------------------------------------------------------- the controller

    def start(self) -> None:
        """A new process. It takes over what the one before it left in its heartbeat."""
        self.alive = True
        self.world.restart(self.faults.around(self.world.ports))
        left, now = self.world.ports.state.heartbeat(), self.world.now
        ages = None
        if left is not None:
            late = {Ref(*name.split("/", 1)): at and (now - at).total_seconds() for name, at in left.late.items()}
            ages = Ages(None if left.seen is None else (now - left.seen).total_seconds(), late)
        self.looks = Looks(self.seconds, RESYNC, ages)
        manager = cast(Manager, SimpleNamespace(looks=self.looks, failure=None, resync=RESYNC))
        self.beats = Beats(self.project, manager, self.world.source, lambda: self.world.token)

    def controller(self) -> None:
        """One round of a controller that lives, and its heartbeat."""
        world = self.world
        with suppress(TransientError, SpecError):
            world.keeper.look()
            world.source.poll()
            recorded = {record.ref for record in world.ports.state.records()}
            for ref in (*world.source.desired, *sorted(recorded - world.source.desired.keys())):
                result = world.reconciler.reconcile(ref, world.source.desired.get(ref))
                if result.change is not None or not result.retry:
                    self.looks.saw(ref)
        self.beats(False)

    # ------------------------------------------------------------------- what goes wrong

    def outages(self) -> None:
        """What does not answer now, as the controller meets it."""
        self.faults.revive()
        for verb in (*(RAY if self.ray.dead else ()), *(() if self.git else GIT)):
            self.faults.fail_on(verb, TransientError("no answer"), times=None)

    def something_happens(self) -> None:
        draw, world = self.draw, self.world
        match draw.choice(
            ("commit", "commit", "ray dies", "ray lives", "ray is empty", "killed", "starts", "git", "by hand")
        ):
            case "commit":
                world.commit(**draw.choice(COMMITS))
            case "ray dies":
                self.ray.dead = True
            case "ray lives":
                self.ray.dead = False
            case "ray is empty":  # it was started anew, and knows of nothing
                self.ray.dead = False
                for deployment in world.ports.serving.routes():
                    world.ports.serving.remove_route_by_hand(deployment)
                for app in tuple(world.ports.serving._apps):
                    world.ports.serving.remove_by_hand(app)
                for run in world.ports.runs.active():
                    world.ports.runs.lose(run.name)
            case "killed":
                self.alive = False
            case "starts" if not self.alive:
                self.start()
            case "git":
                self.git = not self.git
            case "by hand":
                for app in tuple(world.ports.serving._apps):
                    world.ports.serving.remove_by_hand(app)
        self.outages()
        self.notes()  # a new commit may ask for what is there

    def step(self) -> None:
        if self.alive:
            self.controller()
        self.notes()

    def passes(self, seconds: float) -> None:
        if self.ray.dead:
            self.world.now += timedelta(seconds=seconds)
        else:
            self.world.advance(seconds)
        self.notes()

    def notes(self) -> None:
        try:
            asked = self.world.read(self.world.head)
        except SpecError:
            if self.world.source.loaded is None:
                return
            asked = self.world.source.loaded
        for ref in asked.desired:
            self.since.setdefault(ref, []).append((self.world.now, lacking(self.world, ref, asked)))

    # ------------------------------------------------------------------- what status says

    def wrong(self) -> list[str]:
        """Each Synced that is not so, and was not within the bound that status goes by."""
        found, now = [], self.world.now
        told = look(self.project)
        bound = told.oversight.bound
        for row in told.report().rows:
            if row.sync is not Sync.SYNCED:
                continue
            lately = [lack for at, lack in self.since.get(row.ref, []) if now - at <= bound]
            if all(lately):
                found.append(f"{row.ref} is Synced, and lacks since {bound}: {lately[-1] if lately else 'everything'}")
            if row.ref.kind == "ModelDeployment" and self.ray.dead:
                found.append(f"{row.ref} is Synced on a dead Ray")
            if not self.alive and self.told:
                found.append(f"{row.ref} is Synced, and the controller is dead")
            if not self.alive and now - self.died > timedelta(seconds=MISSED_BEATS * BEAT):
                found.append(f"{row.ref} is Synced, and nothing was heard of the controller since {self.died}")
        return found

    @property
    def died(self) -> datetime:
        left = self.world.ports.state.heartbeat()
        return self.world.now if left is None else left.time

    def all_synced(self) -> bool:
        rows = look(self.project).report().rows
        return bool(rows) and all(row.sync is Sync.SYNCED for row in rows)

    def recovers(self) -> bool:
        """Everything is back, and the newest commit is one that can be."""
        self.ray.dead, self.git = False, True
        self.world.commit(classifier=TRAINING, delay=DEPLOYMENT)
        self.outages()
        self.start()
        for _ in range(300):
            self.step()
            if self.all_synced():
                return True
            self.passes(1.0)
        return False


def falsehoods(seed: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    draw = random.Random(seed)
    island = Island(draw, told=draw.random() < 0.5)
    monkeypatch.setattr(situation, "dead", lambda process: island.told and not island.alive)
    found: list[str] = []
    for _ in range(draw.randint(0, 40)):
        island.step()
        island.passes(1.0)
    for _ in range(draw.randint(3, 9)):
        island.something_happens()
        found += island.wrong()
        for _ in range(draw.choice((1, 1, 3, 8, 20))):
            island.step()
            island.passes(draw.choice((1.0, 1.0, 4.0, 15.0)))
            found += island.wrong()
    if not island.recovers():
        rows: Any = [(str(row.ref), row.sync, row.health.message) for row in look(island.project).report().rows]
        found.append(f"all is back, and not everything is Synced: {rows}")
    return list(dict.fromkeys(found))


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", seeds(8))
def test_what_is_synced_is_so_or_was_within_the_bound_that_is_told(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert falsehoods(seed, monkeypatch) == []
