"""Which commit is in force: trust and refusals, with a world in memory around the real loop."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.revision.acceptance import Terms
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, TransientError
from framework.backends.memory import SymbolicLink
from framework.backends.memory.faults import FaultInjector
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.plan.breaking import ACKNOWLEDGE, breaking
from framework.ports import Signature
from tests.world import (
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

RETYPED = DEPARTURES.replace("{name: distance, dtype: Float64}", "{name: distance, dtype: Int64}")


def governed(spec: str = "") -> World:
    """A converged world whose Environment says ``spec``."""
    world = reconciled(local=environment(""))
    if spec:
        world.commit(local=environment(spec))
        world.run()
    assert world.standing().converged
    assert in_force(world) == world.head
    return world


def refusal(world: World) -> str:
    """Why the newest commit was refused; a refused commit is never the one in force."""
    newest = world.ports.state.revisions(1)[0]
    assert newest.commit == world.head
    assert not newest.accepted
    assert in_force(world) != world.head
    assert sum(event.reason == "RevisionRefused" for event in events(world, world.head)) == 1
    return "\n".join(newest.problems)


def in_force(world: World) -> str:
    assert world.source.loaded is not None
    return world.source.loaded.commit


def events(world: World, commit: str | None = None) -> list[Any]:
    return [event for event in world.ports.state.events(limit=1000) if commit is None or event.commit == commit]


# ------------------------------------------------------------------- what is to be looked at


def test_the_first_poll_gives_everything_and_the_next_nothing() -> None:
    world = World()
    assert world.source.poll() == (VIEW, JOB, ENDPOINT)
    assert world.source.poll() is None


def test_a_new_commit_gives_only_what_it_asks_for_differently() -> None:
    world = governed()
    world.commit(delay=DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 2}}"))
    assert world.source.poll() == (ENDPOINT,)
    world.commit(classifier=BETTER)
    assert world.source.poll() == (JOB, ENDPOINT), "what is downstream changes its identity"
    world.ports.source.change({"README.md": "hello"})
    assert world.source.poll() == ()
    assert world.source.poll() is None


@pytest.mark.parametrize("name", ["delay.YAML", "delay.Yml"])
def test_a_file_that_is_renamed_almost_takes_nothing_away(name: str) -> None:
    world = governed()
    there = set(world.source.desired)
    moved = {path: text for path, text in world.files.items() if path != "mlops_specs/delay.yaml"}
    world.head = world.ports.source.commit({**moved, f"mlops_specs/{name}": DEPLOYMENT})
    world.pass_()

    assert f"mlops_specs/{name}: is not read under this name" in refusal(world)
    assert set(world.source.desired) == there


def test_what_vanished_is_looked_at_too_and_so_is_what_is_only_on_record_after_a_restart() -> None:
    world = governed()
    world.commit(delay=None)
    assert world.source.poll() == (ENDPOINT,)
    world.restart(world.ports)
    assert world.source.poll() == (VIEW, JOB, ENDPOINT)


def test_other_rules_concern_everything() -> None:
    world = governed()
    world.commit(local=environment("quotas: {gpus: 4}"))
    assert world.source.poll() == (VIEW, JOB, ENDPOINT)
    world.commit(local=environment("quotas: {gpus: 4}, windows: [{deny: '* 3 * * *'}]"))
    assert world.source.poll() == ()


# ------------------------------------------------------------------- trust


def test_a_rewritten_history_is_refused_unless_the_operator_allows_it() -> None:
    world = governed()
    good = world.head
    first = world.ports.source.parent(world.commit(classifier=BETTER))
    world.run()
    assert first == good
    world.head = world.ports.source.commit(dict(world.files) | {"README.md": "x"}, parent=good)
    world.pass_()
    assert "history was rewritten" in refusal(world)
    assert "MLOPS_ALLOW_FORCE_PUSH" in refusal(world)
    world.source.refused.clear()
    world.source.terms = Terms(allow_force_push=True)
    world.pass_()
    assert in_force(world) == world.head


def test_going_back_by_moving_the_branch_is_a_rewritten_history_too() -> None:
    world = governed()
    first = world.head
    world.commit(classifier=BETTER)
    world.run()
    world.ports.source.point("main", first)
    world.head = first
    world.pass_()
    assert in_force(world) != first
    assert "RevisionRefused" in world.reasons()


def test_where_signatures_are_required_an_unsigned_commit_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = governed()
    world.source.terms = Terms(signed=True)
    read: list[str] = []
    original = world.source.read

    def noted(commit: str) -> Snapshot:
        read.append(commit)
        return original(commit)

    world.source.read = noted
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    assert "a signature of an allowed signer is required" in refusal(world)
    assert read == []
    monkeypatch.setattr(world.ports.source, "signature", lambda commit: Signature(True, "ana"))
    world.commit(classifier=BETTER)
    world.pass_()
    assert in_force(world) == world.head


# ------------------------------------------------------------------- refusals


def test_a_breaking_change_needs_the_exact_acknowledgement() -> None:
    world = governed()
    before = world.source.desired
    world.commit(departures=RETYPED)
    world.pass_()
    told = refusal(world)
    assert "FeatureView/departures" in told
    assert "TrainingJob/classifier" in told
    (found,) = breaking(before, world.read(world.head).desired, KINDS)
    assert f'{ACKNOWLEDGE}: "{found.token}"' in told
    assert ":0:0" not in told
    annotated = "{name: departures, annotations: {%s: %s}}"
    world.commit(departures=RETYPED.replace("{name: departures}", annotated % (ACKNOWLEDGE, "abcdefghij")))
    world.pass_()
    assert "is for another change" in refusal(world)
    world.commit(departures=RETYPED.replace("{name: departures}", annotated % (ACKNOWLEDGE, found.token)))
    world.pass_()
    assert in_force(world) == world.head


def test_a_policy_may_deny_a_change() -> None:
    world = governed("policies: [{kind: TrainingJob, deny: [Retrain], message: training is frozen}]")
    world.commit(classifier=BETTER)
    world.pass_()
    assert "training is frozen" in refusal(world)
    assert "TrainingJob/classifier" in refusal(world)
    world.commit(classifier=TRAINING)
    world.run()
    assert in_force(world) == world.head
    assert world.standing().converged


def test_the_share_that_may_go_is_the_environments() -> None:
    world = governed("deletion: {maxShare: 0.2}")
    world.commit(delay=None)
    world.pass_()
    assert "would remove 1 of 3 resources (ModelDeployment/delay)" in refusal(world)
    world.commit(local=environment("deletion: {maxShare: 0.4}"))
    world.pass_()
    assert in_force(world) == world.head


def test_what_goes_already_does_not_count_again() -> None:
    world = governed("deletion: {maxShare: 0.5}")
    world.commit(delay=None)
    world.source.poll()
    world.commit(classifier=None)
    world.source.poll()
    assert in_force(world) == world.head, "one of the two that are left"


def test_what_a_running_controller_cannot_follow_is_told_and_nothing_of_it_is_applied() -> None:
    world = governed()
    world.source.wired = EnvironmentSpec()
    world.commit(local=environment("storage: .mlops/elsewhere"), classifier=BETTER)
    world.pass_()
    assert "spec.storage" in refusal(world)
    assert "started again" in refusal(world)
    world.restart(world.ports)
    world.source.wired = EnvironmentSpec(storage=".mlops/elsewhere")
    world.pass_()
    assert in_force(world) == world.head


def test_a_refusal_is_told_once_and_survives_a_restart() -> None:
    world = governed()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    for _ in range(3):
        world.pass_()
    refusal(world)
    world.restart(world.ports)
    world.pass_()
    refusal(world)


def test_however_many_commits_were_refused_the_last_good_one_is_found_again() -> None:
    world = governed()
    good = world.head
    for number in range(60):
        world.commit(classifier=f"{TRAINING}  wrong{number}: 1\n")
        world.source.poll()
    world.restart(world.ports)
    world.pass_()
    assert in_force(world) == good


# ------------------------------------------------------------------- the source is gone


def test_while_the_source_cannot_be_read_what_is_in_force_stays_so_and_is_repaired() -> None:
    world = governed()
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    world.pass_()
    faults.fail_on("source.refresh", TransientError("the git server does not answer"), times=None)
    (app,) = world.weights()
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})
    world.steps(3)
    assert world.weights() == {app: 100}
    assert "the git server does not answer" in world.source.note
    assert world.reasons().count("SourceUnavailable") == 1
    faults.revive()
    world.pass_()
    assert world.reasons().count("SourceAvailable") == 1
    assert world.source.note == ""


@pytest.mark.parametrize("error", [TransientError("no answer"), ConfigurationError("no branch main")])
def test_a_controller_started_without_a_source_goes_on_with_what_was_in_force(error: Exception) -> None:
    world = governed()
    faults = FaultInjector()
    faults.fail_on("source.refresh", error, times=None)
    world.restart(faults.around(world.ports))
    assert world.source.poll() == (VIEW, JOB, ENDPOINT)
    assert world.source.poll() is None


def test_with_nothing_in_force_a_missing_source_is_an_error() -> None:
    world, faults = World(), FaultInjector()
    faults.fail_on("source.refresh", TransientError("no answer"), times=None)
    world.restart(faults.around(world.ports))
    with pytest.raises(TransientError):
        world.pass_()


# ------------------------------------------------------------------- code


def test_code_that_cannot_travel_is_refused_with_the_commit_and_no_run_finds_out() -> None:
    coded = DEPARTURES.replace("  columns:\n", "  transform: {function: p.features:rows}\n  columns:\n", 1)
    files = {**PROJECT, "mlops_specs/departures.yaml": coded, "p/features.py": "def rows(flights): ...\n"}
    world = World(files)
    world.run()
    good, runs = world.head, len(world.ports.calls.subjects("runs.submit"))
    world.files["p/leak.py"] = SymbolicLink("/etc/passwd")
    world.commit()
    world.pass_()
    assert "p/leak.py: a symbolic link" in refusal(world)
    assert in_force(world) == good
    assert len(world.ports.calls.subjects("runs.submit")) == runs
    del world.files["p/leak.py"]
    world.commit()
    world.run()
    assert in_force(world) == world.head
