"""A route gets from one deployment to another: its callers are answered all the time, whatever happens on the way."""

from __future__ import annotations

import pytest

from framework.api.meta import Ref
from framework.backends.memory.faults import Crash, FaultInjector
from framework.planning.grammar.actions import SubmitRun
from framework.ports import AppPhase
from tests.crashing import do_late, intentions
from tests.world import DEPLOYMENT, ENDPOINT, PROJECT, World, environment, reconciled

RENAMED = DEPLOYMENT.replace("name: delay", "name: late")
LATE = Ref("ModelDeployment", "late")


def served_by(world: World, path: str = "/delay") -> str | None:
    """Whose app answers at a path now; None where nobody does."""
    route = world.ports.serving.routed(path)
    if route is None:
        return None
    apps = world.ports.serving.apps(route.spec.deployment)
    states = [apps[app].phase for app, weight in route.spec.weights.items() if weight and app in apps]
    return route.spec.deployment if states and all(phase is AppPhase.RUNNING for phase in states) else None


def go_on(world: World, faults: FaultInjector | None = None, path: str = "/delay", looks: int = 60) -> list[str]:
    """Pass after pass until nothing moves; who served in turn. Somebody does at every moment."""
    seen: list[str] = []
    for _ in range(looks):
        try:
            world.pass_()
        except Crash:
            assert faults is not None
            faults.revive()
            world.restart(faults.around(world.ports))
        who = served_by(world, path)
        assert who is not None, f"nobody answers at {path}; before: {seen}"
        if not seen or seen[-1] != who:
            seen.append(who)
        if world.standing().settled and not any(world.state(ref).get("retiring") for ref in (ENDPOINT, LATE)):
            break
        world.advance()
    assert world.ports.serving.harm == []
    return seen


def renamed() -> World:
    world = World()
    world.run()
    world.commit(delay=None, late=RENAMED)
    return world


def test_a_deployment_that_is_renamed_hands_its_route_over() -> None:
    world = renamed()
    assert go_on(world) == ["delay", "late"]
    assert world.standing().converged
    assert set(world.ports.serving.apps("delay")) == set()
    assert world.ports.state.load(ENDPOINT) is None
    handed = next(event for event in world.ports.state.events(LATE, 100) if event.reason == "RouteHandedOver")
    assert handed.message == "/delay is handed over from ModelDeployment/delay"
    route = world.ports.serving.route("late", "")
    assert route is not None
    assert [replica.replica for replica in route.replicas] == ["router-0"], "by the router that was there"
    world.pass_()
    assert world.reasons(LATE)[-1] != "DriftRepaired"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 16))
def test_wherever_the_controller_dies_on_the_way(call: int, after: bool) -> None:
    world, faults = renamed(), FaultInjector()
    world.restart(faults.around(world.ports))
    faults.crash_at(call, after=after)
    assert go_on(world, faults) == ["delay", "late"]
    assert world.standing().converged
    assert "DriftRepaired" not in world.reasons(LATE)


