"""A stable version that no longer answers: it gets its time, and then the candidate that runs takes its place."""

from __future__ import annotations

import pytest

from framework.rollout.canary import STABLE_GRACE
from tests.unit.kinds.deployments import Deployment, deployment_spec, serving

GRACE = STABLE_GRACE.total_seconds()


def reason(deployment: Deployment) -> str:
    assert deployment.status is not None
    return deployment.status.conditions.ready.reason


def damaged(deployment: Deployment) -> None:
    """The stable app cannot start any more, and what ran of it is gone."""
    stable = deployment.app("1")
    deployment.serving.break_on_start(stable, "ArtifactMismatch: the model file is damaged")
    deployment.serving.remove_by_hand(stable)


@pytest.mark.parametrize("shield", [True, False])
def test_the_version_that_mends_it_takes_over(shield: bool) -> None:
    deployment = serving(spec=deployment_spec(shield=shield))
    damaged(deployment)
    deployment.looks(GRACE + 5)
    deployment.want("2")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.running == {deployment.app("2")}
    assert "StableLost" in deployment.events
    promoted = deployment.told("Promoted")[-1]
    assert "has not answered since" in promoted
    assert "the model file is damaged" in promoted


@pytest.mark.parametrize("weight", [10, 50])
def test_a_candidate_in_mid_rollout_takes_over_after_the_grace_and_not_before(weight: int) -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(weight, "2")
    deployment.looks(3)
    deployment.serving.break_on_start(deployment.app("1"))
    deployment.serving.fail(deployment.app("1"))
    deployment.looks(GRACE - 1)
    assert reason(deployment) == "StableUnavailable"
    assert deployment.weights[deployment.app("2")] == weight, "weights stay as they are meanwhile"
    deployment.looks(5)
    assert deployment.weights == {deployment.app("2"): 100}
    (promoted,) = [item.data for change in deployment.changes for item in change.events if item.reason == "Promoted"][
        1:
    ]
    assert (promoted["cause"], bool(promoted["verdicts"])) == ("StableLost", True), "with what was seen of it so far"


def test_a_stable_version_that_comes_back_in_time_keeps_its_place() -> None:
    deployment = serving(observations=40)
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.serving.remove_by_hand(deployment.app("1"))
    deployment.looks(25)
    assert deployment.state.stable_lost is None
    assert "StableLost" not in deployment.events
    deployment.run(looks=400)
    assert deployment.events[-1] == "Promoted"
    assert deployment.told("Promoted")[-1].endswith("passed all 5 steps")


def test_flaps_are_not_added_up() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    for _ in range(4):
        deployment.serving.fail(deployment.app("1"))
        deployment.looks(GRACE / 2, requests=0)
        deployment.serving.remove_by_hand(deployment.app("1"))
        deployment.looks(3, requests=0)
        assert deployment.state.stable_lost is None
    assert deployment.state.rollout is not None


def test_with_some_of_its_replicas_left_it_still_answers() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.serving.fail(deployment.app("1"), answering=True)
    deployment.looks(GRACE + 5)
    assert "StableLost" not in deployment.events


def test_with_the_route_gone_as_well_the_candidate_gets_one() -> None:
    deployment = serving()
    damaged(deployment)
    deployment.serving.remove_route_by_hand("delay")
    deployment.want("2")
    deployment.looks(GRACE + 10)
    assert deployment.weights == {deployment.app("2"): 100}


def test_a_candidate_that_does_not_start_either_is_turned_away_and_the_next_one_takes_over() -> None:
    deployment = serving()
    damaged(deployment)
    deployment.serving.break_on_start(deployment.app("2"), "ImportError: flights")
    deployment.want("2")
    deployment.looks(GRACE + 10)
    assert reason(deployment) == "CandidateRejected"
    assert "ImportError: flights" in deployment.told("CandidateRejected")[-1]
    deployment.want("3")
    deployment.looks(10)
    assert deployment.weights == {deployment.app("3"): 100}


def test_with_both_away_nothing_moves_until_one_is_back() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    for version in ("1", "2"):
        deployment.serving.fail(deployment.app(version))
    deployment.looks(GRACE + 5)
    assert deployment.events.count("Promoted") == 0
    assert deployment.state.rollout is not None
    assert deployment.state.rollout.canary.phase == "Stepping"
    deployment.serving.recover(deployment.app("2"))
    deployment.looks(2)
    assert deployment.state.stable is not None
    assert deployment.state.stable.app == deployment.app("2")


def test_an_older_version_that_git_asks_for_again_need_not_wait() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run()
    deployment.serving.break_on_start(deployment.app("2"))
    deployment.serving.remove_by_hand(deployment.app("2"))
    deployment.want("1")
    deployment.looks(GRACE / 3)
    assert deployment.weights == {deployment.app("1"): 100}


def test_a_first_version_needs_no_stable_one() -> None:
    deployment = Deployment()
    deployment.serving.break_on_start(deployment.app("1"), "bad")
    deployment.looks(5)
    deployment.want("2")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.told("Promoted") == ["delay-classifier@2222222222 serves all traffic: nothing served before it"]


def test_what_it_is_away_for_is_told_once_and_written_once() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.serving.break_on_start(deployment.app("1"))
    deployment.serving.fail(deployment.app("1"), "no route to host")
    deployment.looks(2, requests=0)
    before = deployment.status
    deployment.looks(GRACE / 2, requests=0)
    assert deployment.status == before, "a message that ticks would be a write a look"
    assert deployment.events.count("StableUnavailable") == 1
    assert "no route to host" in deployment.told("StableUnavailable")[0]
