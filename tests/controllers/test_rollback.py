"""Going back: features, model and endpoint together as a pointer flip, and the revert for git."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from controllers.commands.rollback import Rollbacks
from controllers.host.passes import lead
from controllers.host.wiring import OBSERVERS
from framework.api import layout
from framework.api.errors import ConfigurationError, ConflictError, SpecError
from framework.planning.admission.restore import Prospect, Way
from framework.ports import Proposal, Proposed
from framework.render.rollback import Done, done_text, prospect_text, rollback_json
from tests.controllers.test_passes import project
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World

WIDER = DEPARTURES.replace("    - {name: distance", "    - {name: wind, dtype: Float64}\n    - {name: distance")


def moved_on() -> tuple[World, str]:
    """Two commits, the second with other features and another model; the world and the first one's SHA."""
    world = World()
    world.run()
    first = world.head
    world.commit(departures=WIDER, classifier=BETTER)
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    return world, first


def rollbacks(world: World) -> Rollbacks:
    return Rollbacks("local", world.ports, world.read, "main", "mlops_specs", world.clock, OBSERVERS)


def ways(prospect: Prospect) -> dict[str, Way]:
    return {item.ref.kind: item.way for item in prospect.returns}


def revert(world: World, prospect: Prospect, message: str = "") -> Proposed | None:
    return rollbacks(world).revert(prospect, world.ports.source, None, "ann@host", message)


def test_everything_comes_back_without_building_anything() -> None:
    world, first = moved_on()
    prospect = rollbacks(world).prospect(first)
    assert ways(prospect) == {"FeatureView": Way.RETURNS, "TrainingJob": Way.RETURNS, "ModelDeployment": Way.RETURNS}
    assert prospect.retrained == ()
    assert "served before" in prospect.returns[2].message
    assert (prospect.commit.sha, prospect.over.sha, prospect.same, prospect.accepted) == (
        first,
        world.head,
        False,
        True,
    )
    assert "nothing is trained again" in prospect_text(prospect).lower()


def test_looking_changes_nothing() -> None:
    world, first = moved_on()
    world.ports.calls.clear()
    rollbacks(world).prospect(first)
    assert not world.ports.calls.made


def test_a_pin_brings_the_earlier_commit_back_without_training() -> None:
    world, first = moved_on()
    newer = world.served()
    back = rollbacks(world)
    back.pin(back.prospect(first), "ann@host", "too slow")
    world.ports.calls.clear()
    world.run()
    assert world.standing().converged, world.message(ENDPOINT)
    assert world.source.loaded is not None
    assert world.source.loaded.commit == first
    assert world.served() == world.built(first) != newer
    assert not [call for call in world.ports.calls.made if call.verb == "runs.submit"]
    assert world.ports.serving.harm == []


def test_one_pass_of_the_command_converges_to_the_pinned_commit() -> None:
    world, first = moved_on()
    back = rollbacks(world)
    back.pin(back.prospect(first), "ann@host", "too slow")
    world.resign()
    with world.at_work():
        result = lead(project(world), wait=True, timeout=timedelta(minutes=1), listen=lambda result: None)
    assert (result.commit, result.health.converged, "SubmitRun" in result.calls) == (first, True, False)
    assert "ann@host pinned commit" in result.text()
    assert world.served() == world.built(first)


def test_a_pin_that_stands_already_is_left_as_it_is() -> None:
    world, first = moved_on()
    back = rollbacks(world)
    back.pin(back.prospect(first), "ann@host", "first")
    pin = world.ports.state.pin()
    again = back.prospect(first)
    assert again.pinned
    back.pin(again, "bob@host", "second")
    assert world.ports.state.pin() == pin


def test_back_further_while_a_pin_stands() -> None:
    world, first = moved_on()
    second = world.head
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 90"))
    world.run()
    back = rollbacks(world)
    back.pin(back.prospect(second), "ann", "")
    world.run()
    further = back.prospect(first)
    assert not further.pinned
    back.pin(further, "ann", "")
    world.run()
    assert world.source.loaded is not None
    assert world.source.loaded.commit == first


def test_the_end_of_a_pin_lets_the_newest_take_effect_again() -> None:
    world, first = moved_on()
    newer = world.served()
    back = rollbacks(world)
    back.pin(back.prospect(first), "ann", "")
    world.run()
    ended = back.end()
    assert ended is not None
    assert ended.commit == first
    assert back.end() is None
    world.run()
    assert world.served() == newer


