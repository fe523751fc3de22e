"""The promises about reconciling, each by its number in docs/promises.md, on the real loop with a world in memory."""

from __future__ import annotations

import pytest

from controllers.revision.acceptance import Terms, withheld
from framework.api import layout
from framework.api.errors import SpecError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Verb
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import report, rows
from framework.planning.reports.why import why
from framework.ports import FailureKind, Pin
from framework.render.status import status_text
from framework.render.why import why_text
from tests.world import (
    ANOTHER,
    BETTER,
    DEPARTURES,
    DEPLOYMENT,
    ENDPOINT,
    JOB,
    PROJECT,
    TRAINING,
    VIEW,
    World,
    environment,
    reconciled,
)

DELETED = TRAINING + "  deletion: delete\n"
SLOW = {
    "slow-view": DEPARTURES.replace("name: departures", "name: slow-view"),
    "slow": TRAINING.replace("name: classifier", "name: slow").replace("spine: departures", "spine: slow-view"),
    "late": DEPLOYMENT.replace("name: delay", "name: late").replace("/delay", "/late").replace("classifier", "slow"),
}


def syncs(world: World) -> dict[Ref, Sync]:
    """As ``mlopsctl status`` says: the newest commit that can be read against what is recorded."""
    try:
        newest = world.read(world.head)
    except SpecError:
        assert world.source.loaded is not None
        newest = world.source.loaded
    state = world.ports.state
    held = withheld(newest, world.source.loaded, state.pin(), world.now)
    found = report("local", newest.desired, state.records(), state.revisions(), world.now, held)
    return {row.ref: row.sync for row in found.rows}


def test_02_a_second_pass_over_a_converged_system_does_nothing_and_says_so() -> None:
    world = reconciled()
    assert list(world.weights().values()) == [100]
    assert world.ports.serving.harm == []
    world.ports.calls.clear()
    world.steps(3)
    assert world.ports.calls.made == ()
    assert all(change.verb is Verb.NOOP and not change.actions for change in world.plan().changes)


# ------------------------------------------------------------------- 3


def test_03_work_that_never_ends_holds_up_nothing_else() -> None:
    world = World({**PROJECT, **{f"mlops_specs/{stem}.yaml": text for stem, text in SLOW.items()}})
    hang = {"train-slow"}
    original = world.ports.runs.succeed
    world.ports.runs.succeed = lambda run, result=None: (  # type: ignore[method-assign]
        None if any(run.startswith(name) for name in hang) else original(run, result)
    )
    world.steps(60)
    assert ENDPOINT in world.standing().ready
    assert Ref("TrainingJob", "slow") in world.standing().moving
    hang.clear()
    world.steps(30)
    assert Ref("TrainingJob", "slow") in world.standing().ready


# ------------------------------------------------------------------- 4


def test_04_a_failed_upstream_leaves_downstream_on_its_last_good_version_and_says_why() -> None:
    world = reconciled()
    first = world.served()
    world.auc = lambda identity: 0.55
    world.commit(classifier=BETTER)
    world.run()
    assert world.served() == first
    assert world.status(ENDPOINT).conditions.ready.status
    reason = why(ENDPOINT, rows(world.source.desired, world.ports.state.records(), world.now))
    assert [cause.ref for cause in reason.causes] == [JOB]
    assert reason.causes[0].health.reason == "GateFailed"
    assert "0.5500" in world.message(ENDPOINT)
    assert (world.standing().stalled, world.standing().blocked) == ((JOB,), (ENDPOINT,))
    text = why_text(reason)
    assert "ModelDeployment/delay is Blocked" in text
    assert "TrainingJob/classifier is Stalled" in text
    assert "0.5500" in text


def test_04_nothing_starts_before_what_it_is_made_from() -> None:
    world = World()
    started: list[str] = []
    for _ in range(40):
        world.pass_()
        world.advance()
        started += [
            str(call.subject) for call in world.ports.calls.made if call.verb in ("runs.submit", "serving.deploy")
        ]
        world.ports.calls.clear()
    kinds = [name.partition("-")[0] for name in started]
    assert kinds == ["features", "train", "delay"]


# ------------------------------------------------------------------- 5


def test_05_what_left_git_goes_in_reverse_order_and_data_models_and_history_stay() -> None:
    world = reconciled()
    world.source.terms = Terms(allow_prune=True)
    table = world.state(VIEW)["published"]["uri"]
    world.commit(delay=None, classifier=None)
    world.steps(30)
    deleted = [str(event.ref) for event in world.ports.state.events(limit=1000) if event.reason == "Deleted"]
    assert deleted == [str(ENDPOINT), str(JOB)]
    assert [record.ref for record in world.ports.state.records()] == [VIEW]
    assert (world.weights(), world.ports.serving.apps("delay")) == ({}, {})
    assert world.ports.serving.harm == []
    assert world.ports.tables.describe(table) is not None
    assert world.ports.registry.versions("classifier")
    assert "Promoted" in world.reasons()


