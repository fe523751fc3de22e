"""An operator's word lets in exactly the commit that it was said of, once, whoever leads; and it is an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controllers.revision.acceptance import Terms, lifted_by
from controllers.revision.permits import Permit, said, say
from framework.api.errors import TransientError
from framework.backends.memory.faults import Crash, FaultInjector
from framework.ports import Pin, Signature
from tests.controllers.test_source import events, governed, in_force, refusal
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, TRAINING, World

STRICT = Terms(allow_force_push=False)


def emptied(world: World) -> str:
    """A commit that removes most of what there is."""
    return world.commit(classifier=None, delay=None)


def rewritten(world: World) -> str:
    world.source.terms = STRICT
    good = world.head
    world.commit(classifier=BETTER)
    world.run()
    world.head = world.ports.source.commit(dict(world.files) | {"README.md": "x"}, parent=good)
    return world.head


CASES: dict[Permit, tuple[Callable[[World], str], str]] = {
    Permit.PRUNE: (emptied, "remove as much as it does"),
    Permit.REWRITE: (rewritten, "follow on something else than what was in force"),
}


def allow(world: World, permit: Permit, commit: str) -> None:
    say(world.ports.state, {permit}, commit, "ann@host", world.now)


def allowed(world: World) -> list[str]:
    return [event.message for event in events(world) if event.reason == "CommitAllowed"]


@pytest.mark.parametrize("permit", Permit)
def test_a_commit_that_was_refused_is_taken_up_after_the_word_and_the_word_is_over(permit: Permit) -> None:
    world = governed()
    change, what = CASES[permit]
    commit = change(world)
    world.pass_()
    problems = world.ports.state.revisions(1)[0].problems
    assert refusal(world)
    assert lifted_by(problems) == {permit}
    allow(world, permit, commit)
    world.run()
    assert in_force(world) == commit
    assert allowed(world) == [f"ann@host let commit {commit[:7]} {what}"]
    assert list(world.ports.state.words()) == []


@pytest.mark.parametrize("permit", Permit)
def test_a_word_said_before_the_controller_looks_counts_too(permit: Permit) -> None:
    world = governed()
    commit = CASES[permit][0](world)
    allow(world, permit, commit)
    world.run()
    assert in_force(world) == commit
    assert "RevisionRefused" not in [event.reason for event in events(world, commit)]
    assert len(allowed(world)) == 1
    assert list(world.ports.state.words()) == []


def test_a_word_covers_no_other_commit_and_nothing_else() -> None:
    world = governed()
    first = emptied(world)
    allow(world, Permit.PRUNE, first)
    world.files["mlops_specs/departures.yaml"] = DEPARTURES.replace("entities: [flight]", "entities: [flight]\n  # x")
    second = world.commit()
    world.pass_()
    assert "would remove" in refusal(world)
    allow(world, Permit.REWRITE, second)
    world.pass_()
    world.pass_()
    assert in_force(world) != second
    assert [word.subject for word in world.ports.state.words()] == [f"prune/{first}"], "heard, and of no use"
    assert allowed(world) == []


def test_what_speaks_against_a_commit_besides_still_does() -> None:
    world = governed()
    wrong = world.commit(classifier=None, delay=None, departures=DEPARTURES.replace("Float64", "Flaot64"))
    allow(world, Permit.PRUNE, wrong)
    for _ in range(3):
        world.pass_()
    assert "Flaot64" in refusal(world)
    assert in_force(world) != wrong


def test_a_word_that_comes_while_the_refusal_is_written_is_not_lost() -> None:
    world = governed()
    commit, state = emptied(world), world.ports.state
    saved = state.save_revision

    def late(*arguments: Any, **more: Any) -> None:
        saved(*arguments, **more)
        allow(world, Permit.PRUNE, commit)

    state.save_revision = late  # type: ignore[method-assign]
    world.source.poll()
    state.save_revision = saved  # type: ignore[method-assign]
    assert said(state, commit)
    world.run()
    assert in_force(world) == commit
    assert not said(state, commit)


def test_a_word_heard_with_another_refusal_is_used_up() -> None:
    """Else it would be there for the next try without anybody saying so."""
    world = governed()
    commit = emptied(world)
    world.source.terms = replace(world.source.terms, signed=True)
    allow(world, Permit.PRUNE, commit)
    world.pass_()
    assert "signature" in refusal(world)
    assert list(world.ports.state.words()) == []


@pytest.mark.parametrize("error", [TransientError("locked"), Crash("killed")])
@pytest.mark.parametrize("verb", ["state.take_back", "state.save_revision"])
@pytest.mark.parametrize("after", [False, True])
def test_a_failure_at_any_step_neither_loses_the_word_nor_keeps_it(
    verb: str, error: BaseException, after: bool
) -> None:
    world = governed()
    commit = emptied(world)
    allow(world, Permit.PRUNE, commit)
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on(verb, error, after=after)
    with pytest.raises(type(error)):
        [world.source.poll() for _ in range(3)]
    faults.revive()
    if isinstance(error, Crash):
        world.restart(world.ports)
    world.run()
    assert in_force(world) == commit
    assert list(world.ports.state.words()) == []


def test_a_pin_may_be_allowed_to_remove_what_it_likes() -> None:
    world = World({"mlops_specs/departures.yaml": DEPARTURES})
    world.run()
    small = world.head
    world.commit(classifier=TRAINING, delay=DEPLOYMENT)
    world.run()
    world.ports.state.set_pin(Pin(commit=small, over=world.head, actor="ann", time=world.now))
    for _ in range(3):
        world.pass_()
    (refused,) = [event.message for event in events(world) if event.reason == "PinRefused"]
    assert "mlopsctl rollback COMMIT --allow-prune" in refused
    allow(world, Permit.PRUNE, small)
    world.run()
    assert in_force(world) == small
    assert allowed(world) == [f"ann@host let commit {small[:7]} remove as much as it does"]


def test_a_signer_who_is_allowed_later_lets_the_refused_commit_in(monkeypatch: pytest.MonkeyPatch) -> None:
    world = governed()
    world.source.terms = replace(world.source.terms, signed=True)
    trusted: set[str] = set()

    def signature(commit: str) -> Signature:
        return Signature(commit in trusted, problem="" if commit in trusted else "is signed by nobody we know")

    monkeypatch.setattr(world.ports.source, "signature", signature)
    commit = world.commit(classifier=BETTER)
    world.pass_()
    world.pass_()
    assert "nobody we know" in refusal(world)
    trusted.add(commit)
    world.run()
    assert in_force(world) == commit


def test_a_commit_that_is_trusted_at_last_and_refused_all_the_same_is_not_read_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = governed()
    world.source.terms = replace(world.source.terms, signed=True)
    trusted: set[str] = set()
    asked: list[str] = []

    def signature(commit: str) -> Signature:
        asked.append(commit)
        return Signature(commit in trusted, problem="is not signed")

    monkeypatch.setattr(world.ports.source, "signature", signature)
    commit = emptied(world)
    world.pass_()
    trusted.add(commit)
    world.pass_()
    assert "would remove" in "".join(world.ports.state.revisions(1)[0].problems)
    asked.clear()
    for _ in range(5):
        world.pass_()
    assert asked == []
