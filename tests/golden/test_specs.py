"""Specs in, plan and status out: the whole decision path against files that a person has read."""

from __future__ import annotations

from collections.abc import Callable

from framework.planning.reports.overview import report
from framework.render.plan import plan_text
from framework.render.plan_document import plan_json
from framework.render.status import status_text
from tests.controllers.test_plan import project
from tests.world import ENDPOINT, TRAINING, World

Golden = Callable[[str, str], None]
BETTER = TRAINING.replace("rounds: 50", "rounds: 80")


def status(world: World) -> str:
    state = world.ports.state
    return status_text(report("local", world.source.desired, state.records(), state.revisions(), world.now))


def test_a_first_commit(golden: Golden) -> None:
    world = World()
    golden("specs-first-plan.txt", plan_text(project(world).plan()))
    golden("specs-first-plan.json", plan_json(project(world).plan()))
    world.run()
    golden("specs-first-status.txt", status(world))


def test_another_training_spec(golden: Golden) -> None:
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    golden("specs-better-plan.txt", plan_text(project(world).plan()))
    world.pass_()
    golden("specs-better-status.txt", status(world))


def test_a_rejected_candidate(golden: Golden) -> None:
    world = World()
    world.run()
    stable = next(iter(world.weights()))
    world.error_rate = lambda app: 0.0 if app == stable else 0.3
    world.commit(classifier=BETTER)
    world.run()
    assert world.status(ENDPOINT).conditions.stalled.status
    golden("specs-rejected-plan.txt", plan_text(project(world).plan()))
    golden("specs-rejected-status.txt", status(world))