def test_05_a_commit_that_removes_too_much_is_refused_until_it_is_allowed() -> None:
    world = reconciled()
    world.commit(delay=None, classifier=None)
    world.pass_()
    assert "--allow-prune" in world.ports.state.revisions(1)[0].problems[0]
    assert world.weights()
    world.restart(world.ports)
    world.source.terms = Terms(allow_prune=True)
    world.steps(30)
    assert world.weights() == {}


def test_05_an_environment_that_does_not_prune_keeps_it_running_and_says_orphaned() -> None:
    world = reconciled(local=environment("deletion: {prune: false}"))
    before = world.weights()
    world.commit(delay=None, classifier=None)
    world.ports.calls.clear()
    world.steps(5)
    assert world.weights() == before
    assert world.changed() == []
    assert world.standing().orphaned == (ENDPOINT, JOB)
    assert world.standing().converged, "git asks for it to be kept"
    assert syncs(world)[ENDPOINT] is Sync.OUT_OF_SYNC
    assert world.reasons().count("Orphaned") == 2
    world.commit(delay=DEPLOYMENT, classifier=TRAINING)
    world.run()
    assert world.standing().converged
    assert world.standing().orphaned == ()
    assert world.changed() == [], "it was there all the time"
    world.commit(delay=None)
    world.pass_()
    world.commit(local=environment("deletion: {prune: true}"))
    world.steps(30)
    assert world.weights() == {}, "what was orphaned goes once it may"


def test_05_a_spec_may_ask_for_its_models_to_be_deleted_and_the_environment_may_keep_them() -> None:
    kept = reconciled(classifier=DELETED, local=environment("deletion: {data: keep}"))
    gone = reconciled(classifier=DELETED)
    for world in (kept, gone):
        world.source.terms = Terms(allow_prune=True)
        world.commit(delay=None, classifier=None)
        world.steps(30)
        assert world.ports.state.load(JOB) is None
    assert kept.ports.registry.versions("classifier")
    assert kept.ports.calls.subjects("tables.delete") == ()
    assert gone.ports.registry.versions("classifier") == []
    assert gone.ports.calls.subjects("tables.delete") == (layout.training_folder("memory://store", "classifier"),)


def test_05_models_are_not_deleted_while_a_deployment_serves_one() -> None:
    other = TRAINING.replace("name: classifier", "name: other").replace("rounds: 50", "rounds: 70")
    world = reconciled(classifier=DELETED)
    world.source.terms = Terms(allow_prune=True)
    world.commit(other=other, classifier=None, delay=DEPLOYMENT.replace("training: classifier", "training: other"))
    seen = set()
    for _ in range(60):
        world.pass_()
        world.advance()
        using = world.state(ENDPOINT)["stable"]["training"] == "classifier"
        if using:
            assert world.ports.registry.versions("classifier"), "it serves"
            seen.add(world.message(JOB))
    assert any("ModelDeployment/delay" in message for message in seen)
    assert world.state(ENDPOINT)["stable"]["training"] == "other"
    assert world.ports.registry.versions("classifier") == []
    assert world.ports.serving.harm == []


# ------------------------------------------------------------------- 6


@pytest.mark.parametrize("harm", ["route", "app", "table", "route gone"])
def test_06_what_was_changed_by_hand_is_seen_reported_and_repaired(harm: str) -> None:
    world = reconciled()
    (app,) = world.weights()
    match harm:
        case "route":
            world.ports.serving.change_route_by_hand("delay", weights={app: 40})
        case "app":
            world.ports.serving.remove_by_hand(app)
        case "table":
            world.ports.tables.drop_by_hand(world.state(VIEW)["published"]["uri"])
        case "route gone":
            world.ports.serving.delete_route("delay")
    world.steps(20)
    assert world.standing().converged
    assert world.weights() == {app: 100}
    assert list(world.ports.serving.apps("delay")) == [app]
    assert world.ports.tables.describe(world.state(VIEW)["published"]["uri"]) is not None
    assert world.reasons().count("DriftRepaired") == 1


# ------------------------------------------------------------------- 7

BAD: dict[str, dict[str, str | None]] = {
    "an unknown field": {"classifier": TRAINING.replace("rounds", "ruonds")},
    "no YAML": {"classifier": "{"},
    "a missing reference": {"delay": DEPLOYMENT.replace("training: classifier", "training: missing")},
    "a cycle": {
        "departures": DEPARTURES.replace("{flights: {format: csv, path: data/flights.csv}}", "{v: {view: other}}"),
        "other": DEPARTURES.replace("name: departures", "name: other").replace(
            "{flights: {format: csv, path: data/flights.csv}}", "{v: {view: departures}}"
        ),
    },
    "an unknown module": {
        "classifier": TRAINING.replace("{lightgbm: {rounds: 50}}", "{function: {entrypoint: 'nowhere.at:all'}}")
    },
    "a column that is used is retyped": {
        "departures": DEPARTURES.replace("{name: distance, dtype: Float64}", "{name: distance, dtype: Int64}")
    },
    "a change that a policy denies": {
        "local": environment("policies: [{kind: TrainingJob, deny: [Retrain], message: no}]"),
        "classifier": BETTER,
    },
    "too much goes": {"classifier": None, "delay": None},
}


