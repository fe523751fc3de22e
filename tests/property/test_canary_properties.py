"""Whatever happens in whatever order, and wherever the loop is killed: no request fails, and the end is the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from framework.planning.grammar.actions import SetRoute
from framework.ports import AppPhase
from framework.rollout.canary import advance, begin
from framework.rollout.state import CanaryState, Course
from tests.builders import NOW, at
from tests.unit.kinds.deployments import Deployment, deployment_spec, serving
from tests.unit.rollout.counting import canary, counted, router, signals

PHASES = st.sampled_from([None, *AppPhase])
KILLS = st.lists(st.one_of(st.none(), st.integers(0, 2)), max_size=40)
"""For each pass: None where it comes to its end, otherwise the number of actions after which it is killed."""


@st.composite
def looks(draw: st.DrawFn) -> list[tuple[int, AppPhase | None, bool, int, int]]:
    """Time, phase, whether the routers have the table, and what they counted by then: all but the phase only grow."""
    found, now, requests, errors = [], 0, 0, 0
    for _ in range(draw(st.integers(1, 25))):
        now += draw(st.integers(0, 120))
        requests += draw(st.integers(0, 400))
        errors = min(requests, errors + draw(st.integers(0, 40)))
        found.append((now, draw(PHASES), draw(st.booleans()), requests, errors))
    return found


@given(looks(), st.lists(st.integers(0, 100), max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_weights_stay_within_0_and_100_and_rise_only_by_the_steps(
    seen: list[tuple[int, AppPhase | None, bool, int, int]], weights: list[int], returning: bool
) -> None:
    steps: list[dict[str, object]] = []
    for weight in sorted(weights):
        steps += [{"setWeight": weight}, {"analyze": {"for": "30s"}}]
    spec = canary(*steps, {"setWeight": 100}, startDeadline="60s")
    state = begin(spec, NOW, returning=returning)
    for seconds, phase, applied, requests, errors in seen:
        told = signals(phase, router(counted(requests, errors), counted(9 * requests)), applied=applied)
        state, decision = advance(spec, state, told, at(seconds))
        state = CanaryState.model_validate_json(state.model_dump_json())
        assert state.weight in {0, 100, *weights}
        if decision.course is Course.ABORT:
            assert state.weight == 0
            return
        if decision.course is Course.PROMOTE:
            assert state.weight == 100
            assert phase is AppPhase.RUNNING, "nothing that does not run takes over"
            return
        reached = [step.setWeight for step in spec.steps[: state.step + 1] if step.setWeight is not None]
        assert state.weight in {0, *reached[-1:]}, "the weight of the step it is at, and of no later one"


def settled(deployment: Deployment, errors: float = 0.0) -> None:
    deployment.run(looks=400, error_rate={deployment.app("2"): errors})
    assert deployment.serving.harm == []
    for change in deployment.changes:
        for action in change.actions:
            if isinstance(action, SetRoute):
                assert sum(action.route.weights.values()) == 100
                assert all(0 <= weight <= 100 for weight in action.route.weights.values())
    generations = [
        action.route.generation
        for change in deployment.changes
        for action in change.actions
        if isinstance(action, SetRoute)
    ]
    assert generations == sorted(generations), "a router ignores what is older than what it has"


@given(KILLS, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_good_rollout_killed_after_any_prefix_ends_with_the_candidate(
    kills: list[int | None], observations: int, routers: int
) -> None:
    deployment = serving(observations=observations, routers=routers)
    deployment.want("2")
    for killed_after in kills:
        deployment.look(killed_after=killed_after)
        deployment.send(200)
    settled(deployment)
    assert deployment.weights == {deployment.app("2"): 100}
    assert deployment.running == {deployment.app("2")}
    assert deployment.state.quarantined == ()


@given(KILLS, st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_bad_rollout_killed_after_any_prefix_ends_with_stable(
    kills: list[int | None], observations: int, routers: int
) -> None:
    deployment = serving(observations=observations, routers=routers)
    deployment.want("2")
    bad = {deployment.app("2"): 0.6}
    for killed_after in kills:
        deployment.look(killed_after=killed_after)
        deployment.send(200, error_rate=bad)
    settled(deployment, errors=0.6)
    assert deployment.weights == {deployment.app("1"): 100}
    assert deployment.running == {deployment.app("1")}
    assert len(deployment.state.quarantined) == 1


DISTURBANCES = st.lists(
    st.tuples(
        st.sampled_from(["want 1", "want 2", "want 3", "nothing", "routers", "by hand", "route gone", "resize"]),
        st.one_of(st.none(), st.integers(0, 2)),
        st.integers(1, 6),
    ),
    max_size=12,
)


@given(DISTURBANCES, st.sampled_from("123"))
@settings(max_examples=60, deadline=None)
def test_whatever_came_before_the_end_is_what_git_asks_for(
    disturbances: list[tuple[str, int | None, int]], wanted: str
) -> None:
    deployment = serving()
    for what, killed_after, passes in disturbances:
        match what.split():
            case ["want", version]:
                deployment.want(version)
            case ["routers"] if deployment.serving.route("delay", ""):
                deployment.serving.restart_routers("delay")
            case ["by", "hand"] if deployment.serving.route("delay", ""):
                deployment.serving.change_route_by_hand("delay", shield=False)
            case ["route", "gone"]:
                deployment.serving.remove_route_by_hand("delay")
            case ["resize"]:
                deployment.spec = deployment_spec(serving={"replicas": {"min": 1 + passes, "max": 9}})
        deployment.look(killed_after=killed_after)
        for _ in range(passes):
            deployment.look()
            deployment.send(200)
    deployment.want(wanted)
    settled(deployment)
    assert deployment.weights == {deployment.app(wanted): 100}
    assert deployment.running == {deployment.app(wanted)}
