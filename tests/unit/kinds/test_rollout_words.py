"""What people say about a rollout, and what git says about a version that was turned away: when it is tried again."""

from __future__ import annotations

from typing import Any

import pytest

from framework.planning.grammar.actions import DeployApp, TakeBackWord
from tests.builders import model_version
from tests.unit.kinds.deployments import Deployment, deployment_spec, serving

PAUSED = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"analyze": {"for": "10s"}}, {"setWeight": 100})


def reason(deployment: Deployment) -> str:
    assert deployment.status is not None
    return deployment.status.conditions.ready.reason


def message(deployment: Deployment) -> str:
    assert deployment.status is not None
    return deployment.status.conditions.ready.message


def paused(steps: Any = PAUSED) -> Deployment:
    """The second version waits for a person at 10 %."""
    deployment = serving(spec=deployment_spec(steps=steps))
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.looks(3)
    assert reason(deployment) == "Paused"
    return deployment


def failed_to_start(**spec: Any) -> Deployment:
    """The second version was turned away because its app did not start; by now it would."""
    deployment = serving(spec=deployment_spec(**spec))
    deployment.want("2")
    deployment.serving.break_on_start(deployment.app("2"), "registry down")
    deployment.run()
    deployment.serving.mend(deployment.app("2"))
    assert reason(deployment) == "CandidateRejected"
    return deployment


def failed_in_service() -> Deployment:
    deployment = serving()
    deployment.want("2")
    deployment.run(error_rate={deployment.app("2"): 0.5})
    assert reason(deployment) == "CandidateRejected"
    return deployment


# ------------------------------------------------------------------- a pause


def test_a_pause_says_what_to_do_and_it_works() -> None:
    deployment = paused()
    assert "mlopsctl rollout promote delay" in message(deployment)
    assert "mlopsctl rollout abort delay" in message(deployment)
    deployment.say("promote", "2")
    deployment.run_until(50, "2")
    assert "Promoted" not in deployment.events, "the steps behind the pause are taken, too"
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.word is None


def test_promoted_fully_nothing_more_is_waited_for() -> None:
    deployment = paused()
    deployment.say("promote", "2", fully=True)
    deployment.looks(2)
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.told("Promoted")[-1].endswith(": ada said so")


def test_an_analysis_that_gets_no_traffic_can_be_passed_by() -> None:
    deployment = serving(
        spec=deployment_spec(steps=({"setWeight": 10}, {"analyze": {"for": "10s"}}, {"setWeight": 100}))
    )
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.looks(15, requests=0)
    assert reason(deployment) == "Inconclusive"
    assert "mlopsctl rollout promote delay" in message(deployment)
    deployment.say("promote", "2")
    deployment.looks(2, requests=0)
    assert deployment.weights == {deployment.app("2"): 100}


def test_aborted_it_goes_with_the_reason_that_was_given() -> None:
    deployment = paused()
    deployment.say("abort", "2", message="wrong prices")
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.told("CandidateRejected") == ["delay-classifier@2222222222: ada turned it away: wrong prices"]
    assert deployment.state.quarantined[-1].reason == "Aborted"


def test_held_it_goes_no_further_but_is_watched_all_the_same() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.say("pause", "2")
    deployment.looks(30)
    assert (reason(deployment), deployment.weights[deployment.app("2")]) == ("Paused", 10)
    assert "ada holds it here" in message(deployment)
    deployment.say("resume", "2")
    deployment.run_until(50, "2")
    deployment.say("pause", "2")
    deployment.run(error_rate={deployment.app("2"): 0.9})
    assert reason(deployment) == "CandidateRejected"


# ------------------------------------------------------------------- words


def test_a_word_is_taken_back_only_once_what_came_of_it_is_saved() -> None:
    deployment = paused()
    deployment.say("promote", "2")
    first = deployment.look()
    assert not any(isinstance(action, TakeBackWord) for action in first.actions)
    assert deployment.word is not None
    second = deployment.look()
    assert any(isinstance(action, TakeBackWord) for action in second.actions)
    assert deployment.word is None


