"""The loop's promises, on the whole decision path with a world in memory."""

from __future__ import annotations

import pytest

from controllers.revision.acceptance import Terms
from framework.api.errors import ConflictError, SpecError, TerminalError, TransientError
from framework.backends.memory.faults import FaultInjector
from framework.planning.grammar.changes import Verb
from framework.render.plan import plan_text
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World

BETTER = TRAINING.replace("rounds: 50", "rounds: 80")


def reconciled() -> World:
    world = World()
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    return world


def served(world: World) -> str:
    version: str = world.state(ENDPOINT)["stable"]["version"]
    return version


def test_one_commit_becomes_features_a_model_and_an_endpoint() -> None:
    world = reconciled()
    assert list(world.weights().values()) == [100]
    assert world.ports.serving.harm == []
    reasons = [event.reason for event in world.ports.state.events()]
    assert reasons[0] == "RevisionAccepted"
    assert {"Published", "ModelReady"} <= set(reasons)


def test_a_second_pass_does_nothing_at_all() -> None:
    world = reconciled()
    world.ports.calls.clear()
    for _ in range(3):
        world.advance()
        world.pass_()
    assert not world.ports.calls.made
    assert all(change.verb is Verb.NOOP for change in world.plan().changes)


def test_comments_order_and_formatting_plan_to_nothing() -> None:
    world = reconciled()
    spread = TRAINING.replace("{lightgbm: {rounds: 50}}", "\n    lightgbm:\n      rounds:   50")
    world.commit(classifier=f"# a comment\n{spread}")
    assert all(change.verb is Verb.NOOP and not change.diffs for change in world.plan().changes)


def test_a_better_model_goes_through_the_canary() -> None:
    world = reconciled()
    first = served(world)
    world.commit(classifier=BETTER)
    seen = set()
    for _ in range(60):
        world.pass_()
        seen.add(min(world.weights().values()))
        world.advance()
    world.run()
    assert served(world) != first
    assert {10, 50, 100} <= seen
    assert world.ports.serving.harm == []
    assert len(world.ports.serving.apps("delay")) == 1


def test_a_failing_candidate_goes_back_by_itself_and_is_not_tried_again() -> None:
    world = reconciled()
    first = served(world)
    stable = next(iter(world.weights()))
    world.error_rate = lambda app: 0.0 if app == stable else 0.3
    world.commit(classifier=BETTER)
    world.run()
    assert served(world) == first
    assert world.weights() == {stable: 100}
    assert "CandidateRejected" in world.status(ENDPOINT).conditions.stalled.reason
    assert "error_rate" in world.message(ENDPOINT)
    world.ports.calls.clear()
    for _ in range(30):
        world.pass_()
        world.advance()
    assert not world.ports.calls.made
    world.error_rate = lambda app: 0.0
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 90"))
    world.run()
    assert world.standing().converged
    assert served(world) != first


def test_git_revert_goes_back_without_training() -> None:
    world = reconciled()
    first = served(world)
    world.commit(classifier=BETTER)
    world.run()
    world.ports.calls.clear()
    world.commit(classifier=TRAINING)
    began = world.now
    world.run()
    assert served(world) == first
    assert world.ports.calls.subjects("runs.submit") == ()
    assert (world.now - began).total_seconds() < 15


def test_a_failed_gate_leaves_the_endpoint_on_its_last_good_version() -> None:
    world = reconciled()
    first = served(world)
    world.auc = lambda identity: 0.55
    world.commit(classifier=BETTER)
    world.run()
    assert served(world) == first
    found = world.standing()
    assert found.stalled == (JOB,)
    assert found.blocked == (ENDPOINT,)
    assert "0.5500" in world.message(ENDPOINT)


def test_a_plan_says_with_numbers_that_the_version_on_record_fails_a_raised_gate() -> None:
    world = reconciled()
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.97"))
    told = plan_text(world.plan(), width=160)
    version = world.state(JOB)["version"]
    assert f"GateFailed: version {version} failed 1 of 1 gates: auc = 0.7000, bar >= 0.97" in told
    assert "evaluation.gates: " in told
    world.commit(classifier=TRAINING.replace("min: 0.6", "min: 0.65"))
    assert "GateFailed" not in plan_text(world.plan(), width=160)


def test_a_bad_commit_changes_nothing_and_a_newer_one_is_looked_at() -> None:
    world = reconciled()
    world.ports.calls.clear()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    newest = world.ports.state.revisions(1)[0]
    assert not newest.accepted
    assert "mlops_specs/classifier.yaml:" in newest.problems[0]
    assert "rounds" in newest.problems[0]
    assert world.source.loaded is not None
    assert world.source.loaded.commit != world.head
    assert [call.verb for call in world.ports.calls.made if call.verb.startswith(("runs", "serving"))] == []
    world.commit(classifier=BETTER)
    world.run()
    assert world.standing().converged


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


def test_what_was_changed_by_hand_is_repaired() -> None:
    world = reconciled()
    (app,) = world.weights()
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    world.run()
    assert world.weights() == {app: 100}
    world.ports.serving.remove_by_hand(app)
    for _ in range(8):
        world.pass_()
        world.advance()
    assert list(world.ports.serving.apps("delay")) == [app]
    world.ports.tables.drop_by_hand(world.state(VIEW)["published"]["uri"])
    world.run()
    assert world.standing().converged


def test_removal_goes_in_order_and_leaves_data_and_models() -> None:
    world = reconciled()
    world.source.terms = Terms(allow_prune=True)
    table = world.state(VIEW)["published"]["uri"]
    world.commit(delay=None, classifier=None)
    for _ in range(30):
        world.pass_()
        world.advance()
    assert [record.ref for record in world.ports.state.records()] == [VIEW]
    assert world.ports.serving.apps("delay") == {}
    assert world.weights() == {}
    assert world.ports.serving.harm == []
    assert world.ports.tables.describe(table) is not None
    assert world.ports.registry.versions("classifier")


def test_a_commit_that_removes_most_of_an_environment_is_refused() -> None:
    world = reconciled()
    world.commit(delay=None, classifier=None)
    world.pass_()
    assert "--allow-prune" in world.ports.state.revisions(1)[0].problems[0]
    assert world.weights()


def test_a_newer_commit_supersedes_a_rollout_under_way() -> None:
    world = reconciled()
    first = served(world)
    world.commit(classifier=BETTER)
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 99"))
    world.run()
    assert world.standing().converged
    assert served(world) != first
    assert world.ports.serving.harm == []
    assert len(world.ports.serving.apps("delay")) == 1


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
    for _ in range(10):
        world.pass_()
        world.advance()
    assert world.standing().stalled == (JOB,)
    assert world.standing().settled, "nobody waits for what is given up"
    assert world.weights() == before
    faults.revive()
    world.run()
    assert world.standing().converged


def test_a_leader_that_was_paused_cannot_write() -> None:
    world = reconciled()
    old_token = world.token
    world.restart(world.ports)
    assert world.token > old_token
    with pytest.raises(ConflictError):
        world.ports.state.save_revision(world.ports.state.revisions(1)[0], old_token)


def test_metadata_alone_runs_nothing() -> None:
    world = reconciled()
    world.ports.calls.clear()
    world.commit(classifier=TRAINING.replace("{name: classifier}", "{name: classifier, owner: somebody}"))
    world.run()
    assert world.standing().converged
    assert world.ports.calls.subjects("runs.submit") == ()
    assert world.ports.calls.subjects("serving.deploy") == ()
