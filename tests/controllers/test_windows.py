"""When a commit takes effect: windows, and what suspends an environment."""

from __future__ import annotations

from datetime import datetime, timedelta

from framework.planning.grammar.reasons import SUSPENDED
from tests.controllers.test_source import events, governed, in_force, refusal
from tests.world import (
    BETTER,
    DEPLOYMENT,
    ENDPOINT,
    JOB,
    PROJECT,
    TRAINING,
    World,
    environment,
)

NOON_TO_TWO = "windows: [{deny: '* 12-13 * * *'}]"
"""The world starts at noon."""


def test_a_commit_waits_for_the_window_and_then_takes_effect_by_itself() -> None:
    world = governed(NOON_TO_TWO)
    good = in_force(world)
    world.commit(classifier=BETTER)
    world.steps(3, 60)
    assert in_force(world) == good
    assert world.ports.state.revisions(1)[0].commit == good, "neither accepted nor refused"
    (told,) = [event for event in events(world) if event.reason == "WaitsForWindow"]
    assert "until 2026-03-01 14:00 UTC" in told.message
    assert told.commit == world.head
    assert "14:00" in world.source.note
    world.restart(world.ports)
    world.pass_()
    assert world.reasons().count("WaitsForWindow") == 1
    world.now = datetime.fromisoformat("2026-03-01T14:00:00+00:00")
    world.run()
    assert in_force(world) == world.head
    assert world.standing().converged
    assert world.source.note == ""


def test_the_first_commit_waits_for_its_own_window() -> None:
    world = World({**PROJECT, "mlops_specs/local.yaml": environment(NOON_TO_TWO)})
    world.pass_()
    assert world.source.loaded is None
    assert world.ports.state.records() == ()
    world.now += timedelta(hours=2)
    world.run()
    assert in_force(world) == world.head
    assert world.status(ENDPOINT).conditions.ready.status


def test_in_a_window_what_is_in_force_goes_on_and_is_repaired() -> None:
    world = governed()
    world.commit(local=environment(NOON_TO_TWO), classifier=BETTER)
    world.pass_()
    assert in_force(world) == world.head, "the window comes with this commit"
    world.commit(delay=DEPLOYMENT.replace("/delay", "/late"))
    world.run()
    assert world.state(ENDPOINT)["rollout"] is None
    assert world.status(ENDPOINT).conditions.ready.status
    world.ports.serving.remove_by_hand(next(iter(world.weights())))
    world.steps(6)
    assert len(world.ports.serving.apps("delay")) == 1


def test_a_commit_does_not_lift_the_window_that_it_waits_for() -> None:
    world = governed(NOON_TO_TWO)
    world.commit(local=environment(""), classifier=BETTER)
    world.pass_()
    assert in_force(world) != world.head


def test_a_bad_commit_is_refused_in_a_window_and_a_change_of_words_passes() -> None:
    world = governed(NOON_TO_TWO)
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    refusal(world)
    world.commit(classifier=f"# why\n{TRAINING}")
    world.pass_()
    assert in_force(world) == world.head, "it asks for nothing else"


def test_the_wish_to_suspend_counts_in_a_window_and_the_wish_to_go_on_does_not() -> None:
    world = governed(NOON_TO_TWO)
    world.commit(local=environment(f"{NOON_TO_TWO}, suspend: true"))
    world.pass_()
    assert world.source.rules.suspend
    world.now += timedelta(hours=2)
    world.pass_()
    assert in_force(world) == world.head
    world.now += timedelta(hours=22)
    world.commit(local=environment(NOON_TO_TWO))
    world.pass_()
    assert world.source.rules.suspend


def test_a_suspended_environment_looks_and_plans_and_goes_on_when_it_is_lifted() -> None:
    world = governed()
    world.commit(local=environment("suspend: true"), classifier=BETTER)
    world.ports.calls.clear()
    world.steps(3)
    assert not world.changed()
    assert world.status(JOB).conditions.reconciling.reason == SUSPENDED
    assert JOB in world.standing().held
    assert world.standing().settled
    assert not world.standing().converged
    world.commit(local=environment(""))
    world.run()
    assert world.standing().converged
