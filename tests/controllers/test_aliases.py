"""A person's own names for model versions: git moves them, and what serves follows."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kinds.model_deployment import OBSERVER
from framework.api.categories import Category
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Change, Verb
from framework.ports import Event
from tests.world import BETTER, DEPLOYMENT, ENDPOINT, JOB, PROJECT, World

FOLLOWS = DEPLOYMENT.replace("{training: classifier}", "{training: classifier, version: stable}")


def job(text: str, **aliases: str) -> str:
    named = ", ".join(f'{name}: "{target}"' for name, target in aliases.items())
    return f"{text}  aliases: {{{named}}}\n"


def two_versions() -> tuple[World, str, str]:
    """A world in which two versions were trained, neither of which serves, at the second one's spec."""
    world = World({name: text for name, text in PROJECT.items() if name != "mlops_specs/delay.yaml"})
    world.run()
    old = world.built(world.head)
    world.commit(classifier=BETTER)
    world.run()
    return world, old, world.built(world.head)


def moved(world: World) -> list[Event]:
    return list(world.ports.state.events(JOB, reasons=(reasons.ALIAS_MOVED,)))


def planned(world: World, ref: Any) -> Change:
    return next(change for change in world.plan().changes if change.ref == ref)


def test_a_commit_moves_an_alias_and_what_serves_follows_by_its_strategy() -> None:
    world, old, new = two_versions()
    world.commit(classifier=job(BETTER, stable=old), delay=FOLLOWS)
    world.run()
    assert world.served() == old
    runs = world.reasons(JOB).count(reasons.RUN_STARTED)
    world.commit(classifier=job(BETTER, stable=new))
    change, follows = planned(world, JOB), planned(world, ENDPOINT)
    assert (change.category, [item.path for item in change.diffs]) == (Category.METADATA, ["aliases.stable"])
    assert (follows.verb, follows.category) == (Verb.UPDATE, Category.REDEPLOY)
    (diff,) = (item for item in follows.diffs if item.path == "model.version")
    assert (diff.before, diff.after) == (f"stable ({old})", f"stable ({new})")
    world.run()
    assert world.served() == new
    assert world.reasons(ENDPOINT).count(reasons.ROLLOUT_STARTED) == 2
    assert world.reasons(JOB).count(reasons.RUN_STARTED) == runs


def test_a_move_is_told_with_who_why_from_where_and_the_gates() -> None:
    world, old, new = two_versions()
    world.commit(classifier=job(BETTER, stable=old))
    world.run()
    at = world.commit(classifier=job(BETTER, stable=new))
    world.run()
    first, second = moved(world)
    assert (first.data["before"], first.data["after"]) == ("", old)
    assert second.commit == at
    info = world.ports.source.info(at)
    assert (second.data["before"], second.data["after"]) == (old, new)
    assert (second.data["author"], second.data["why"]) == (info.author, info.subject)
    assert [gate["passed"] for gate in second.data["gates"]] == [True]
    assert second.message == f"stable: {old} -> {new}, which passed 1 gate (by {info.author}: {info.subject})"
    world.run()
    assert len(moved(world)) == 2


def test_what_git_takes_back_goes_back() -> None:
    world, old, new = two_versions()
    world.commit(classifier=job(BETTER, stable=old), delay=FOLLOWS)
    world.run()
    world.commit(classifier=job(BETTER, stable=new))
    world.run()
    world.commit(classifier=job(BETTER, stable=old))
    world.run()
    assert world.served() == old
    assert [event.data["after"] for event in moved(world)] == [old, new, old]
    world.commit(classifier=BETTER, delay=DEPLOYMENT)
    world.run()
    assert moved(world)[-1].data == {**moved(world)[-1].data, "before": old, "after": ""}
    assert world.state(JOB)["aliases"] == {}


def test_an_alias_may_stand_for_another_one_and_for_the_latest() -> None:
    world, old, new = two_versions()
    aliases = job(BETTER, stable="good", good=old, newest="latest")
    world.commit(classifier=aliases, delay=FOLLOWS)
    world.run()
    assert world.served() == old
    found = {name: known["version"] for name, known in world.state(JOB)["aliases"].items()}
    assert found == {"stable": old, "good": old, "newest": new}


@pytest.mark.parametrize("reached", ["unknown", "failed"])
def test_one_of_a_version_that_nobody_can_have_leaves_what_serves_alone_and_says_so(reached: str) -> None:
    world, _, new = two_versions()
    world.commit(classifier=job(BETTER, stable=new), delay=FOLLOWS)
    world.run()
    text, version = BETTER, "0123456789"
    if reached == "failed":
        world.auc = lambda identity: 0.5
        text = BETTER.replace("rounds: 80", "rounds: 81")
        world.commit(classifier=job(text, stable=new))
        world.run()
        version = world.built(world.head)
    world.commit(classifier=job(text, stable=version))
    told = {
        "unknown": "TrainingJob/classifier has no version 0123456789, which its alias stable stands for",
        "failed": f"version {version}, which its alias stable stands for, failed its gates",
    }[reached]
    assert told in planned(world, ENDPOINT).reason
    world.steps(3)
    assert world.served() == new
    assert world.status(ENDPOINT).conditions.reconciling.status
    assert told in world.message(ENDPOINT)
    why = {"unknown": "the registry does not have it", "failed": "it failed its gates"}[reached]
    assert moved(world)[-1].message.startswith(f"stable: {new} -> {version}; {why}")


def test_a_rollback_finds_what_the_alias_stood_for_then() -> None:
    world, old, new = two_versions()
    then = world.commit(classifier=job(BETTER, stable=old), delay=FOLLOWS)
    world.run()
    world.commit(classifier=job(BETTER, stable=new))
    world.run()
    asked = world.read(then).desired
    kept = OBSERVER.left(asked[ENDPOINT], asked, world.ports)
    assert kept.there
    assert old in kept.what
