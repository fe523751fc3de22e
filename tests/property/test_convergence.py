"""Planning is deterministic and idempotent, and a controller killed anywhere ends where an unharmed one does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.backends.memory.faults import FaultInjector
from framework.planning.grammar.changes import Verb
from framework.render.plan_document import plan_json
from tests.crashing import survive
from tests.fuzzing import seeds
from tests.interruptions import violations
from tests.schedules import differences, schedule
from tests.world import DEPLOYMENT, ENDPOINT, TRAINING, World

EDITS: dict[str, dict[str, str]] = {
    "better": {"classifier": TRAINING.replace("rounds: 50", "rounds: 80")},
    "another": {"classifier": TRAINING.replace("rounds: 50", "rounds: 99")},
    "first": {"classifier": TRAINING, "delay": DEPLOYMENT},
    "replicas": {"delay": DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 3}}")},
    "route": {"delay": DEPLOYMENT.replace("/delay", "/late")},
    "wrong": {"classifier": TRAINING.replace("spine: departures", "spine: nowhere")},
}
"""Commits that people make, in any order."""


def is_wrong(world: World) -> bool:
    return "nowhere" in world.files["mlops_specs/classifier.yaml"]


def outcome(world: World) -> dict[str, Any]:
    """What is in service, without when and how it got there."""
    state = world.state(ENDPOINT)
    return {
        "weights": world.weights(),
        "apps": sorted(world.ports.serving.apps("delay")),
        "stable": state["stable"]["version"],
        "statuses": {
            str(record.ref): (record.status["digest"], record.status["conditions"]["ready"]["status"], record.inventory)
            for record in world.ports.state.records()
        },
        "versions": sorted(item.version for item in world.ports.registry.versions("classifier")),
    }


@settings(max_examples=40, deadline=None)
@given(
    edits=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=3),
    crashes=st.lists(st.tuples(st.integers(1, 25), st.booleans()), min_size=1, max_size=3),
)
def test_a_crash_after_any_prefix_ends_in_the_same_state(edits: list[str], crashes: list[tuple[int, bool]]) -> None:
    calm, shaken, faults = World(), World(), FaultInjector()
    shaken.restart(faults.around(shaken.ports))
    for edit in ["first", *edits]:
        calm.commit(**EDITS[edit])
        survive(calm, FaultInjector())
        shaken.commit(**EDITS[edit])
        for call, after in crashes:
            faults.crash_at(call, after=after)
        survive(shaken, faults)
        faults.revive()
    survive(shaken, faults)
    assert outcome(shaken) == outcome(calm)
    assert shaken.ports.serving.harm == []
    assert len(set(shaken.ports.runs.runs())) == len(shaken.ports.runs.runs())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 41))
def test_a_crash_at_each_changing_call_of_a_first_deployment_and_a_rollout(call: int, after: bool) -> None:
    world, faults = World(), FaultInjector()
    world.restart(faults.around(world.ports))
    faults.crash_at(call, after=after)
    survive(world, faults)
    world.commit(**EDITS["better"])
    faults.crash_at(call, after=after)
    survive(world, faults)
    assert world.standing().converged
    assert world.ports.serving.harm == []
    assert list(world.weights().values()) == [100]
    assert len(world.ports.serving.apps("delay")) == 1
    assert len(world.ports.registry.versions("classifier")) == 2


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", seeds(60))
def test_whatever_fails_the_world_the_log_and_the_quotas_are_as_on_a_calm_day(seed: int) -> None:
    """Kills before and after any changing call, and errors of any port at any call, before and after it has done its
    work."""
    assert differences(schedule(seed)) == []


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", seeds(20))
def test_whenever_commits_come_and_whatever_fails_the_world_and_the_log_agree(seed: int) -> None:
    assert violations(seed) == []


@settings(max_examples=25, deadline=None)
@given(edits=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4))
def test_planning_is_deterministic_idempotent_and_converges(edits: list[str]) -> None:
    world = World()
    for edit in ["first", *edits]:
        world.commit(**EDITS[edit])
        world.pass_()
        if not is_wrong(world):
            assert plan_json(world.plan()) == plan_json(world.plan())
        world.run()
    if not is_wrong(world):
        assert world.standing().converged
        assert all(change.verb is Verb.NOOP for change in world.plan().changes)
    assert all(0 <= weight <= 100 for weight in world.weights().values())
    assert sum(world.weights().values()) == 100