def test_a_revert_that_is_merged_asks_for_what_the_earlier_commit_asked_for() -> None:
    world, first = moved_on()
    back = rollbacks(world)
    prospect = back.prospect(first)
    back.pin(prospect, "ann", "")
    world.run()
    proposed = revert(world, prospect, "the new one is slow")
    assert proposed is not None
    assert proposed.branch == f"mlopsctl/rollback-{first[:7]}"
    source = world.ports.source
    assert source.files(proposed.commit) == source.files(first)
    assert source.parent(proposed.commit) == world.head
    source.point("main", proposed.commit)
    world.ports.calls.clear()
    world.run()
    assert world.ports.state.pin() is None
    assert not [call for call in world.ports.calls.made if call.verb.startswith(("runs.", "serving.de"))]


def test_the_revert_says_who_why_from_and_to() -> None:
    world, first = moved_on()
    told: list[Proposal] = []

    class Recording:
        def propose(self, proposal: Proposal) -> Proposed:
            told.append(proposal)
            return world.ports.source.propose(proposal)

    back = rollbacks(world)
    back.revert(back.prospect(first), Recording(), "ops/back", "ann@host", "the new one is slow")
    assert (told[0].base, told[0].branch) == (world.head, "ops/back")
    for word in (f"Roll back to {first[:7]}", "the new one is slow", "ann@host", first, world.head, "local"):
        assert word in told[0].message


def test_a_revert_is_found_again_whoever_asks() -> None:
    world, first = moved_on()
    prospect = rollbacks(world).prospect(first)
    one, other = revert(world, prospect, "one"), revert(world, prospect, "other")
    assert one is not None
    assert other is not None
    assert one.commit == other.commit


def test_a_branch_that_says_something_else_is_left_alone() -> None:
    world, first = moved_on()
    prospect = rollbacks(world).prospect(first)
    name = f"mlopsctl/rollback-{first[:7]}"
    theirs = world.ports.source.commit({"other.txt": "theirs"}, branch=name, parent=world.head)
    with pytest.raises(ConflictError):
        revert(world, prospect)
    assert world.ports.source.resolve(name) == theirs


def test_files_beside_specs_and_code_are_not_reverted() -> None:
    world = World()
    world.run()
    first = world.head
    world.files["README.md"] = "written since"
    world.commit(classifier=BETTER)
    world.run()
    proposed = revert(world, rollbacks(world).prospect(first))
    assert proposed is not None
    assert "README.md" in world.ports.source.files(proposed.commit)


CODE = {"shop/__init__.py": "", "shop/clean.py": "def tidy(rows):\n    return rows\n"}
TRANSFORMED = DEPLOYMENT.replace("{route: /delay}", '{route: /delay, transformer: "shop.clean:tidy"}')


def test_code_goes_back_with_the_specs_that_name_it() -> None:
    world = World({**World().files, **CODE, "mlops_specs/delay.yaml": TRANSFORMED})
    world.run()
    first = world.head
    world.files["shop/clean.py"] = CODE["shop/clean.py"].replace("return rows", "return list(rows)")
    world.commit()
    world.run()
    back = rollbacks(world)
    prospect = back.prospect(first)
    assert ways(prospect)["ModelDeployment"] is Way.RETURNS
    proposed = revert(world, prospect)
    assert proposed is not None
    assert world.ports.source.files(proposed.commit) == world.ports.source.files(first)


def test_a_commit_that_asks_for_the_same_has_nothing_to_revert() -> None:
    world, first = moved_on()
    world.commit(departures=DEPARTURES, classifier=TRAINING)
    world.run()
    prospect = rollbacks(world).prospect(first)
    assert prospect.same
    assert revert(world, prospect) is None
    assert set(ways(prospect).values()) == {Way.SAME}


def test_a_model_that_is_gone_would_have_to_be_trained_again() -> None:
    world, first = moved_on()
    world.ports.registry.forget("classifier", world.token)
    prospect = rollbacks(world).prospect(first)
    assert [item.ref for item in prospect.retrained] == [JOB]
    assert ways(prospect) == {"FeatureView": Way.RETURNS, "TrainingJob": Way.BUILDS, "ModelDeployment": Way.WAITS}
    assert "1 model would be trained again" in prospect_text(prospect)


