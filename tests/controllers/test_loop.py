"""The loop, on the whole decision path with a world in memory. What it promises: test_promises."""

from __future__ import annotations

import pytest

from framework.api.errors import SpecError, TerminalError, TransientError
from framework.backends.memory.faults import FaultInjector
from framework.planning.grammar.changes import Verb
from framework.render.plan import plan_text
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, World, reconciled


def test_comments_order_and_formatting_plan_to_nothing() -> None:
    world = reconciled()
    spread = TRAINING.replace("{lightgbm: {rounds: 50}}", "\n    lightgbm:\n      rounds:   50")
    world.commit(classifier=f"# a comment\n{spread}")
    assert all(change.verb is Verb.NOOP and not change.diffs for change in world.plan().changes)


def test_a_better_model_goes_through_the_canary() -> None:
    world = reconciled()
    first = world.served()
    world.commit(classifier=BETTER)
    seen = set()
    for _ in range(60):
        world.pass_()
        seen.add(min(world.weights().values()))
        world.advance()
    world.run()
    assert world.served() != first
    assert {10, 50, 100} <= seen
    assert world.ports.serving.harm == []
    assert len(world.ports.serving.apps("delay")) == 1


def test_a_plan_says_with_numbers_that_the_version_on_record_fails_a_raised_gate() -> None:
    world = reconciled()
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.97"))
    told = plan_text(world.plan(), width=160)
    version = world.state(JOB)["version"]
    assert f"GateFailed: version {version} failed 1 of 1 gates: auc = 0.7000, bar >= 0.97" in told
    assert "evaluation.gates: " in told
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.65"))
    assert "GateFailed" not in plan_text(world.plan(), width=160)


def test_a_restart_onto_a_bad_commit_keeps_the_last_good_one_in_force() -> None:
    world = reconciled()
    good = world.head
    world.commit(delay=DEPLOYMENT.replace("training: classifier", "training: missing"))
    world.restart(world.ports)
    world.pass_()
    assert world.source.loaded is not None
    assert world.source.loaded.commit == good


def test_a_bad_first_commit_is_an_error_with_every_problem() -> None:
    wrong = DEPARTURES.replace("entities", "entitys")
    world = World({"mlops_specs/a.yaml": wrong, "mlops_specs/b.yaml": "kind: Nothing"})
    with pytest.raises(SpecError) as caught:
        world.pass_()
    assert {problem.file for problem in caught.value.problems} == {"mlops_specs/a.yaml", "mlops_specs/b.yaml"}
    assert world.ports.runs.active() == ()


def test_trouble_in_the_world_is_told_and_what_serves_is_left_alone() -> None:
    world = reconciled()
    faults = FaultInjector()
    faults.fail_on("serving.apps", TransientError("Ray is not running"), times=None)
    before = world.weights()
    world.restart(faults.around(world.ports))
    world.pass_()
    conditions = world.status(ENDPOINT).conditions
    assert conditions.reconciling.status
    assert "Ray is not running" in conditions.reconciling.message
    assert world.weights() == before
    faults.revive()
    world.run()
    assert world.standing().converged


def test_what_an_update_was_given_up_for_is_a_verdict_on_what_git_asks_now() -> None:
    world = reconciled()
    before, faults = world.weights(), FaultInjector()
    faults.fail_on("runs.submit", TerminalError("NotOurs", "another project has a run of that name"), times=None)
    world.restart(faults.around(world.ports))
    world.commit(classifier=BETTER)
    world.steps(10)
    assert world.standing().stalled == (JOB,)
    assert world.standing().settled, "nobody waits for what is given up"
    assert world.weights() == before
    faults.revive()
    world.run()
    assert world.standing().converged


def test_metadata_alone_runs_nothing() -> None:
    world = reconciled()
    world.ports.calls.clear()
    world.commit(classifier=TRAINING.replace("{name: classifier}", "{name: classifier, owner: somebody}"))
    world.run()
    assert world.standing().converged
    assert world.ports.calls.subjects("runs.submit") == ()
    assert world.ports.calls.subjects("serving.deploy") == ()