@pytest.mark.parametrize("moment", range(12))
def test_what_a_leader_that_was_paused_before_does_late_takes_no_path_back(
    moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    meant = intentions(monkeypatch)
    world = renamed()
    late, stale = [action for action in meant if not isinstance(action, SubmitRun)], world.token
    world.restart(world.ports)
    for number in range(40):
        if number == moment:
            do_late(late, world.ports, stale)
        world.pass_()
        assert served_by(world) is not None
        world.advance()
    assert world.ports.serving.harm == []
    assert served_by(world) == "late"
    assert world.standing().converged


def test_as_long_as_the_new_one_does_not_start_the_old_one_serves() -> None:
    world = renamed()
    world.pass_()
    (app,) = world.ports.serving.apps("late")
    world.ports.serving.break_on_start(app, "TrialFailed: KeyError")
    for _ in range(20):
        world.pass_()
        world.advance()
        assert served_by(world) == "delay"
    assert "goes once ModelDeployment/late has taken over from it" in world.message(ENDPOINT)
    world.ports.serving.mend(app)
    world.commit(late=RENAMED.replace("minRequests: 100", "minRequests: 101"))
    assert go_on(world) == ["delay", "late"]


def test_a_rename_that_is_reverted_on_the_way_and_after() -> None:
    world = renamed()
    for _ in range(2):
        world.pass_()
    world.commit(delay=DEPLOYMENT, late=None)
    assert go_on(world)[-1] == "delay"
    assert world.standing().converged
    world.commit(delay=None, late=RENAMED)
    assert go_on(world) == ["delay", "late"]
    world.commit(delay=DEPLOYMENT, late=None)
    assert go_on(world) == ["late", "delay"]
    assert world.standing().converged


def test_a_rename_through_several_names_keeps_the_router() -> None:
    world = renamed()
    go_on(world)
    later = Ref("ModelDeployment", "later")
    world.commit(late=None, later=DEPLOYMENT.replace("name: delay", "name: later"))
    assert go_on(world) == ["late", "later"]
    assert world.standing().converged
    assert world.ports.state.load(LATE) is None
    assert world.status(later).conditions.ready.status


def test_the_old_name_is_used_again_elsewhere() -> None:
    world = renamed()
    go_on(world)
    world.commit(delay=DEPLOYMENT.replace("/delay", "/elsewhere"))
    assert go_on(world) == ["late"], "which took over the router of that name"
    assert served_by(world, "/elsewhere") == "delay"
    assert world.standing().converged
    world.commit(late=None)
    world.steps(10)
    assert (served_by(world, "/delay"), served_by(world, "/elsewhere")) == (None, "delay")
    assert world.standing().converged


def test_a_deployment_that_is_there_already_moves_to_the_route_of_one_that_goes() -> None:
    other = DEPLOYMENT.replace("name: delay", "name: late").replace("/delay", "/late")
    world = World({**PROJECT, "mlops_specs/late.yaml": other})
    world.run()
    world.commit(delay=None, late=RENAMED)
    assert go_on(world) == ["late"], "at the first look: it runs"
    assert served_by(world, "/late") is None, "it left that route"
    assert world.standing().converged


def test_two_deployments_that_change_routes_end_where_git_wants_them() -> None:
    other = DEPLOYMENT.replace("name: delay", "name: late").replace("/delay", "/late")
    world = World({**PROJECT, "mlops_specs/late.yaml": other})
    world.run()
    world.commit(delay=DEPLOYMENT.replace("/delay", "/late"), late=RENAMED)
    world.steps(20)
    assert (served_by(world, "/delay"), served_by(world, "/late")) == ("late", "delay")
    assert world.standing().converged
    assert world.ports.serving.harm == []


def test_a_route_of_its_own_that_changes_is_free_for_others() -> None:
    world = World()
    world.run()
    world.commit(delay=DEPLOYMENT.replace("/delay", "/elsewhere"), late=RENAMED)
    world.steps(20)
    assert (served_by(world, "/delay"), served_by(world, "/elsewhere")) == ("late", "delay")
    assert world.standing().converged


def test_what_git_has_no_heir_for_goes_at_once() -> None:
    world = World()
    world.run()
    world.commit(delay=None, late=RENAMED.replace("/delay", "/late"))
    world.pass_()
    world.pass_()
    assert served_by(world) is None


def test_where_nothing_is_pruned_the_old_one_stays_without_its_route() -> None:
    world = reconciled(local=environment("deletion: {prune: false}"))
    world.commit(delay=None, late=RENAMED)
    for _ in range(10):
        world.pass_()
        world.advance()
        assert served_by(world) is not None
    assert served_by(world) == "late"
    assert world.standing().orphaned == (ENDPOINT,)
    assert world.ports.serving.apps("delay")


def test_a_plan_shows_that_the_old_one_waits() -> None:
    world = renamed()
    world.source.poll()
    plan = world.plan()
    (old,) = [change for change in plan.changes if change.ref == ENDPOINT]
    assert (old.actions, old.waits_for) == ((), (LATE,))
    assert "goes once ModelDeployment/late has taken over" in old.reason
