"""What people say about a rollout, from the command to the loop that acts on it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from controllers.commands.rollouts import Rollouts, report
from framework.api.errors import ConfigurationError
from framework.backends.memory.faults import Crash, FaultInjector
from framework.backends.memory.serving import Served
from framework.ports import Failure
from framework.render.rollout import rollout_json, rollout_text
from tests.world import BETTER, DEPLOYMENT, ENDPOINT, PROJECT, World

PAUSED = DEPLOYMENT.replace("{analyze: {for: 10s}}, {setWeight: 50}", "{pause: {}}, {setWeight: 50}")


def world(deployment: str = PAUSED) -> World:
    """The first model serves, and a better one is trained."""
    made = World({**PROJECT, "mlops_specs/delay.yaml": deployment})
    made.run()
    made.commit(classifier=BETTER)
    made.run()
    return made


def rollouts(world: World) -> Rollouts:
    project = SimpleNamespace(
        ports=world.ports,
        clock=world.clock,
        newest=lambda: world.read(world.head),
        in_force=lambda newest: None,
        cluster=SimpleNamespace(running=lambda: True),
    )
    return Rollouts(cast(Any, project))


def test_a_person_goes_on_past_a_pause() -> None:
    made = world()
    assert made.standing().held == (ENDPOINT,)
    at, label = rollouts(made).say("delay", "promote", "ada", "looks good")
    assert (str(at.ref), label) == ("ModelDeployment/delay", at.state.rollout and at.state.rollout.version.label)
    made.run()
    assert made.standing().converged
    assert made.ports.state.words() == ()
    (event,) = [item for item in made.ports.state.events(ENDPOINT, 1000) if item.reason == "PromotionCalled"]
    assert (event.data["actor"], event.message.endswith("ada said promote: looks good")) == ("ada", True)
    assert "Promoted" in made.reasons(ENDPOINT)[made.reasons(ENDPOINT).index("PromotionCalled") :]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 6))
def test_a_word_acts_once_however_often_the_controller_dies(call: int, after: bool) -> None:
    made = world(PAUSED.replace("{analyze: {for: 10s}}", "{pause: {}}"))
    rollouts(made).say("delay", "promote", "ada")
    faults = FaultInjector()
    made.restart(faults.around(made.ports))
    faults.crash_at(call, after=after)
    for _ in range(30):
        try:
            made.pass_()
        except Crash:
            faults.revive()
            made.restart(faults.around(made.ports))
            continue
        made.advance()
    assert sorted(made.weights().values()) == [50, 50], "past one pause, and at the next"
    assert made.ports.state.words() == ()


def test_aborted_and_tried_again() -> None:
    made = world()
    rollouts(made).say("ModelDeployment/delay", "abort", "ada", "wrong prices")
    made.run()
    assert made.standing().stalled == (ENDPOINT,)
    assert "ada turned it away: wrong prices" in made.message(ENDPOINT)
    rollouts(made).say("delay", "retry", "ada")
    made.run()
    assert made.standing().held == (ENDPOINT,), "it waits in its pause again"
    rollouts(made).say("delay", "promote", "ada", fully=True)
    made.run()
    assert made.standing().converged


def test_a_version_that_did_not_start_is_tried_again_when_its_training_job_changes() -> None:
    made = World()
    made.run()
    made.commit(classifier=BETTER)
    made.pass_()
    while not made.state(ENDPOINT).get("rollout"):
        made.advance()
        made.pass_()
    app = made.state(ENDPOINT)["rollout"]["version"]["app"]
    made.ports.serving.break_on_start(app, "registry down")
    made.run()
    made.ports.serving.mend(app)
    made.run()
    assert made.standing().stalled == (ENDPOINT,)
    made.commit(classifier=BETTER.replace("min: 0.6", "min: 0.5"))
    made.run()
    assert made.weights() == {app: 100}, "the same model, under another gate"


def test_what_no_word_can_do_is_said_at_once() -> None:
    made = world()
    with pytest.raises(ConfigurationError, match="was not turned away"):
        rollouts(made).say("delay", "retry", "ada")
    with pytest.raises(ConfigurationError, match=r"ModelDeployment/dealy is not on record; git has these .*: delay"):
        rollouts(made).say("dealy", "promote", "ada")
    rollouts(made).say("delay", "promote", "ada", fully=True)
    made.run()
    with pytest.raises(ConfigurationError, match=r"has no rollout under way \(Serving: "):
        rollouts(made).say("delay", "abort", "ada")
    assert made.ports.state.words() == ()


def test_before_the_candidate_waits_it_can_only_be_promoted_fully() -> None:
    made = World()
    made.run()
    made.commit(classifier=BETTER)
    while not made.state(ENDPOINT).get("rollout"):
        made.pass_()
        made.advance()
    with pytest.raises(ConfigurationError, match=r"waits in no step now .*--full"):
        rollouts(made).say("delay", "promote", "ada")


def test_where_a_rollout_stands() -> None:
    made = world()
    found = report(rollouts(made).ongoing("delay"))
    assert found.stable is not None
    assert found.candidate is not None
    assert (found.weight, found.steps[found.step or 0]) == (10, "pause until a person goes on")
    text = rollout_text(found, made.now, width=100)
    assert all(len(line) <= 100 for line in text.splitlines())
    for words in ("Paused", "mlopsctl rollout promote delay", "90 %", "10 %", found.candidate.app, "> pause until"):
        assert words in text
    rollouts(made).say("delay", "abort", "ada", "no")
    assert 'ada said "abort": waits for a controller' in rollout_text(report(rollouts(made).ongoing("delay")), made.now)
    made.run()
    after = report(rollouts(made).ongoing("delay"))
    assert (after.candidate, [item.reason for item in after.turned_away]) == (None, ["Aborted"])
    assert '"turned_away"' in rollout_json(after)


def test_how_versions_fail_is_shown_however_seldom_they_do() -> None:
    made = World()
    made.run()
    (app,) = made.weights()
    failure = Failure("KeyError", "'plane_year'", "serving.py:28, in enrich", 2, made.now)
    made.ports.serving.serve("delay", {app: Served(1_000, 2, failure=failure)})
    found = report(rollouts(made).ongoing("delay"))
    assert (found.reason, [(item.app, item.count) for item in found.failures]) == ("Serving", [(app, 2)])
    text = rollout_text(found, made.now, width=100)
    assert f"{app}: KeyError: 'plane_year' (serving.py:28, in enrich), 2 times" in " ".join(text.split())


def test_nobody_reads_words_where_there_is_nothing_to_say() -> None:
    """A look costs no question to the store for what can change nothing."""
    made = World()
    made.run()
    asked: list[str] = []
    words = made.ports.state.words
    made.ports.state.words = lambda: asked.append("words") or words()  # type: ignore[method-assign, func-returns-value]
    made.pass_()
    assert asked == []
