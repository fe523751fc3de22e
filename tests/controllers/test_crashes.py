"""Killed between any two calls, or a port that fails once: what hands, quotas and callers must not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from controllers.revision.acceptance import Terms
from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import Crash, FaultInjector
from framework.planning.admission.ledger import Ledger
from tests.crashing import faulty, killed, survive
from tests.stage import FIRST, JOB_TEXT, SERVED, Stage
from tests.world import BETTER, DEPLOYMENT, ENDPOINT, JOB, VIEW, World, environment, reconciled

LARGE = DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {min: 1, max: 9}}")


# ------------------------------------------------------------------- hands and our own


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 8))
def test_nothing_that_we_did_ourselves_is_said_to_have_been_changed_by_hand(call: int, after: bool) -> None:
    for edit in ({"delay": LARGE}, {"delay": DEPLOYMENT.replace("/delay", "/late")}, {"classifier": BETTER}):
        world = reconciled()
        faults = faulty(world)
        world.commit(**edit)
        faults.crash_at(call, after=after)
        survive(world, faults)
        assert "DriftRepaired" not in world.reasons(ENDPOINT)
        assert world.ports.serving.harm == []


def _weights(world: World, app: str) -> None:
    world.ports.serving.change_route_by_hand("delay", weights={app: 40})


def _route(world: World, app: str) -> None:
    world.ports.serving.remove_route_by_hand("delay")


def _app(world: World, app: str) -> None:
    world.ports.serving.change_by_hand(app)


def _gone(world: World, app: str) -> None:
    world.ports.serving.remove_by_hand(app)


@pytest.mark.parametrize("meddle", [_weights, _route, _app, _gone])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 6))
def test_what_hands_changed_is_told_exactly_once(meddle: Callable[[World, str], None], call: int, after: bool) -> None:
    world = reconciled()
    faults = faulty(world)
    meddle(world, next(iter(world.weights())))
    faults.crash_at(call, after=after)
    survive(world, faults)
    survive(world, faults)
    assert world.reasons(ENDPOINT).count("DriftRepaired") == 1
    assert list(world.weights().values()) == [100]


def test_hands_on_something_else_are_seen_while_something_is_under_way() -> None:
    world = reconciled()
    world.commit(delay=LARGE)
    faults = killed(world, "serving.deploy", after=False)
    world.ports.serving.change_route_by_hand("delay", weights={next(iter(world.weights())): 40})
    survive(world, faults)
    assert world.reasons(ENDPOINT).count("DriftRepaired") == 1


@pytest.mark.parametrize("passes", range(1, 6))
def test_what_was_taken_away_and_is_asked_for_again_was_changed_by_no_hands(passes: int) -> None:
    world = reconciled()
    world.source.terms = Terms(allow_prune=True)
    world.commit(delay=None)
    world.steps(passes)
    world.commit(delay=DEPLOYMENT)
    world.run()
    assert world.standing().converged
    assert "DriftRepaired" not in world.reasons(ENDPOINT)
    assert world.ports.serving.harm == []


def test_a_candidate_that_was_rejected_gets_no_more_traffic_whoever_is_killed() -> None:
    world = reconciled()
    (stable,) = world.weights()
    world.error_rate = lambda app: 0.0 if app == stable else 0.5
    world.commit(classifier=BETTER)
    while set(world.weights().values()) != {10, 90}:
        world.pass_()
        world.advance()
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on("serving.set_route", Crash("killed"), after=True)
    seen: list[dict[str, int]] = []
    for _ in range(40):
        try:
            world.pass_()
        except Crash:
            faults.revive()
            world.restart(faults.around(world.ports))
        seen.append(world.weights())
        world.advance()
    back = seen.index({stable: 100})
    assert seen[back:] == [{stable: 100}] * len(seen[back:])
    assert world.reasons(ENDPOINT).count("CandidateRejected") == 1


# ------------------------------------------------------------------- quotas


def _takes(world: World) -> float:
    live = sum(app.spec.max_replicas * app.spec.cpus for app in world.ports.serving._apps.values())
    counted = Ledger(world.ports.state.records()).total.cpus
    assert counted >= live, "a quota would let in too much"
    return counted


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("verb", ["serving.deploy", "state.save"])
def test_what_something_takes_is_right_after_a_kill_however_its_size_was_changed(verb: str, after: bool) -> None:
    world = reconciled()
    for text, expected in ((LARGE, 4.5), (DEPLOYMENT, 0.5)):
        world.commit(delay=text)
        faults = killed(world, verb, after=after)
        assert _takes(world) in (0.5, 4.5)
        survive(world, faults)
        assert _takes(world) == expected


def test_what_was_never_done_takes_nothing_once_nobody_asks_for_it_any_more() -> None:
    world = reconciled()
    world.commit(delay=LARGE)
    faults = killed(world, "serving.deploy", after=False)
    assert _takes(world) == 4.5
    world.commit(delay=DEPLOYMENT)
    survive(world, faults)
    assert _takes(world) == 0.5


def test_a_quota_holds_after_a_kill() -> None:
    other = LARGE.replace("name: delay}", "name: other}").replace("/delay", "/other").replace("max: 9", "max: 2")
    world = reconciled(env=environment("quotas: {cpus: 5}"))
    world.commit(delay=LARGE)
    faults = killed(world, "serving.deploy", after=True)
    survive(world, faults)
    world.commit(other=other)
    for _ in range(40):
        world.pass_()
        world.advance()
        assert _takes(world) <= 5
    assert "needs 1 CPU; 4.5 of 5 CPUs are in use" in world.message(Ref("ModelDeployment", "other"))


# ------------------------------------------------------------------- removal


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "verb", ["state.records", "state.scan", "state.refs", "state.delete", "state.save", "state.load"]
)
@pytest.mark.parametrize("order", [(VIEW, JOB, ENDPOINT), (ENDPOINT, JOB, VIEW)])
def test_removal_goes_in_reverse_order_and_to_its_end_whatever_fails_once(
    order: Sequence[Ref], verb: str, after: bool
) -> None:
    world = reconciled(env=environment("deletion: {maxShare: 1}"))
    faults = faulty(world)
    world.pass_()
    world.commit(delay=None, classifier=None, departures=None)
    world.source.poll()
    faults.fail_on(verb, TransientError("the connection was lost"), after=after)
    retried: list[Ref] = []
    for _ in range(40):
        for ref in (*order, *retried):
            result = world.reconciler.reconcile(ref, world.source.desired.get(ref))
            retried = [ref] if result.retry else []
        world.advance()
    assert list(world.ports.state.records()) == []
    gone = [event.ref for event in world.ports.state.events(limit=1_000) if event.reason == "Deleted"]
    assert gone == [ENDPOINT, JOB, VIEW]


# ------------------------------------------------------------------- writes


def test_a_step_that_acts_takes_two_writes_and_any_other_at_most_one() -> None:
    world = World()
    world.keeper.look()
    for _ in range(60):
        for ref in (None, VIEW, JOB, ENDPOINT):
            before = len(world.ports.calls.made)
            if ref is None:
                world.source.poll()
                continue
            result = world.reconciler.reconcile(ref, world.source.desired.get(ref))
            writes = [call.verb for call in world.ports.calls.made[before:] if call.verb.startswith("state.")]
            assert len(writes) <= (2 if result.calls else 1), (ref, writes)
        world.advance()
    assert world.standing().converged
    assert all(record.doing == () for record in world.ports.state.records())


def test_what_fails_again_and_again_is_written_down_and_told_once() -> None:
    world = reconciled()
    faults = faulty(world)
    faults.fail_on("serving.deploy", TransientError("Ray is not running"), times=None)
    world.commit(delay=LARGE)
    world.steps(5)
    made, events = len(world.ports.calls.made), len(world.ports.state.events(limit=1_000))
    world.steps(20)
    assert (len(world.ports.calls.made), len(world.ports.state.events(limit=1_000))) == (made, events)
    faults.revive()
    survive(world, faults)
    assert _takes(world) == 4.5


@pytest.mark.parametrize("verb", ["serving.apps", "registry.get", "runs.observe", "state.load"])
def test_a_port_that_fails_for_a_while_makes_nothing_be_told_again(verb: str) -> None:
    """What was given up, or waits for a quota, is so before and after."""
    stage = Stage()
    stage.go(lambda stage: iter(()))
    stage.world.auc = lambda identity: 0.5
    stage.commit(
        classifier=JOB_TEXT.replace("rounds: 50", "rounds: 51"),
        late=SERVED.replace("name: delay}", "name: late}").replace("/delay", "/late").replace("max: 2}", "max: 8}"),
    )
    stage.go(lambda stage: iter(()))
    before = Counter(event.reason for event in stage.world.ports.state.events(limit=1_000))
    assert before["GateFailed"] == 1
    faults = faulty(stage.world)
    faults.fail_on(verb, TransientError("not now"), times=None)
    for _ in range(5):
        stage.look([])
        stage.advance()
    faults.revive()
    stage.go(lambda stage: iter(()))
    after = Counter(event.reason for event in stage.world.ports.state.events(limit=1_000))
    assert after - before == Counter({"TransientError": after["TransientError"]})
    assert set(FIRST) <= {ref.name for ref in stage.world.source.desired} | {"env"}