@pytest.mark.parametrize("kind", BAD)
def test_07_a_bad_commit_changes_nothing_and_newer_ones_are_still_looked_at(kind: str) -> None:
    world = reconciled()
    good, before, files = world.head, world.weights(), dict(world.files)
    world.ports.calls.clear()
    world.commit(**BAD[kind])
    world.steps(3)
    newest = world.ports.state.revisions(1)[0]
    assert (newest.commit, newest.accepted) == (world.head, False)
    assert newest.problems
    assert world.source.loaded is not None
    assert world.source.loaded.commit == good
    assert world.changed() == []
    assert world.weights() == before
    assert world.reasons().count("RevisionRefused") == 1
    assert world.head[:7] in status_text(
        report("local", world.source.desired, world.ports.state.records(), world.ports.state.revisions(), world.now)
    )
    world.restart(world.ports)
    world.pass_()
    assert world.source.loaded is not None
    assert world.source.loaded.commit == good
    world.files = files
    world.commit(classifier=BETTER)
    world.run()
    assert world.source.loaded.commit == world.head
    assert world.standing().converged


def test_07_a_problem_in_a_file_is_told_with_its_place() -> None:
    world = reconciled()
    world.commit(**BAD["an unknown field"])
    world.pass_()
    (problem,) = world.ports.state.revisions(1)[0].problems
    assert "mlops_specs/classifier.yaml:12:24: error:" in problem
    assert "rounds" in problem


# ------------------------------------------------------------------- 8


def test_08_a_new_commit_supersedes_a_rollout_and_a_run_under_way() -> None:
    world = reconciled()
    world.commit(classifier=BETTER)
    while 10 not in world.weights().values():
        world.pass_()
        world.advance()
    world.commit(classifier=ANOTHER)
    world.pass_()
    world.pass_()
    assert "Superseded" in world.reasons()
    (run,) = [run.name for run in world.ports.runs.active()]
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 120"))
    world.pass_()
    assert run not in [item.name for item in world.ports.runs.active()], "the older one is stopped"
    world.run()
    assert world.standing().converged
    assert world.ports.serving.harm == []
    assert len(world.ports.serving.apps("delay")) == 1


def test_08_a_commit_that_failed_never_blocks_a_newer_one() -> None:
    world = reconciled()
    world.auc = lambda identity: 0.3
    world.commit(classifier=BETTER)
    world.run()
    assert world.standing().stalled == (JOB,)
    world.auc = lambda identity: 0.8
    world.commit(classifier=ANOTHER)
    world.run()
    assert world.standing().converged
    for run in world.ports.runs.active():
        world.ports.runs.fail(run.name, FailureKind.USER, "WorkloadFailed", "it raised")


# ------------------------------------------------------------------- 9


@pytest.mark.parametrize("how", ["revert", "pin"])
def test_09_going_back_needs_no_training(how: str) -> None:
    world = reconciled()
    first, commit = world.served(), world.head
    world.commit(classifier=BETTER)
    world.run()
    assert world.served() != first
    world.ports.calls.clear()
    if how == "revert":
        world.commit(classifier=TRAINING)
    else:
        world.ports.state.set_pin(Pin(commit=commit, over=world.head, actor="ana", time=world.now))
    began = world.now
    world.run()
    assert (world.now - began).total_seconds() < 15
    assert world.served() == first
    assert world.ports.calls.subjects("runs.submit") == ()
    assert world.ports.serving.harm == []


# ------------------------------------------------------------------- 12


def test_12_everything_that_happened_is_an_event_with_commit_actor_time_and_the_chain_holds() -> None:
    world = reconciled()
    first = world.served()
    world.commit(classifier=BETTER)
    world.run()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    found = world.ports.state.events(limit=1000)
    assert found[0].reason == "RevisionAccepted"
    assert {"RevisionRefused", "RunStarted", "Published", "ModelReady", "Promoted"} <= {event.reason for event in found}
    assert all(event.actor and event.commit and event.time for event in found)
    assert [event.sequence for event in found] == list(range(1, len(found) + 1))
    promoted = [event for event in found if event.reason == "Promoted"][-1]
    assert promoted.data["before"] == f"classifier@{first}"
    assert promoted.data["version"] == f"classifier@{world.served()}"
    assert world.ports.state.verify_events() == ()
