"""A simulation does what the loop would do, and nothing of it happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from controllers.commands.simulation import Simulation, simulation
from controllers.host.wiring import OBSERVERS, dry_runs
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.actions import Action, SubmitRun
from framework.planning.grammar.steps import SimulatedPass
from framework.ports import Capacity
from tests.builders import NOW
from tests.world import BETTER, DEPLOYMENT, ENDPOINT, JOB, TRAINING, VIEW, World, environment


def tried(world: World, known: Callable[[Ref], float | None] = lambda ref: 30.0) -> Simulation:
    return simulation(dry_runs(world.ports), KINDS, OBSERVERS, "local", world.now, known)


def kinds_of(sequence: SimulatedPass) -> list[tuple[Ref, str]]:
    return [(step.ref, type(action).__name__) for step in sequence.steps for action in step.actions]


def recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Ref, Action]]:
    """What the world's own reconciler executes from now on."""
    done: list[tuple[Ref, Action]] = []
    loop = type(world.reconciler)
    original = loop.reconcile

    def reconcile(self: object, ref: Ref, desired: object) -> object:
        result = original(self, ref, desired)  # type: ignore[arg-type]
        done.extend((ref, action) for action in (result.change.actions if result.change else ()))
        return result

    monkeypatch.setattr(loop, "reconcile", reconcile)
    return done


def test_a_first_commit_goes_from_features_to_all_traffic() -> None:
    world = World()
    sequence = tried(world).go_to(world.read(world.head))
    assert kinds_of(sequence) == [
        (VIEW, "SubmitRun"),
        (JOB, "SubmitRun"),
        (JOB, "RegisterModel"),
        (ENDPOINT, "DeployApp"),
        (ENDPOINT, "SetRoute"),
    ]
    assert sequence.settled
    assert {item.word for item in sequence.endings} == {"ready"}
    assert [step.stage for step in sequence.steps] == [1, 2, 2, 3, 3]
    assert 60 <= sequence.seconds < 80
    assert world.ports.calls.made == ()
    assert world.ports.state.records() == ()


def test_the_sequence_is_what_the_loop_then_does(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.run()
    world.commit(classifier=BETTER)
    sequence = tried(world).go_to(world.read(world.head))
    done = recorded(world, monkeypatch)
    world.run()
    foreseen = [(step.ref, action.key) for step in sequence.steps for action in step.actions]
    assert foreseen == [(ref, action.key) for ref, action in done]
    assert [item for item in kinds_of(sequence) if item[0] == ENDPOINT].count((ENDPOINT, "SetRoute")) == 3


def test_going_back_trains_nothing() -> None:
    world = World()
    world.run()
    first = world.head
    world.commit(classifier=BETTER)
    world.run()
    sequence = tried(world).go_to(world.read(first))
    assert "SubmitRun" not in {name for _, name in kinds_of(sequence)}
    assert sequence.settled


def test_from_one_commit_to_another_whatever_runs_now() -> None:
    world = World()
    first = world.head
    second = world.commit(classifier=BETTER)
    third = world.commit(delay=None)
    simulated = tried(world)
    assert len(kinds_of(simulated.go_to(world.read(first)))) == 5
    assert (JOB, "SubmitRun") in kinds_of(simulated.go_to(world.read(second)))
    last = simulated.go_to(world.read(third))
    assert kinds_of(last) == [(ENDPOINT, "DeleteRoute"), (ENDPOINT, "DeleteApp")]
    assert {step.stage for step in last.steps} == {3}


def test_durations_come_from_history_and_what_is_assumed_is_named() -> None:
    world = World()
    known = {VIEW: 100.0}
    sequence = tried(world, known.get).go_to(world.read(world.head))
    began = {step.ref: step.at for step in reversed(sequence.steps)}
    assert 100 <= began[JOB] < 105
    assert 160 <= began[ENDPOINT] < 167
    assert sequence.assumed == (JOB,)


def test_a_pause_until_a_person_promotes_is_where_it_ends() -> None:
    world = World()
    world.run()
    paused = DEPLOYMENT.replace("{setWeight: 50}, ", "{setWeight: 50}, {pause: {}}, ")
    world.commit(classifier=BETTER, delay=paused)
    sequence = tried(world).go_to(world.read(world.head))
    assert sequence.settled
    assert {item.ref: item.word for item in sequence.endings}[ENDPOINT] == "held"


def test_converged_is_an_empty_sequence() -> None:
    world = World()
    world.run()
    sequence = tried(world).go_to(world.read(world.head))
    assert sequence.steps == ()
    assert sequence.seconds == 0
    assert sequence.settled
    assert world.now > NOW


def test_a_quota_puts_one_run_after_the_other() -> None:
    other = TRAINING.replace("name: classifier", "name: another")
    limits = environment("quotas: {runs: 1}")
    world = World()
    free = tried(world).go_to(world.read(world.commit(another=other)))
    narrow = tried(world).go_to(world.read(world.commit(local=limits)))
    started = {name: [step.at for step in found.steps if "SubmitRun" in {type(item).__name__ for item in step.actions}]
               for name, found in (("free", free), ("narrow", narrow))}  # fmt: skip
    assert started["free"][1] == started["free"][2]
    assert started["narrow"][2] - started["narrow"][1] >= 30
    assert narrow.settled


def starts(sequence: SimulatedPass) -> list[float]:
    return [step.at for step in sequence.steps if any(isinstance(action, SubmitRun) for action in step.actions)]


def test_a_small_cluster_puts_one_run_after_the_other() -> None:
    world = World()
    world.ports.runs.cluster = Capacity({"CPU": 3.0}, {"CPU": 1.0}, {"app:gone": {"CPU": 0.5}})
    found = tried(world).go_to(world.read(world.commit(another=TRAINING.replace("name: classifier", "name: another"))))
    _, first, second = starts(found)
    assert second - first >= 30, "others hold half of what the two want"
    assert found.settled


def test_what_has_no_room_waits_in_a_simulation_as_well() -> None:
    world = World()
    world.ports.runs.cluster = Capacity({"CPU": 1.2}, {"CPU": 1.2}, {})
    world.run()
    found = tried(world).go_to(world.read(world.commit(another=TRAINING.replace("name: classifier", "name: another"))))
    ending = next(item for item in found.endings if item.ref == Ref("TrainingJob", "another"))
    assert (ending.word, ending.message.partition(" (")[0]) == ("held", "needs 1 CPU; 0.6 of 1.2 CPUs are free")
    assert starts(found) == []


def test_bars_on_parts_of_the_rows_are_passed() -> None:
    gates = "gates: [{metric: auc, min: 0.6}]"
    parts = "slices: [{by: distance, metric: auc, min: 0.6, minRows: 50}]"
    groups = "fairness: [{attribute: distance, metric: equalized_odds_difference, max: 0.1, minRows: 50}]"
    disturbed = "robustness: [{perturb: noise, columns: [distance], metric: auc, maxDrop: 0.1}]"
    bars = TRAINING.replace(gates, f"{gates}, {parts}, {groups}, {disturbed}")
    world = World()
    found = tried(world).go_to(world.read(world.commit(classifier=bars)))
    assert {item.word for item in found.endings} == {"ready"}


def test_a_suspended_environment_does_nothing() -> None:
    world = World()
    rest = environment("suspend: true")
    sequence = tried(world).go_to(world.read(world.commit(local=rest)))
    assert sequence.steps == ()
    assert {item.word for item in sequence.endings} == {"held", "blocked"}