@pytest.mark.parametrize("killed_at", range(6))
@pytest.mark.parametrize("killed_after", [0, 1])
def test_a_word_acts_once_wherever_the_controller_is_killed(killed_at: int, killed_after: int) -> None:
    steps = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100})
    deployment = paused(steps)
    deployment.say("promote", "2")
    for number in range(10):
        deployment.look(killed_after=killed_after if number == killed_at else None)
        deployment.send(200)
    assert deployment.word is None
    assert (reason(deployment), deployment.weights[deployment.app("2")]) == ("Paused", 50), "past one pause, not two"


def test_the_same_word_said_again_counts_again() -> None:
    steps = ({"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100})
    deployment = paused(steps)
    for weight in (50, 100):
        deployment.say("promote", "2")
        deployment.run_until(weight, "2")
        deployment.looks(2)


@pytest.mark.parametrize("verb", ["promote", "abort", "pause", "resume", "retry", "dance"])
def test_a_word_about_another_candidate_does_nothing_and_says_so(verb: str) -> None:
    deployment = paused()
    deployment.say(verb, "1")
    deployment.looks(2)
    assert (reason(deployment), deployment.word) == ("Paused", None)
    assert deployment.told("WordIgnored")[0].startswith(f"ada said {verb}, but ")


def test_where_it_waits_in_no_step_there_is_none_to_go_past() -> None:
    deployment = serving(observations=20)
    deployment.want("2")
    deployment.look()
    deployment.say("promote", "2")
    deployment.look()
    assert deployment.told("WordIgnored") == ["ada said promote, but it waits in no step"]


# ------------------------------------------------------------------- tried again


def test_a_version_that_no_caller_met_is_tried_again_when_the_deployment_changes() -> None:
    deployment = failed_to_start()
    assert "mlopsctl rollout retry delay" in message(deployment)
    deployment.spec = deployment_spec(startDeadline="30m")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert "QuarantineLifted" in deployment.events


def test_nothing_changed_it_is_not_tried_again() -> None:
    deployment = failed_to_start()
    deployment.want("1")
    deployment.run()
    deployment.want("2")
    assert deployment.run().actions == ()
    assert reason(deployment) == "CandidateRejected"


def test_what_it_failed_under_is_what_was_in_force_when_it_failed() -> None:
    """A spec that changed while it was starting is not another chance for it."""
    deployment = serving()
    deployment.want("2")
    deployment.serving.break_on_start(deployment.app("2"), "registry down")
    deployment.look()
    deployment.spec = deployment_spec(startDeadline="30m")
    deployment.run()
    assert deployment.events.count("RolloutStarted") == 1
    assert reason(deployment) == "CandidateRejected"


@pytest.mark.parametrize(
    ("spec", "again"),
    [
        (deployment_spec(serving={"maxQueued": 7}), False),
        (deployment_spec(serving={"replicas": {"min": 1, "max": 2}}), False),
        (deployment_spec(analysis=[{"metric": "error_rate", "maxIncrease": 0.9}]), True),
    ],
)
def test_a_version_that_failed_in_service_is_tried_again_only_when_it_would_be_judged_otherwise(
    spec: Any, again: bool
) -> None:
    deployment = failed_in_service()
    deployment.spec = spec
    deployment.run(error_rate={deployment.app("2"): 0.5})
    assert deployment.weights == {deployment.app("2" if again else "1"): 100}


def test_what_a_person_turned_away_is_not_tried_again_for_a_change_of_anything() -> None:
    deployment = serving(observations=20)
    deployment.want("2")
    deployment.look()
    deployment.say("abort", "2")
    deployment.run()
    deployment.spec = deployment_spec(serving={"maxQueued": 7})
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}


@pytest.mark.parametrize("failed", [failed_to_start, failed_in_service])
def test_an_operator_may_have_it_tried_again(failed: Any) -> None:
    deployment = failed()
    deployment.say("retry", "2", message="the registry is back")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.told("QuarantineLifted") == ["delay-classifier@2222222222: ada said retry: the registry is back"]


# ------------------------------------------------------------------- left for a reason


def test_a_version_that_was_rolled_back_from_does_not_return_at_once() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run()
    deployment.want("1")
    deployment.run(requests=0)
    deployment.events.clear()
    deployment.want("2")
    deployment.looks(8)
    assert deployment.weights[deployment.app("2")] == 10, "in steps, as any other candidate"
    deployment.run(error_rate={deployment.app("2"): 0.5})
    assert deployment.weights == {deployment.app("1"): 100}


def test_several_steps_back_and_forward_again() -> None:
    deployment = serving()
    for version in "234":
        deployment.want(version)
        deployment.run()
    for version in "31":
        deployment.want(version)
        deployment.run(looks=30, requests=0)
        assert deployment.weights == {deployment.app(version): 100}, "back is at once"
    for version in "32":
        deployment.want(version)
        deployment.run_until(10, version)
    assert deployment.events.count("Promoted") == 5


# ------------------------------------------------------------------- tried


def test_a_model_of_which_no_rows_were_kept_starts_untried_and_that_is_said() -> None:
    deployment = serving()
    assert deployment.told("RolloutStarted")[0].endswith(deployment.app("1"))
    deployment.model = model_version("2" * 10).model_copy(update={"trial_rows": 0})
    deployment.look()
    assert "it starts untried" in deployment.told("RolloutStarted")[-1]


def test_rows_to_try_a_version_on_are_no_other_version() -> None:
    """They change nothing about its answers: what serves goes on, and what is yet to start is started with them."""
    deployment = serving()
    rows = {"rows": [{"carrier": "UA"}]}
    deployment.spec = deployment_spec(serving={"trial": rows})
    assert deployment.run().actions == ()
    deployment.spec = deployment_spec()
    deployment.serving.break_on_start(deployment.app("2"), "TrialFailed: KeyError: 'Carrier'")
    deployment.want("2")
    deployment.look()
    deployment.spec = deployment_spec(serving={"trial": rows})
    (deploy,) = [action for action in deployment.look().actions if isinstance(action, DeployApp)]
    assert (deploy.app.name, deploy.app.arguments.to_json()["trial"]) == (deployment.app("2"), rows)


def test_a_version_that_failed_its_trial_is_tried_again_once_its_rows_are_named() -> None:
    deployment = failed_to_start()
    deployment.spec = deployment_spec(serving={"trial": {"rows": [{"carrier": "UA"}]}})
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}


