"""Which commit is in force: trust, refusals, windows and pins, with a world in memory around the real loop."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from controllers.revision.acceptance import Terms
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, TransientError
from framework.backends.memory import SymbolicLink
from framework.backends.memory.faults import FaultInjector
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.reasons import SUSPENDED
from framework.planning.plan.breaking import ACKNOWLEDGE, breaking
from framework.ports import Signature
from tests.world import DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, PROJECT, TRAINING, VIEW, World

BETTER = TRAINING.replace("rounds: 50", "rounds: 80")
ANOTHER = TRAINING.replace("rounds: 50", "rounds: 99")
RETYPED = DEPARTURES.replace("{name: distance, dtype: Float64}", "{name: distance, dtype: Int64}")
NOON_TO_TWO = "windows: [{deny: '* 12-13 * * *'}]"
"""The world starts at noon."""


def environment(spec: str) -> str:
    return f"apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {{name: local}}\nspec: {{{spec}}}\n"


def governed(spec: str = "") -> World:
    """A converged world whose Environment says ``spec``."""
    world = World({**PROJECT, "mlops_specs/local.yaml": environment("")})
    world.run()
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


def reasons(world: World) -> list[str]:
    return [event.reason for event in events(world)]


def looked_at(world: World) -> tuple[Any, ...] | None:
    return world.source.poll()


# ------------------------------------------------------------------- what is to be looked at


def test_the_first_poll_gives_everything_and_the_next_nothing() -> None:
    world = World()
    assert looked_at(world) == (VIEW, JOB, ENDPOINT)
    assert looked_at(world) is None


def test_a_new_commit_gives_only_what_it_asks_for_differently() -> None:
    world = governed()
    world.commit(delay=DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 2}}"))
    assert looked_at(world) == (ENDPOINT,)
    world.commit(classifier=BETTER)
    assert looked_at(world) == (JOB, ENDPOINT), "what is downstream changes its identity"
    world.ports.source.change({"README.md": "hello"})
    assert looked_at(world) == ()
    assert looked_at(world) is None


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
    assert looked_at(world) == (ENDPOINT,)
    world.restart(world.ports)
    assert looked_at(world) == (VIEW, JOB, ENDPOINT)


def test_other_rules_concern_everything() -> None:
    world = governed()
    world.commit(local=environment("quotas: {gpus: 4}"))
    assert looked_at(world) == (VIEW, JOB, ENDPOINT)
    world.commit(local=environment("quotas: {gpus: 4}, windows: [{deny: '* 3 * * *'}]"))
    assert looked_at(world) == ()


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
    assert "RevisionRefused" in reasons(world)


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
    for _ in range(3):
        world.pass_()
        world.advance()
    assert world.weights() == {app: 100}
    assert "the git server does not answer" in world.source.note
    assert reasons(world).count("SourceUnavailable") == 1
    faults.revive()
    world.pass_()
    assert reasons(world).count("SourceAvailable") == 1
    assert world.source.note == ""


@pytest.mark.parametrize("error", [TransientError("no answer"), ConfigurationError("no branch main")])
def test_a_controller_started_without_a_source_goes_on_with_what_was_in_force(error: Exception) -> None:
    world = governed()
    faults = FaultInjector()
    faults.fail_on("source.refresh", error, times=None)
    world.restart(faults.around(world.ports))
    assert looked_at(world) == (VIEW, JOB, ENDPOINT)
    assert looked_at(world) is None


def test_with_nothing_in_force_a_missing_source_is_an_error() -> None:
    world, faults = World(), FaultInjector()
    faults.fail_on("source.refresh", TransientError("no answer"), times=None)
    world.restart(faults.around(world.ports))
    with pytest.raises(TransientError):
        world.pass_()


# ------------------------------------------------------------------- windows


def test_a_commit_waits_for_the_window_and_then_takes_effect_by_itself() -> None:
    world = governed(NOON_TO_TWO)
    good = in_force(world)
    world.commit(classifier=BETTER)
    for _ in range(3):
        world.pass_()
        world.advance(60)
    assert in_force(world) == good
    assert world.ports.state.revisions(1)[0].commit == good, "neither accepted nor refused"
    (told,) = [event for event in events(world) if event.reason == "WaitsForWindow"]
    assert "until 2026-03-01 14:00 UTC" in told.message
    assert told.commit == world.head
    assert "14:00" in world.source.note
    world.restart(world.ports)
    world.pass_()
    assert reasons(world).count("WaitsForWindow") == 1
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
    for _ in range(6):
        world.pass_()
        world.advance()
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


# ------------------------------------------------------------------- suspension


def test_a_suspended_environment_looks_and_plans_and_goes_on_when_it_is_lifted() -> None:
    world = governed()
    world.commit(local=environment("suspend: true"), classifier=BETTER)
    world.ports.calls.clear()
    for _ in range(3):
        world.pass_()
        world.advance()
    assert not [call for call in world.ports.calls.made if not call.verb.startswith("state.")]
    assert world.status(JOB).conditions.reconciling.reason == SUSPENDED
    assert JOB in world.standing().held
    assert world.standing().settled
    assert not world.standing().converged
    world.commit(local=environment(""))
    world.run()
    assert world.standing().converged


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
