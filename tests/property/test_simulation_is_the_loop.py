"""What a simulation says will happen is what the controller then does: actions and events, in the same order."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from controllers.commands.simulation import PATIENCE, simulation
from controllers.host.wiring import dry_runs
from controllers.loop.manager import Manager
from controllers.loop.reconciler import Result
from controllers.revision.acceptance import Terms
from controllers.runtime.backoff import Backoff
from framework.api.errors import SpecError
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.ports import StateStore
from tests.fuzzing import seeds
from tests.world import DEPARTURES, DEPLOYMENT, OBSERVERS, TRAINING, World, environment

SECOND = timedelta(seconds=1)
RUN = 20.0
"""Seconds that every run takes, there and here."""
TEXTS: dict[str, tuple[str | None, ...]] = {
    "departures": (DEPARTURES, DEPARTURES.replace("flights.csv", "*.csv"), DEPARTURES + "  deletion: delete\n"),
    "classifier": (TRAINING, TRAINING.replace("rounds: 50", "rounds: 80"), TRAINING.replace("min: 0.6", "min: 0.9")),
    "delay": (
        DEPLOYMENT,
        DEPLOYMENT.replace("/delay", "/late"),
        DEPLOYMENT.replace("{setWeight: 50}, ", "{setWeight: 50}, {pause: {}}, "),
        None,
    ),
    "another": (None, TRAINING.replace("name: classifier", "name: another")),
    "third": (None, TRAINING.replace("name: classifier", "name: third") + "  resources: {cpusPerWorker: 2}\n"),
    "local": tuple(
        environment(spec)
        for spec in ("", "", "quotas: {runs: 1}", "quotas: {cpus: 2.5}", "suspend: true", "deletion: {prune: false}")
    ),
}
Told = tuple[list[tuple[Ref, str]], list[tuple[Ref | None, str]]]
"""Actions by key, and events by reason."""


class Controller:
    """The real one, a second at a time on the world's own clock."""

    def __init__(self) -> None:
        self.world = World()
        self.world.plane.seconds = lambda run: RUN
        self.world.auc = lambda identity: 0.95
        self.done: list[tuple[Ref, str]] = []

    def settle(self) -> Told:
        """Start afresh, as a simulation does, and work until nothing was done for as long as that one waits. With one
        that has worked before, which of its waits ends just when a commit comes would decide who is looked at first."""
        world = self.world
        world.restart(world.ports)
        world.source.terms = Terms(allow_prune=True)
        manager = Manager(
            world.reconciler, world.source, Backoff(lambda: 1.0), workers=0, poll=SECOND, resync=10 * SECOND,
            listen=self._heard, first=world.keeper.look, steady=lambda: world.now.timestamp(),
        )  # fmt: skip
        self.done, since, began, last = [], last_event(world.ports.state), world.now, world.now
        while world.now - last <= PATIENCE or not manager.environment_health().settled:
            assert world.now - began < timedelta(hours=2), "it does not come to rest"
            before = len(self.done)
            manager.step()
            assert world.source.loaded is not None
            assert world.source.loaded.commit == world.head
            last = world.now if len(self.done) > before else last
            world.advance(SECOND.total_seconds())
        return self.done, events(world.ports.state, since)

    def _heard(self, result: Result) -> None:
        self.done += [(result.ref, action.key) for action in (result.change.actions if result.change else ())]


def last_event(state: StateStore) -> int:
    found = state.events(limit=1)
    return found[0].sequence if found else 0


def events(state: StateStore, since: int) -> list[tuple[Ref | None, str]]:
    """Of resources: those about commits are the source's."""
    return [(event.ref, event.reason) for event in state.log(since, 10_000) if event.ref is not None]


def foreseen(world: World) -> Told:
    simulated = simulation(dry_runs(world.ports), KINDS, OBSERVERS, "local", world.now, lambda ref: RUN)
    sequence = simulated.go_to(world.read(world.head))
    actions = [(step.ref, action.key) for step in sequence.steps for action in step.actions]
    return actions, events(simulated.world.ports.state, 0)


def commit(world: World, draw: random.Random) -> None:
    """One that can be read, and asks for something else at two places at most."""
    while True:
        texts = {stem: draw.choice(TEXTS[stem]) for stem in draw.sample(sorted(TEXTS), draw.choice((1, 1, 2)))}
        there = {stem for stem in texts if f"mlops_specs/{stem}.yaml" in world.files}
        before = dict(world.files)
        world.commit(**{stem: text for stem, text in texts.items() if text is not None or stem in there})
        try:
            world.read(world.head)
        except SpecError:
            world.files = before
        else:
            return


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", seeds(8))
def test_the_controller_does_what_a_simulation_said(seed: int) -> None:
    draw, controller = random.Random(seed), Controller()
    for _ in range(4):
        expected = foreseen(controller.world)
        assert controller.settle() == expected, controller.world.files
        commit(controller.world, draw)
