"""The whole of a deployment's life against routers in memory. No request may fail on the way: ``harm`` stays empty."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from framework.api.categories import Category
from framework.api.errors import TerminalError
from framework.kinds.model_deployment.apps import deletes
from framework.kinds.model_deployment.observed import Retiring
from framework.kinds.model_deployment.plan import plan
from framework.kinds.model_deployment.spec import ModelDeploymentSpec
from framework.kinds.model_deployment.target import app_spec, owns, served
from framework.kinds.model_deployment.traffic import SILENCE, acknowledged
from framework.planning.grammar.actions import DeleteApp, DeployApp, SetRoute
from framework.planning.grammar.changes import Status, Verb
from framework.ports import AppPhase, ReplicaCounters, RouteSpec, RouteState
from tests.builders import CODE, NOW, at, desired, model_version
from tests.unit.kinds.deployments import REF, Deployment, deployment_spec, serving


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Deployment]]:
    """Every deployment of a test ends without having made a single request fail."""
    all_made: list[Deployment] = []
    original = Deployment.__init__

    def noted(self: Deployment, *arguments: object, **more: object) -> None:
        original(self, *arguments, **more)  # type: ignore[arg-type]
        all_made.append(self)

    monkeypatch.setattr(Deployment, "__init__", noted)
    yield all_made
    assert [deployment.serving.harm for deployment in all_made] == [[] for _ in all_made]


def reason(status: Status | None) -> str:
    assert status is not None
    return status.conditions.ready.reason


def test_the_first_version_takes_all_traffic_once_it_runs() -> None:
    deployment = Deployment()
    first = deployment.look()
    assert [type(action) for action in first.actions] == [DeployApp]
    assert (first.verb, first.category) == (Verb.CREATE, Category.REDEPLOY)
    assert first.status is not None
    assert not first.status.conditions.ready.status
    settled = deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert (settled.verb, reason(settled.status)) == (Verb.NOOP, "Serving")
    assert deployment.events == ["RolloutStarted", "Promoted"]


def test_a_converged_deployment_asks_for_nothing() -> None:
    deployment = serving()
    before = deployment.status
    change = deployment.look()
    assert (change.verb, change.category, change.actions, change.events) == (Verb.NOOP, Category.NOOP, (), ())
    assert change.requeue_after is None
    assert deployment.status == before


def test_a_good_candidate_goes_through_its_steps_and_the_old_version_leaves() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    assert deployment.weights == {deployment.app("1"): 90, deployment.app("2"): 10}
    deployment.run_until(50, "2")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.running == {deployment.app("2")}
    assert deployment.events == ["RolloutStarted", "WeightChanged", "WeightChanged", "Promoted"]
    promoted = next(
        item
        for change in deployment.changes
        for item in change.events
        if item.reason == "Promoted" and item.data["before"]
    )
    assert promoted.data["verdicts"], "a promotion shows its numbers"


def test_a_candidate_with_errors_goes_back_to_zero_and_is_not_tried_again() -> None:
    deployment = serving()
    deployment.want("2")
    last = deployment.run(error_rate={deployment.app("2"): 0.5})
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.running == {deployment.app("1")}
    assert (last.verb, reason(last.status)) == (Verb.WAIT, "CandidateRejected")
    assert last.status is not None
    assert last.status.conditions.stalled.status
    assert last.status.conditions.ready.status, "the last good version serves"
    (entry,) = deployment.state.quarantined
    assert (entry.identity, entry.reason) == (deployment.app("2").removeprefix("delay-"), "AnalysisFailed")
    assert "error_rate 50.00%" in entry.message
    assert deployment.look().actions == ()


def test_slow_answers_are_judged_too() -> None:
    deployment = serving(spec=deployment_spec(analysis=[{"metric": "latency_p95", "maxRatio": 1.25}]))
    deployment.want("2")
    deployment.run(latency={deployment.app("1"): 0.02, deployment.app("2"): 0.2})
    assert deployment.weights == {deployment.app("1"): 100}


def test_a_candidate_that_cannot_start_never_gets_traffic() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.serving.break_on_start(deployment.app("2"), "ValueError: bad file")
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.events == ["RolloutStarted", "CandidateRejected"]
    assert "ValueError: bad file" in deployment.state.quarantined[0].message


def test_without_traffic_nothing_is_promoted() -> None:
    deployment = serving()
    deployment.want("2")
    with pytest.raises(AssertionError, match="still busy"):
        deployment.run(requests=0)
    assert reason(deployment.status) == "Inconclusive"
    assert deployment.weights[deployment.app("2")] == 10


def test_going_back_to_a_version_that_served_needs_no_analysis() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run()
    deployment.want("1")
    deployment.run(looks=30, requests=0)
    assert deployment.weights == {deployment.app("1"): 100}


def test_asking_for_the_stable_version_again_withdraws_the_candidate_without_blame() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.want("1")
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.events[-1] == "Withdrawn"
    assert deployment.state.quarantined == ()
    deployment.want("2")
    deployment.run()
    assert deployment.weights == {deployment.app("2"): 100}


def test_a_newer_version_supersedes_a_candidate() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    deployment.want("3")
    deployment.run()
    assert deployment.weights == {deployment.app("3"): 100}
    assert deployment.running == {deployment.app("3")}
    assert "Superseded" in deployment.events


def test_while_no_version_is_ready_the_last_good_one_serves() -> None:
    deployment = serving()
    deployment.model = None
    change = deployment.look()
    assert reason(change.status) == "WaitingForModel"
    assert change.waits_for == (("TrainingJob", "delay-classifier"),)
    assert change.status is not None
    assert change.status.conditions.ready.status


def test_an_app_is_deleted_only_after_its_delay_and_the_routers_acknowledgement() -> None:
    deployment = serving(spec=deployment_spec(scaleDownDelay="5s"), observations=3)
    deployment.want("2")
    deployment.run(looks=400)
    promoted = next(
        index
        for index, change in enumerate(deployment.changes)
        if any(item.reason == "Promoted" and item.data["before"] for item in change.events)
    )
    deleted = next(
        index
        for index, change in enumerate(deployment.changes)
        if any(isinstance(action, DeleteApp) for action in change.actions)
    )
    assert deleted - promoted >= 10, "half a second a look"


def test_weights_set_by_hand_are_put_right() -> None:
    deployment = serving()
    deployment.serving.deploy(app_spec(deployment.desired, served(deployment.desired, model_version("9" * 10))), None)
    deployment.serving.tick()
    deployment.serving.change_route_by_hand("delay", weights={deployment.app("1"): 40, deployment.app("9"): 60})
    change = deployment.look()
    assert any(isinstance(action, SetRoute) for action in change.actions)
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert "DriftRepaired" in deployment.events
    assert deployment.running == {deployment.app("1")}, "an app that nobody remembers retires like any other"


def test_an_app_or_a_route_deleted_by_hand_comes_back() -> None:
    deployment = serving()
    deployment.serving.remove_by_hand(deployment.app("1"))
    change = deployment.look()
    assert change.status is not None
    assert not change.status.conditions.ready.status
    deployment.run()
    deployment.serving.remove_route_by_hand("delay")
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.events == ["DriftRepaired", "DriftRepaired"]


def test_with_the_app_gone_too_the_route_waits_for_it() -> None:
    deployment = serving(observations=3)
    deployment.serving.remove_route_by_hand("delay")
    deployment.serving.remove_by_hand(deployment.app("1"))
    assert [type(action) for action in deployment.look().actions] == [DeployApp]
    deployment.run()
    assert deployment.weights == {deployment.app("1"): 100}


def test_an_app_goes_only_once_its_retirement_was_recorded() -> None:
    """Had the decision been lost in a crash, the pass after it could still want the app."""
    deployment = serving()
    stray = deployment.app("9")
    deployment.serving.deploy(app_spec(deployment.desired, served(deployment.desired, model_version("9" * 10))), None)
    retired = Retiring(app=stray, since=NOW, generation=deployment.state.generation)
    decided = deployment.state.model_copy(update={"retiring": (retired,)})
    seen = deployment.observe()
    assert deletes(decided, seen, deployment.state, at(60)).actions == ()
    assert deletes(decided, seen, decided, at(60)).actions == (DeleteApp(stray),)


def test_an_app_changed_by_hand_is_deployed_again() -> None:
    deployment = serving()
    deployment.serving.change_by_hand(deployment.app("1"))
    deployment.run()
    assert deployment.events == ["DriftRepaired"]


def test_replicas_change_in_place_and_the_route_s_fields_too() -> None:
    deployment = serving()
    app = deployment.app("1")
    deployment.spec = deployment_spec(serving={"replicas": {"min": 2, "max": 4}, "timeout": "9s"})
    change = deployment.look()
    assert deployment.app("1") == app, "the same app: nothing is rebuilt"
    assert change.category is Category.RELOAD
    assert [type(action) for action in change.actions] == [DeployApp, SetRoute]
    deployment.run()
    assert deployment.running == {app}


def test_what_answers_differently_is_another_app() -> None:
    plain = served(desired(REF, deployment_spec()), model_version())
    transformed = deployment_spec(serving={"transformer": "flights.serving:transform"})
    first = served(desired(REF, transformed, code=CODE), model_version())
    edited = served(desired(REF, transformed, code=type(CODE)(CODE.commit, CODE.folder, "u" * 40)), model_version())
    moved = served(desired(REF, transformed, code=type(CODE)("d" * 40, CODE.folder, CODE.digest)), model_version())
    assert len({plain.app, first.app, edited.app}) == 3
    assert moved.app == first.app, "another commit with the same code is the same app"
    assert served(desired(REF, deployment_spec(), code=CODE), model_version()).app == plain.app


def test_names_of_its_apps() -> None:
    assert owns("delay", "delay-0123456789")
    assert not owns("delay", "delay-router")
    assert not owns("delay", "delay-two-0123456789")


def test_removed_from_git_the_route_goes_first() -> None:
    deployment = serving()
    deployment.asked = False
    deployment.look()
    assert deployment.serving.route("delay", "") is None
    assert deployment.running
    deployment.look()
    last = deployment.look()
    assert (last.verb, last.status, deployment.running) == (Verb.DELETE, None, set())
    assert last.inventory == frozenset()


def test_a_lost_record_is_found_again_from_what_runs() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run()
    live = deployment.observe().route
    deployment.status = None
    deployment.want("1")
    deployment.spec = deployment_spec(serving={"timeout": "9s"})
    deployment.run()
    after = deployment.observe().route
    assert live is not None
    assert after is not None
    assert after.spec.generation > live.spec.generation, "routers ignore a table that is older than theirs"
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.running == {deployment.app("1")}


@pytest.mark.slow
@pytest.mark.parametrize("killed_after", [0, 1])
def test_killed_at_any_pass_and_begun_again_it_ends_the_same(killed_after: int) -> None:
    passes = 80
    for killed_at in range(0, passes, 3):
        deployment = serving()
        deployment.want("2")
        for number in range(passes):
            deployment.look(killed_after=killed_after if number == killed_at else None)
            deployment.send(200)
        deployment.run()
        assert deployment.weights == {deployment.app("2"): 100}
        assert deployment.running == {deployment.app("2")}
        assert deployment.state.quarantined == ()


def test_the_inventory_names_all_that_it_owns() -> None:
    deployment = serving()
    deployment.want("2")
    deployment.run_until(10, "2")
    assert deployment.changes[-1].inventory == {
        f"app:{deployment.app('1')}",
        f"app:{deployment.app('2')}",
        "route:delay",
    }


def test_another_strategy_is_refused_rather_than_ignored() -> None:
    spec = ModelDeploymentSpec.model_validate(
        {"model": {"training": "t"}, "serving": {"route": "/d"}, "strategy": {"recreate": {}}}
    )
    with pytest.raises(TerminalError, match="canary"):
        plan(desired(REF, spec), Deployment().observe(), None, NOW)


def route(*replicas: ReplicaCounters, generation: int = 5) -> RouteState:
    table = RouteSpec("delay", "/delay", {"a": 100}, "a", generation)
    return RouteState(table, AppPhase.RUNNING, replicas)


def test_a_table_counts_once_every_live_router_has_it() -> None:
    behind, ahead = ReplicaCounters("r1", 4, at(0), {}), ReplicaCounters("r2", 5, at(1), {})
    assert acknowledged(route(ahead), 5, at(0), at(2))
    assert not acknowledged(route(ahead, behind), 5, at(0), at(2))
    assert not acknowledged(route(), 5, at(0), at(2)), "nobody has taken it"
    assert not acknowledged(None, 5, at(0), at(2))
    assert not acknowledged(route(ahead, generation=4), 5, at(0), at(2))


def test_a_router_that_fell_silent_is_not_waited_for_forever() -> None:
    dead, alive = ReplicaCounters("r1", 4, at(-60), {}), ReplicaCounters("r2", 5, at(1), {})
    later = SILENCE + timedelta(seconds=1)
    assert not acknowledged(route(dead, alive), 5, at(0), at(1))
    assert acknowledged(route(dead, alive), 5, at(0), NOW + later)
    slow = ReplicaCounters("r1", 4, at(20), {})
    assert not acknowledged(route(slow, alive), 5, at(0), NOW + later), "it writes, so it may still send"
