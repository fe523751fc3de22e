"""Applying a plan: exactly what was planned, or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from controllers.cli import session
from controllers.cli.main import cli
from controllers.host.passes import lead
from framework.api.meta import Ref
from framework.planning.grammar.changes import Plan, Refusal
from framework.render.plan_document import plan_json
from framework.render.stale import differences
from tests.controllers import test_passes as passes
from tests.controllers.test_passes import MINUTE
from tests.unit.render.plans import COMPARED, MIXED
from tests.world import BETTER, JOB, TRAINING, VIEW, World

world = passes.world
Apply = Callable[..., Result]


@pytest.fixture
def apply(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apply:
    """The command on that world: given a plan or the text of one, and options."""

    def project_of(options: dict[str, Any], **settings: Any) -> Any:
        made = passes.project(world)
        return replace(made, settings=replace(made.settings, **settings))

    monkeypatch.setattr(session, "project_of", project_of)

    def call(plan: Plan | str, *more: str, environment: str = "local") -> Result:
        path = tmp_path / "plan.json"
        path.write_text(plan if isinstance(plan, str) else plan_json(plan))
        return CliRunner().invoke(cli, ["--env", environment, "apply", str(path), "--quiet", *more])

    return call


def reconciled(world: World) -> None:
    lead(passes.project(world), wait=True, timeout=MINUTE, listen=lambda result: None)


def planned(world: World, *, allow_prune: bool = False) -> Plan:
    made = passes.project(world)
    return replace(made, settings=replace(made.settings, allow_prune=allow_prune)).plan()


def untouched(world: World, result: Result, *words: str) -> None:
    """It was refused with these words, and nothing was done."""
    assert result.exit_code == 1, result.output
    for word in words:
        assert word in result.output
    assert not [call for call in world.ports.calls.made if call.verb.startswith(("runs.", "serving."))]


def test_a_plan_is_applied(world: World, apply: Apply) -> None:
    result = apply(planned(world), "--output", "json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outcome"] == "Converged"
    assert world.weights()
    again = apply(planned(world))
    assert again.exit_code == 0
    assert "Nothing to do" in again.stdout


def test_another_commit_since_makes_it_stale(world: World, apply: Apply) -> None:
    plan = planned(world)
    world.commit(classifier=BETTER)
    untouched(world, apply(plan), "is stale", "git asks for something else since", "plan again")


def test_a_commit_that_asks_for_the_same_does_not(world: World, apply: Apply) -> None:
    plan = planned(world)
    world.commit(classifier=TRAINING + "# a word\n")
    assert apply(plan).exit_code == 0


def test_only_what_differs_is_told(world: World, apply: Apply) -> None:
    """A plan that was written and read again has other types and orders, which are no differences."""
    plan = planned(world)
    world.commit(classifier=TRAINING + "  seed: 5\n")
    result = apply(plan)

    untouched(world, result, "is stale")
    assert [line.strip() for line in result.output.splitlines() if "differs otherwise" in line] == [
        "TrainingJob/classifier: differs otherwise in seed"
    ]


def test_what_was_done_meanwhile_makes_it_stale(world: World, apply: Apply) -> None:
    plan = planned(world)
    reconciled(world)
    done = len(world.ports.calls.made)
    result = apply(plan)
    assert result.exit_code == 1
    assert "FeatureView/departures: planned was Create (Materialize), now nothing" in result.output
    assert len(world.ports.calls.made) == done


def test_another_action_makes_it_stale(world: World, apply: Apply) -> None:
    reconciled(world)
    world.commit(classifier=BETTER)
    plan = planned(world)
    world.ports.tables.delete(world.state(VIEW)["published"]["uri"])
    result = apply(plan)
    assert result.exit_code == 1
    assert "FeatureView/departures: planned was nothing, now Update (Materialize)" in result.output


def test_a_plan_that_was_changed_by_hand_is_refused(world: World, apply: Apply) -> None:
    document = json.loads(plan_json(planned(world)))
    document["changes"][0]["category"] = "Metadata"
    untouched(world, apply(json.dumps(document)), "changed after it was made")
    document["digest"] = "0000000000"
    untouched(world, apply(json.dumps(document)), "changed after it was made")


def test_a_hand_that_mends_the_digest_makes_it_stale(world: World, apply: Apply) -> None:
    plan = planned(world)
    changes = tuple(replace(change, actions=()) for change in plan.changes)
    forged = replace(plan, changes=changes)
    assert forged.digest != plan.digest
    untouched(world, apply(forged), "is stale", "FeatureView/departures: now also submit/")


def test_a_refused_plan_is_refused(world: World, apply: Apply) -> None:
    plan = replace(planned(world), refusals=(Refusal(JOB, "DeniedByPolicy", "not today"),))
    untouched(world, apply(plan), "is refused", "TrainingJob/classifier: DeniedByPolicy: not today")


def test_striking_the_refusals_out_does_not_help(world: World, apply: Apply) -> None:
    reconciled(world)
    world.ports.calls.clear()
    world.commit(classifier=None, delay=None)
    plan = planned(world)
    assert [item.reason for item in plan.refusals] == ["PrunesTooMuch"]
    untouched(world, apply(replace(plan, refusals=())), "PrunesTooMuch")
    untouched(world, apply(plan), "PrunesTooMuch")


def test_the_operator_may_let_much_go(world: World, apply: Apply) -> None:
    reconciled(world)
    world.commit(classifier=None, delay=None)
    result = apply(planned(world), "--allow-prune", "--timeout", "1m")
    assert result.exit_code == 0, result.output
    assert world.ports.state.load(JOB) is None


def test_a_plan_for_another_environment_is_refused(world: World, apply: Apply) -> None:
    untouched(world, apply(planned(world), environment="prod"), "for environment local", "--env local")


def test_a_plan_between_commits_cannot_be_applied(world: World, apply: Apply) -> None:
    untouched(world, apply(COMPARED), "make one without --base")


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"format": 1}', '{"format": 2}', "[" * 100_000,
                                  '{"format": 2, "a": 1e999}'])  # fmt: skip
def test_what_is_no_plan_is_told(world: World, apply: Apply, text: str) -> None:
    untouched(world, apply(text), "plan.json cannot be applied")


def test_a_plan_without_an_end_is_read_up_to_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controllers.cli.apply.LARGEST", 1 << 16)
    result = CliRunner().invoke(cli, ["apply", "/dev/zero"])

    assert (result.exit_code, "/dev/zero cannot be applied: larger than" in result.output) == (1, True)


def test_a_plan_that_no_clock_can_hold_is_told(world: World, apply: Apply) -> None:
    document = json.loads(plan_json(planned(world)))
    document["changes"][0]["requeue_after_seconds"] = 1e300
    untouched(world, apply(json.dumps(document)), "plan.json cannot be applied")


def test_differences_that_show_nowhere_still_make_it_stale() -> None:
    odd = tuple(replace(change, diffs=change.diffs * 2) for change in MIXED.changes)
    other = replace(MIXED, changes=odd)

    assert other.digest != MIXED.digest
    assert differences(MIXED, other) == ("other work than was planned",)


def test_differences_are_named_one_by_one() -> None:
    changes = {change.ref: change for change in MIXED.changes}
    assert differences(MIXED, MIXED) == ()
    weather = Ref("FeatureView", "weather-hourly")
    other = replace(
        MIXED,
        environment="prod",
        changes=tuple(
            replace(change, diffs=change.diffs[:1], actions=()) if ref == weather else change
            for ref, change in changes.items()
        ),
    )
    assert differences(MIXED, other) == (
        "it is for environment local, not for prod",
        "FeatureView/weather-hourly: no longer submit/features-weather-hourly-2b2b2b2b2b-1",
        "FeatureView/weather-hourly: differs otherwise in transform.sql",
    )
