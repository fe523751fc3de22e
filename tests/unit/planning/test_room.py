"""Work starts when the cluster has room for it; what waits for room says how much, and holds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.planning.admission.admit import admit, admit_all
from framework.planning.admission.ledger import Admitted, Ledger, keeps
from framework.planning.admission.room import LOOK_AGAIN, telling_who_waits
from framework.planning.admission.rules import Rules
from framework.planning.grammar.actions import Action, DeployApp, StopRun
from framework.planning.grammar.changes import Change
from framework.planning.grammar.kind import Needs
from framework.planning.grammar.reasons import CLUSTER_TOO_SMALL, WAITING_FOR_ROOM
from framework.ports import AppSpec, Capacity, Record
from tests.builders import NOW, STORAGE, app_arguments
from tests.unit.planning.test_admission import A, B, C, change, rules, status, submit

D, E = Ref("ModelDeployment", "d"), Ref("ModelDeployment", "e")
ONE = Needs(cpus=1)
Held = Mapping[str, float]


def cluster(cpus: float, held: Held = {}, *, others: float = 0.0, gpus: float = 0.0) -> Capacity:  # noqa: B006
    """CPUs by item, and what somebody else has."""
    free = cpus - sum(held.values()) - others
    kept = {item: {"CPU": amount, "GPU": 0.0} for item, amount in held.items()}
    return Capacity({"CPU": cpus, "GPU": gpus}, {"CPU": free, "GPU": gpus}, kept)


def owner(ref: Ref, **items: float) -> Record:
    """What was let in, by item: ``app__x`` for ``app:x``."""
    room = {item.replace("__", ":"): (cpus, 0.0) for item, cpus in items.items()}
    return Record(ref=ref, status={}, inventory=tuple(sorted(room)), takes=room, room=room)


def asked(
    *actions: Action, ref: Ref = A, needs: Needs = ONE, ledger: Ledger | None = None, capacity: Capacity | None = None,
    known: Record | None = None, allowed: Rules | None = None, old: Any = None, **more: Any,
) -> Admitted:  # fmt: skip
    return admit(
        change(*actions, ref=ref, **more), old or status(ref), known, needs, allowed or rules(),
        ledger if ledger is not None else Ledger(), NOW, capacity,
    )  # fmt: skip


def reconciling(found: Change) -> Any:
    assert found.status is not None
    assert not violations(found.status.conditions)
    return found.status.conditions.reconciling


SERVING = (owner(D, app__d=0.5, route__d=0.0), owner(E, app__e=0.5, route__e=0.0))
SERVED = {"app:d": 0.5, "route:d": 0.1, "app:e": 0.5, "route:e": 0.1}


def test_what_does_not_fit_waits_without_holding_anything_and_says_how_much_is_free_of_how_much() -> None:
    found = asked(submit("x"), ledger=Ledger(SERVING), capacity=cluster(2, SERVED))
    assert (found.change.actions, found.change.inventory) == ((), frozenset())
    assert (found.over, found.want, found.withheld) == (True, None, WAITING_FOR_ROOM)
    said = reconciling(found.change)
    assert said.reason == WAITING_FOR_ROOM
    assert said.message == (
        "needs 1 CPU; 0.8 of 2 CPUs are free (ModelDeployment/d holds 0.6, ModelDeployment/e holds 0.6); "
        "nothing of that ends by itself: serve fewer or smaller replicas, or enlarge the cluster"
    )
    assert [item.reason for item in found.change.events] == [WAITING_FOR_ROOM]


def test_that_it_waits_for_room_is_told_once() -> None:
    first = asked(submit("x"), ledger=Ledger(SERVING), capacity=cluster(2, SERVED))
    known = Record(ref=A, status={}, withheld=first.withheld)
    again = asked(submit("x"), ledger=Ledger(SERVING), capacity=cluster(2, SERVED, others=0.1), known=known)
    assert again.change.events == ()
    assert "somebody else holds 0.1" in again.change.reason
    gone = asked(submit("x"), ledger=Ledger(SERVING[:1]), capacity=cluster(2, {"app:d": 0.5}), known=known)
    assert (len(gone.change.actions), gone.withheld) == (1, "")


def test_what_was_let_in_counts_until_it_holds_it_and_then_once() -> None:
    ledger = Ledger([owner(B, run__b=1.0)])
    assert asked(submit("x"), ledger=ledger, capacity=cluster(1.5)).over
    assert asked(submit("x"), ledger=ledger, capacity=cluster(1.5, {"run:b": 1.0})).over
    assert not asked(submit("x"), ledger=ledger, capacity=cluster(2, {"run:b": 0.25})).over
    assert not asked(submit("x"), ledger=ledger, capacity=cluster(2, {"run:b": 1.0})).over


def test_where_nobody_tells_who_holds_what_is_taken_the_larger_counts() -> None:
    def free(let_in: float, free: float) -> str:
        capacity = Capacity({"CPU": 2.0}, {"CPU": free})
        return asked(
            submit("x"), needs=Needs(2), ledger=Ledger([owner(D, app__d=let_in)]), capacity=capacity
        ).change.reason

    assert free(1.0, 0.8).startswith(
        "needs 2 CPUs; 0.8 of 2 CPUs are free (ModelDeployment/d holds 1.1, somebody else holds 0.1"
    )
    assert free(1.0, 2.0).startswith("needs 2 CPUs; 0.9 of 2 CPUs are free (ModelDeployment/d holds 1.1);")


def test_of_two_that_ask_for_the_same_room_one_gets_it() -> None:
    planned = [(change(submit(ref.name), ref=ref), None, ONE) for ref in (A, B)]
    first, second = admit_all(planned, {}, rules(), NOW, cluster(1.5))
    assert (len(first.actions), second.actions) == (1, ())
    assert second.reason == "needs 1 CPU; 0.5 of 1.5 CPUs are free (TrainingJob/a holds 1)"


@pytest.mark.parametrize("capacity", [None, Capacity({}, {}), cluster(0)])
def test_nobody_waits_where_it_is_not_known_what_there_is(capacity: Capacity | None) -> None:
    assert len(asked(submit("x"), ledger=Ledger(SERVING), capacity=capacity).change.actions) == 1


def test_what_others_hold_is_not_free() -> None:
    found = asked(submit("x"), capacity=cluster(2, others=1.5))
    assert found.change.reason.startswith("needs 1 CPU; 0.5 of 2 CPUs are free (somebody else holds 1.5)")


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (Needs(cpus=3), "needs 3 CPUs, and the cluster has 2"),
        (Needs(gpus=1), "needs 1 GPU, and the cluster has 0"),
        (Needs(cpus=4, gpus=2), "needs 4 CPUs, and the cluster has 2; needs 2 GPUs, and the cluster has 0"),
        (Needs(cpus=8, least=(3, 0)), "needs 3 CPUs, and the cluster has 2"),
    ],
)
def test_what_can_never_fit_does_not_wait(needs: Needs, message: str) -> None:
    found = asked(submit("x"), needs=needs, ledger=Ledger([owner(B, run__b=1.0)]), capacity=cluster(2))
    assert (reconciling(found.change).reason, found.change.reason) == (CLUSTER_TOO_SMALL, message)
    assert found.change.actions == ()
    assert found.want is None, "it is in nobody's way"


def test_more_than_it_cannot_do_without_is_waited_for_while_something_ends() -> None:
    trials = Needs(cpus=2, least=(1, 0))
    busy = Ledger([owner(B, run__b=1.0)])
    assert asked(submit("x"), needs=trials, ledger=busy, capacity=cluster(2.6, {"run:b": 1.0})).over
    standing = Ledger([owner(D, app__d=1.0)])
    found = asked(submit("x"), needs=trials, ledger=standing, capacity=cluster(2.6, {"app:d": 1.0}))
    assert len(found.change.actions) == 1
    assert keeps(found, None, ["run:x"]) == {"run:x": (1, 0)}
    whole = asked(submit("x"), needs=Needs(cpus=8, least=(1, 0)), capacity=cluster(2))
    assert keeps(whole, None, ["run:x"]) == {"run:x": (1, 0)}, "a cluster that is small makes it slower, and no more"


def app(name: str, fewest: int, most: int) -> DeployApp:
    return DeployApp(AppSpec(name, "d", app_arguments(), min_replicas=fewest, max_replicas=most, cpus=0.5))


def test_a_deployment_needs_room_for_its_fewest_replicas_and_those_it_grew_to_count_while_they_are_there() -> None:
    found = asked(app("d", 1, 8), ref=D, capacity=cluster(1.1))
    assert keeps(found, None, ["app:d"]) == {"app:d": (0.5, 0)}
    ledger = Ledger()
    ledger.let_in(D, found, None)
    assert not asked(submit("x"), needs=Needs(cpus=0.5), ledger=ledger, capacity=cluster(1.1)).over
    grown = asked(submit("x"), needs=Needs(cpus=0.5), ledger=ledger, capacity=cluster(1.1, {"app:d": 1.0}))
    assert "ModelDeployment/d holds 1.1)" in grown.change.reason
    large = asked(app("d", 3, 8), ref=D, known=owner(D, app__d=0.5), ledger=Ledger([owner(D, app__d=0.5)]),
                  capacity=cluster(2, {"app:d": 1.0}, others=0.75))  # fmt: skip
    assert large.change.reason.startswith("needs 0.5 CPUs; 0.15 of 2 CPUs are free")
    assert large.change.inventory == {"app:d"}, "it still serves"


def test_its_first_version_needs_room_for_the_router_too() -> None:
    assert asked(app("d", 1, 1), ref=D, capacity=cluster(0.55)).change.reason.startswith("needs 0.6 CPUs; 0.55 of 0.55")
    ledger = Ledger()
    ledger.let_in(D, asked(app("d", 1, 1), ref=D, capacity=cluster(1.2)), None)
    taken = cluster(1.2, {"app:d": 0.5})
    second = asked(app("d2", 1, 1), ref=D, ledger=ledger, capacity=taken)
    assert len(second.change.actions) == 1, "which serves the next versions as well"
    assert asked(submit("x"), needs=Needs(cpus=0.65), ledger=ledger, capacity=taken).over, (
        "it is kept until it is there"
    )


def test_a_record_from_before_room_was_kept_holds_what_its_run_takes_and_its_app_has() -> None:
    old = Record(ref=D, status={}, inventory=("app:d",), takes={"app:d": (4.0, 0.0)})
    assert not asked(submit("x"), ledger=Ledger([old]), capacity=cluster(2, {"app:d": 0.5})).over
    run = Record(ref=B, status={}, inventory=("run:b",), takes={"run:b": (1.0, 0.0)})
    assert asked(submit("x"), ledger=Ledger([run]), capacity=cluster(1.5)).over


def test_what_is_held_already_may_be_tried_again_however_full_it_is() -> None:
    ledger = Ledger([owner(A, run__x=1.0)])
    assert not asked(submit("x"), ledger=ledger, capacity=cluster(1, others=1), known=owner(A, run__x=1.0)).over


def test_a_run_takes_the_place_of_the_one_that_is_stopped_for_it() -> None:
    mine = owner(A, run__old=1.0)
    for held in ({}, {"run:old": 1.0}):
        found = asked(
            StopRun(STORAGE, "old"), submit("new"), ledger=Ledger([mine]), capacity=cluster(1, held), known=mine
        )
        assert len(found.change.actions) == 2


def test_who_waits_longer_goes_first_and_who_waits_in_vain_is_in_nobodys_way() -> None:
    ledger = Ledger([owner(A, run__a=1.0)])
    big = asked(submit("b"), ref=B, needs=Needs(cpus=2), ledger=ledger, capacity=cluster(2))
    ledger.let_in(B, big, None)
    small = asked(submit("c"), ref=C, ledger=ledger, capacity=cluster(2))
    assert small.change.reason.endswith("TrainingJob/b comes first")
    assert small.change.requeue_after == LOOK_AGAIN
    assert big.change.requeue_after is not None
    assert big.change.requeue_after < LOOK_AGAIN, "what somebody else gives back wakes nobody"
    ledger = Ledger(SERVING)
    ledger.let_in(B, asked(submit("b"), ref=B, needs=Needs(cpus=2), ledger=ledger, capacity=cluster(2, SERVED)), None)
    assert not asked(submit("c"), ref=C, needs=Needs(cpus=0.5), ledger=ledger, capacity=cluster(2, SERVED)).over


def test_a_rollout_that_holds_what_others_wait_for_is_named_and_says_so_itself() -> None:
    ledger = Ledger([owner(D, app__d1=0.5, app__d2=0.5, route__d=0.0)])
    waits = asked(submit("x"), ledger=ledger, capacity=cluster(2, {"app:d1": 0.5, "app:d2": 0.5, "route:d": 0.1}))
    assert waits.change.reason == (
        "needs 1 CPU; 0.9 of 2 CPUs are free (ModelDeployment/d holds 1.1); the rollout of ModelDeployment/d "
        "would make room: mlopsctl rollout promote d --full, or mlopsctl rollout abort d"
    )
    assert waits.change.status is not None
    assert waits.change.status.waits_for == (D,)
    ledger.let_in(A, waits, None)
    assert ledger.waiting_for(D) == (A,)
    rollout = change(ref=D, status=status(D, reason="Inconclusive"))
    told = reconciling(telling_who_waits(rollout, ledger.waiting_for(D)))
    assert told.message == "TrainingJob/a waits for the room that it holds"
    assert told.reason == "Inconclusive"
    ledger.forget(A)
    assert telling_who_waits(rollout, ledger.waiting_for(D)) == rollout


def test_a_quota_is_told_before_the_cluster() -> None:
    ledger = Ledger([owner(B, run__b=1.0)])
    found = asked(submit("x"), ledger=ledger, capacity=cluster(1, {"run:b": 1.0}), allowed=rules(cpus=1))
    assert found.change.reason == "needs 1 CPU; 1 of 1 CPUs are in use by TrainingJob/b"


def test_the_same_question_has_the_same_answer() -> None:
    found = asked(submit("x"), ledger=Ledger(SERVING), capacity=cluster(2, SERVED))
    assert found == replace(asked(submit("x"), ledger=Ledger(SERVING), capacity=cluster(2, SERVED)))


@settings(max_examples=200, deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=8),
    size=st.integers(3, 6),
    others=st.integers(0, 2),
    looks=st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["look", "take", "end", "read"])), max_size=80),
)
def test_the_cluster_is_never_promised_twice_and_everybody_gets_in_at_last(
    needs: list[tuple[int, int]], size: int, others: int, looks: list[tuple[int, str]]
) -> None:
    """However late runs take what they were let in for, and however old what is known of the cluster."""
    refs = [Ref("TrainingJob", f"r{index}") for index in range(len(needs))]
    wants = [Needs(max(pair), least=(min(pair), 0)) for pair in needs]
    allowed = Rules(order={ref: place for place, ref in enumerate(refs)})
    ledger, done, never = Ledger(), set[Ref](), set[Ref]()
    granted: dict[Ref, float] = {}
    taken: dict[str, float] = {}
    known = cluster(size, {}, others=others)

    def look(index: int) -> None:
        ref = refs[index]
        if ref in granted or ref in done:
            return
        found = asked(submit(ref.name), ref=ref, needs=wants[index], ledger=ledger, capacity=known, allowed=allowed)
        ledger.let_in(ref, found, None)
        if found.change.actions:
            granted[ref] = keeps(found, None, [f"run:{ref.name}"])[f"run:{ref.name}"][0]
            never.discard(ref)
        elif wants[index].least is not None and wants[index].least[0] > size - others:
            never.add(ref)
        assert sum(granted.values()) + others <= size

    def end(ref: Ref) -> None:
        granted.pop(ref)
        taken.pop(f"run:{ref.name}", None)
        done.add(ref)
        ledger.hold(Record(ref=ref, status={}))

    for number, what in looks:
        index = number % len(refs)
        match what:
            case "look":
                look(index)
            case "take" if refs[index] in granted:
                taken[f"run:{refs[index].name}"] = granted[refs[index]]
            case "end" if refs[index] in granted:
                end(refs[index])
            case _:
                known = cluster(size, dict(taken), others=others)
    for _ in range(2 * len(refs) + 2):
        for ref in sorted(granted):
            end(ref)
        known = cluster(size, {}, others=others)
        for index in reversed(range(len(refs))):
            look(index)
    assert done | granted.keys() | never == set(refs)


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (("A100", "T4"), "needs nodes with H100, and the cluster has A100, T4"),
        ((), "needs nodes with H100, and the cluster has no accelerator"),
        (("H100",), ""),
        (None, ""),
    ],
)
def test_an_accelerator_that_no_node_has_is_no_matter_of_waiting(there: tuple[str, ...] | None, told: str) -> None:
    capacity = replace(cluster(8), accelerators=there)
    found = asked(submit(A), needs=replace(ONE, accelerator="H100"), capacity=capacity)
    assert found.over == bool(told)
    assert found.withheld == (CLUSTER_TOO_SMALL if told else "")
    assert not told or found.change.reason == told


@pytest.mark.parametrize(
    ("there", "asks", "told"),
    [
        (({"pool": "a", "zone": "1"}, {"pool": "b"}), {"pool": "b"}, ""),
        (({"pool": "a", "zone": "1"}, {"pool": "b"}), {"pool": "in(a,c)", "zone": "!2"}, ""),
        (
            ({"pool": "a", "zone": "1"}, {"pool": "b"}),
            {"pool": "b", "zone": "1"},
            "no node of the cluster has pool: b and zone: 1 (pool is a or b, zone is 1)",
        ),
        (({},), {"pool": "b"}, "no node of the cluster has pool: b (no node has a label pool)"),
        (({},), {}, ""),
        (None, {"pool": "b"}, ""),
    ],
)
def test_labels_that_no_node_has_are_no_matter_of_waiting(
    there: tuple[dict[str, str], ...] | None, asks: dict[str, str], told: str
) -> None:
    found = asked(submit(A), needs=replace(ONE, labels=asks), capacity=replace(cluster(8), labels=there))
    assert found.over == bool(told)
    assert found.withheld == (CLUSTER_TOO_SMALL if told else "")
    assert not told or found.change.reason == told


def test_a_cluster_that_no_node_has_joined_yet_is_not_blamed_for_what_it_lacks() -> None:
    empty = Capacity({"CPU": 0.0}, {"CPU": 0.0}, {}, accelerators=(), labels=())
    found = asked(submit(A), needs=replace(ONE, accelerator="H100", labels={"pool": "b"}), capacity=empty)
    assert not found.over