# ------------------------------------------------------------------- names


def transformer(name: str) -> Any:
    return deployment_spec(serving={"transformer": f"flights.serving:{name}"})


def test_versions_of_one_model_are_told_apart_by_what_differs() -> None:
    deployment = serving(spec=transformer("tidy"))
    deployment.spec = transformer("enrich")
    deployment.look()
    assert deployment.told("RolloutStarted")[-1].startswith(
        "delay-classifier@1111111111 (transformer flights.serving:enrich) as delay-"
    )
    deployment.run_until(10, "1")
    assert deployment.status is not None
    assert deployment.status.summary.startswith(
        "delay-classifier@1111111111 (transformer flights.serving:tidy) serves; "
        "10 % on delay-classifier@1111111111 (transformer flights.serving:enrich)"
    )
    assert "(transformer flights.serving:enrich) from 0 % to 10 %" in deployment.told("WeightChanged")[-1]
    deployment.run()
    assert deployment.told("Promoted")[-1].startswith(
        "delay-classifier@1111111111 (transformer flights.serving:enrich) serves all traffic "
        "instead of delay-classifier@1111111111 (transformer flights.serving:tidy)"
    )


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"resources": {"cpus": 2}}, "(2 CPUs)"),
        ({"batching": {"maxSize": 8}}, "(batches of 8)"),
        ({"profiling": {"key": "flight"}}, "(key flight)"),
    ],
)
def test_whatever_differs_is_named(changed: dict[str, Any], told: str) -> None:
    deployment = serving()
    deployment.spec = deployment_spec(serving=changed)
    deployment.look()
    assert told in deployment.told("RolloutStarted")[-1]


def test_versions_of_different_models_are_called_by_their_names() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.look()
    assert deployment.told("RolloutStarted")[-1].startswith("delay-classifier@2222222222 as delay-")