def test_a_table_that_is_gone_is_told_but_the_model_needs_none() -> None:
    world, first = moved_on()
    old = world.read(first).desired[VIEW]
    world.ports.tables.delete(layout.feature_table(world.ports.storage, VIEW.name, old.identity))
    prospect = rollbacks(world).prospect(first)
    assert ways(prospect) == {"FeatureView": Way.BUILDS, "TrainingJob": Way.RETURNS, "ModelDeployment": Way.RETURNS}
    assert prospect.retrained == ()


def test_a_version_that_was_turned_down_does_not_come_back() -> None:
    world = World()
    world.run()
    stable = world.state(ENDPOINT)["stable"]["app"]
    world.error_rate = lambda app: 0.0 if app == stable else 0.5
    bad = world.commit(classifier=BETTER)
    world.run()
    world.commit(classifier=TRAINING)
    world.run()
    prospect = rollbacks(world).prospect(bad)
    assert ways(prospect)["ModelDeployment"] is Way.BLOCKED
    assert "turned down" in prospect_text(prospect)


def test_a_model_that_failed_its_gates_does_not_come_back() -> None:
    world = World()
    world.run()
    good = world.read(world.head).desired[JOB].identity
    world.auc = lambda identity: 0.7 if identity == good else 0.5
    bad = world.commit(classifier=BETTER)
    world.run()
    world.commit(classifier=TRAINING)
    world.run()
    prospect = rollbacks(world).prospect(bad)
    assert ways(prospect) == {"FeatureView": Way.SAME, "TrainingJob": Way.BLOCKED, "ModelDeployment": Way.WAITS}
    assert "auc = 0.5000" in prospect_text(prospect)


def test_a_commit_that_was_never_in_force_is_told_as_such() -> None:
    world, _ = moved_on()
    never = world.ports.source.commit(
        {**world.files, "mlops_specs/classifier.yaml": TRAINING.replace("50", "70")}, branch="idea"
    )
    prospect = rollbacks(world).prospect("idea")
    assert (prospect.commit.sha, prospect.accepted) == (never, False)
    assert "never in force" in prospect_text(prospect)


def test_back_from_a_newest_commit_that_is_wrong() -> None:
    world, first = moved_on()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.pass_()
    back = rollbacks(world)
    prospect = back.prospect(first)
    assert prospect.over.sha == world.head
    back.pin(prospect, "ann", "")
    world.run()
    assert world.source.loaded is not None
    assert world.source.loaded.commit == first
    assert revert(world, prospect) is not None


def test_a_wrong_or_unknown_commit_is_refused() -> None:
    world, _ = moved_on()
    wrong = world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.commit(classifier=TRAINING)
    with pytest.raises(SpecError):
        rollbacks(world).prospect(wrong)
    with pytest.raises(ConfigurationError):
        rollbacks(world).prospect("nowhere")


def test_a_commit_that_would_remove_most_of_the_environment_is_refused() -> None:
    world = World({"mlops_specs/departures.yaml": DEPARTURES})
    world.run()
    first = world.head
    world.commit(classifier=TRAINING, delay=DEPLOYMENT)
    world.run()
    with pytest.raises(SpecError, match="2 of 3"):
        rollbacks(world).prospect(first)
    assert ways(replace(rollbacks(world), allow_prune=True).prospect(first))["ModelDeployment"] is Way.GOES


def test_before_anything_ran_a_commit_can_be_pinned() -> None:
    world = World()
    first = world.head
    world.commit(classifier=BETTER)
    prospect = rollbacks(world).prospect(first)
    assert [item.ref for item in prospect.retrained] == [JOB]


def test_what_is_left_to_do_is_told() -> None:
    world, first = moved_on()
    prospect = rollbacks(world).prospect(first)
    proposed = revert(world, prospect)
    assert proposed is not None
    told = done_text(prospect, Done(None, proposed))
    assert "mlopsctl reconcile --once" in told
    assert f"git merge --ff-only mlopsctl/rollback-{first[:7]}" in told
    assert "host:1" in done_text(prospect, Done("host:1", proposed))
    pushed = done_text(prospect, Done(None, Proposed("f" * 40, "b", pushed=True)))
    assert "pull request for b" in pushed
    assert "git merge" not in pushed
    assert "nothing to revert" in done_text(prospect, Done(None, Proposed(world.head, "b", pushed=False)))
    assert '"done": null' in rollback_json(prospect, None)
