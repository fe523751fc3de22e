"""What a plan says that a commit may not do, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controllers.revision.permits import Permit, say
from framework.api.categories import Category
from framework.api.errors import Problem, SpecError
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.changes import Verb
from framework.planning.plan.breaking import ACKNOWLEDGE
from tests.controllers.test_plan import WIDE, changes, plan, project, run, running, words, world
from tests.world import BETTER, ENDPOINT, JOB, TRAINING, VIEW, World, environment

__all__ = ["running", "world"]

FULL = TRAINING.replace("columns: [distance]", "columns: [distance, origin]")
WITHOUT_DISTANCE = WIDE.replace("    - {name: distance, dtype: Float64}\n", "")
SHORT = TRAINING.replace("columns: [distance]", "columns: [origin]")


def test_a_breaking_change_is_refused_until_it_is_acknowledged(running: World) -> None:
    running.commit(departures=WIDE, classifier=FULL)
    run(running)
    running.commit(departures=WITHOUT_DISTANCE, classifier=SHORT)
    found = plan(running)
    assert words(found)[VIEW] == ("Update", "Breaking")
    assert "removes column distance (Float64), which TrainingJob/classifier uses" in changes(found)[VIEW].reason
    (refusal,) = found.refusals
    assert (refusal.ref, refusal.reason) == (VIEW, "BreakingNotAcknowledged")

    token = refusal.message.partition(f'{ACKNOWLEDGE}: "')[2][:10]
    annotated = WITHOUT_DISTANCE.replace(
        "{name: departures}", f'{{name: departures, annotations: {{{ACKNOWLEDGE}: "{token}"}}}}'
    )
    running.commit(departures=annotated)
    found = plan(running)
    assert words(found)[VIEW] == ("Update", "Breaking")
    assert found.refusals == ()
    run(running)
    assert running.status(ENDPOINT).conditions.ready.status

    running.commit(departures=WIDE, classifier=FULL)
    back = plan(running)
    assert back.refusals == ()
    assert max(change.category for change in back.changes) < Category.BREAKING


def test_a_policy_refuses_what_it_denies(running: World) -> None:
    running.commit(local=environment("policies: [{kind: TrainingJob, deny: [Retrain], message: not this month}]"))
    run(running)
    running.commit(classifier=BETTER)
    (refusal,) = plan(running).refusals
    assert refusal.ref == JOB
    assert "not this month" in refusal.message


def test_too_much_at_once_is_refused_unless_the_operator_lets_it_go(running: World) -> None:
    running.commit(classifier=None, delay=None)
    found = plan(running)
    (refusal,) = found.refusals
    assert refusal.reason == "PrunesTooMuch"
    assert "2 of 3" in refusal.message
    assert [change.ref for change in found.changes if change.verb is Verb.DELETE] == [JOB, ENDPOINT]
    assert plan(running, allow_prune=True).refusals == ()


def test_what_is_to_stay_is_no_removal(running: World) -> None:
    running.commit(local=environment("deletion: {prune: false}"), classifier=None, delay=None)
    assert plan(running).refusals == ()
    run(running)
    running.commit(local=environment("deletion: {prune: true}"))
    (refusal,) = plan(running).refusals
    assert "2 of 3" in refusal.message, "what was kept so far would go now"


def test_what_a_running_controller_cannot_follow_is_refused_only_while_one_runs(running: World) -> None:
    running.commit(local=environment("storage: .mlops/elsewhere"))
    asked = replace(project(running), environment=EnvironmentSpec())
    (refusal,) = asked.plan().refusals
    assert (str(refusal.ref), refusal.reason) == ("Environment/local", "RestartRequired")
    assert "spec.storage changed" in refusal.message
    running.resign()
    assert asked.plan().refusals == ()


def test_a_rewritten_history_is_refused_and_what_it_would_change_is_shown(running: World) -> None:
    first = running.head
    running.commit(classifier=BETTER)
    run(running)
    running.head = running.ports.source.commit(running.files | {"README.md": "x"}, parent=first)
    found = plan(running)
    assert [refusal.reason for refusal in found.refusals] == ["HistoryRewritten"]
    assert found.changes != ()
    assert plan(running, allow_force_push=True).refusals == ()
    say(running.ports.state, {Permit.REWRITE}, running.head, "ana", running.now)
    assert plan(running).refusals == ()


def test_of_a_commit_that_nobody_trusted_has_signed_nothing_is_read(running: World) -> None:
    base = running.head
    running.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    found = plan(running, allowed_signers=Path("/etc/signers"))
    (refusal,) = found.refusals
    assert (str(refusal.ref), refusal.reason) == ("Environment/local", "SignatureRequired")
    assert (found.base, found.changes, found.read) == (base, (), False)


def test_refusals_and_what_the_libraries_say_are_told_together(running: World) -> None:
    running.commit(local=environment("deletion: {maxShare: 0.1}"))
    run(running)
    running.commit(delay=None)
    wrong = Problem("mlops_specs/classifier.yaml", 14, 1, "spec.trainer", "no such thing")
    with pytest.raises(SpecError) as refused:
        replace(project(running), examine=lambda before, after: (wrong,)).plan()
    assert wrong in refused.value.problems
    assert "PrunesTooMuch" in str(refused.value)
