"""What may be done now: suspended environments, quotas, and what is to stay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.api.categories import Category
from framework.api.conditions import transition, violations
from framework.api.meta import Ref
from framework.planning.admission.admit import admit, admit_all
from framework.planning.admission.ledger import Admitted, Ledger, takes
from framework.planning.admission.rules import Rules
from framework.planning.grammar.actions import (
    Action,
    DeleteApp,
    DeleteModels,
    DeleteTable,
    DeployApp,
    RegisterModel,
    SendAlert,
    StopRun,
    SubmitRun,
)
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.planning.grammar.kind import Needs
from framework.planning.grammar.reasons import ORPHANED, QUOTA_EXCEEDED, SUSPENDED, WAITING_FOR_QUOTA
from framework.ports import Alert, AppSpec, Intent, Record, RunSpec
from tests.builders import NOW, STORAGE, app_arguments, model_version

A, B, C = Ref("TrainingJob", "a"), Ref("TrainingJob", "b"), Ref("TrainingJob", "c")
ORDER = {A: 0, B: 1, C: 2}
ONE_GPU = Needs(cpus=1, gpus=1)


def status(ref: Ref = A, *, reason: str = "Training", **state: Any) -> Status:
    conditions = transition(None, NOW, ready=True, reconciling=True, reason=reason)
    return Status(commit="c", identity="i", digest="d", conditions=conditions, state=state)


def submit(name: str) -> SubmitRun:
    return SubmitRun(RunSpec(name, 1, "w", {}, STORAGE, "t"))


def deploy(name: str, *, replicas: int = 1, gpus: float = 1.0) -> DeployApp:
    return DeployApp(AppSpec(name, "d", app_arguments(), max_replicas=replicas, cpus=0.5, gpus=gpus))


def change(*actions: Action, ref: Ref = A, state: dict[str, Any] | None = None, **more: Any) -> Change:
    items = {f"run:{a.run.name}" for a in actions if isinstance(a, SubmitRun)}
    items |= {f"app:{a.app.name}" for a in actions if isinstance(a, DeployApp)}
    given: dict[str, Any] = {
        "status": status(ref, **(state or {"step": 2})),
        "actions": actions,
        "inventory": frozenset(items),
        "events": (NewEvent("RunStarted", "run"),),
        **more,
    }
    return Change(ref, given.pop("verb", Verb.UPDATE), Category.RETRAIN, "trains", **given)


def record(ref: Ref, *items: str, gpus: float = 1.0) -> Record:
    owned = tuple(sorted(items))
    return Record(ref=ref, status={}, inventory=owned, takes=dict.fromkeys(owned, (1.0, gpus)))


def rules(**limits: Any) -> Rules:
    return Rules(order=ORDER, **limits)


# ------------------------------------------------------------------- suspended


def test_a_suspended_environment_changes_nothing_that_runs_and_remembers_nothing_as_done() -> None:
    old = status(step=1)
    asked = change(submit("x"), StopRun(STORAGE, "y"))
    found = admit(asked, old, record(A, "table:t"), ONE_GPU, Rules(suspend=True), Ledger(), NOW).change
    assert found.actions == ()
    assert found.verb is Verb.WAIT
    assert found.status is not None
    assert found.status.state == {"step": 1}
    assert found.status.conditions.reconciling.reason == SUSPENDED
    assert "submit/x-1, stop/y wait" in found.reason
    assert found.inventory == {"table:t"}
    assert [item.reason for item in found.events] == [SUSPENDED]
    again = admit(asked, found.status, record(A, "table:t"), ONE_GPU, Rules(suspend=True), Ledger(), NOW).change
    assert again.events == ()
    assert again.status == found.status


def test_reports_alerts_and_bookkeeping_go_on_while_it_is_suspended() -> None:
    alert = SendAlert(Alert("m", "e", "firing", "t", {}, "", NOW), {"file": "f"})
    asked = change(alert, RegisterModel(model_version()))
    assert admit(asked, status(), None, ONE_GPU, Rules(suspend=True), Ledger(), NOW).change == asked


def test_a_suspended_environment_forgets_nothing_that_git_no_longer_has() -> None:
    gone = Change(A, Verb.DELETE, Category.METADATA, "removed", None, events=(NewEvent("Deleted", "x"),))
    found = admit(gone, status(step=1), record(A, "app:x"), Needs(), Rules(suspend=True), Ledger(), NOW).change
    assert found.status is not None
    assert found.status.state == {"step": 1}
    assert found.inventory == {"app:x"}


def test_the_first_look_at_a_new_resource_may_fall_into_a_suspension() -> None:
    found = admit(change(submit("x")), None, None, ONE_GPU, Rules(suspend=True), Ledger(), NOW).change
    assert found.status is not None
    assert (found.status.state, found.status.spec, found.inventory) == ({}, {}, frozenset())
    assert not violations(found.status.conditions)


# ------------------------------------------------------------------- deletion


def test_what_is_not_to_be_pruned_stays_with_all_it_owns() -> None:
    gone = Change(A, Verb.DELETE, Category.METADATA, "removed", None, actions=(DeleteApp("x"),))
    keep = Rules(prune=False, suspend=True)
    found = admit(gone, status(step=1), record(A, "app:x"), Needs(), keep, Ledger(), NOW).change
    assert (found.verb, found.actions, found.inventory) == (Verb.NOOP, (), {"app:x"})
    assert found.status is not None
    assert found.status.conditions.stalled.reason == ORPHANED
    assert found.status.conditions.ready.status
    assert not violations(found.status.conditions)
    again = admit(gone, found.status, record(A, "app:x"), Needs(), keep, Ledger(), NOW).change
    assert (again.status, again.events) == (found.status, ())


def test_an_environment_that_keeps_data_beats_a_spec_that_deletes_it() -> None:
    actions = (StopRun(STORAGE, "r"), DeleteTable(f"{STORAGE}/t"), DeleteModels("a", f"{STORAGE}/models/a"))
    told = (NewEvent("Deleted", "its data is deleted"),)
    gone = Change(A, Verb.DELETE, Category.METADATA, "gone", None, actions=actions, events=told)
    found = admit(gone, status(), None, Needs(), Rules(keep_data=True), Ledger(), NOW).change
    assert found.actions == (StopRun(STORAGE, "r"),)
    assert "stays" in found.events[0].message
    assert admit(gone, status(), None, Needs(), Rules(), Ledger(), NOW).change == gone


# ------------------------------------------------------------------- quotas


def test_without_quotas_nothing_is_held_back_and_what_it_takes_is_remembered() -> None:
    found = admit(change(submit("x")), status(), None, ONE_GPU, Rules(), Ledger(), NOW)
    assert found.change == change(submit("x"))
    assert takes(found, None, found.change.inventory) == {"run:x": (1, 1)}


def test_a_run_that_would_exceed_a_quota_waits_and_says_who_holds_what() -> None:
    ledger = Ledger([record(A, "run:a", gpus=3)])
    found = admit(change(submit("b"), ref=B), status(), None, Needs(gpus=2), rules(gpus=4), ledger, NOW)
    waits = found.change
    assert waits.actions == ()
    assert waits.status is not None
    assert waits.status.conditions.reconciling.reason == WAITING_FOR_QUOTA
    assert waits.reason == "needs 2 GPUs; 3 of 4 GPUs are in use by TrainingJob/a"
    assert waits.inventory == frozenset()
    assert [item.reason for item in waits.events] == [WAITING_FOR_QUOTA]
    assert waits.requeue_after is not None
    assert found.want is not None


def test_what_stands_does_not_end_by_itself_so_a_person_is_awaited() -> None:
    ledger = Ledger([record(Ref("ModelDeployment", "d"), "app:d-1", gpus=4)])
    found = admit(change(submit("b"), ref=B), status(), None, ONE_GPU, rules(gpus=4), ledger, NOW)
    assert found.change.status is not None
    assert found.change.status.conditions.reconciling.reason == QUOTA_EXCEEDED
    assert (found.over, found.want) == (True, None)


def test_of_two_versions_side_by_side_one_will_go() -> None:
    ledger = Ledger([record(Ref("ModelDeployment", "d"), "app:d-1", "app:d-2", gpus=2)])
    found = admit(change(submit("b"), ref=B), status(), None, ONE_GPU, rules(gpus=4), ledger, NOW)
    assert found.want is not None


def test_runs_at_a_time_are_counted_whatever_they_need() -> None:
    ledger = Ledger([Record(ref=A, status={}, inventory=("run:a", "table:t"))])
    found = admit(change(submit("b"), ref=B), status(), None, Needs(), rules(runs=1), ledger, NOW)
    assert found.change.reason == "needs 1 run; 1 of 1 runs are in use by TrainingJob/a"


def test_what_is_given_back_counts_at_once_and_is_never_held_back() -> None:
    ledger = Ledger([record(A, "run:old")])
    found = admit(change(StopRun(STORAGE, "old"), submit("new")), status(), None, ONE_GPU, rules(gpus=1), ledger, NOW)
    assert len(found.change.actions) == 2
    full = Ledger([record(A, "run:old"), record(B, "run:b")])
    held = admit(change(DeleteApp("z"), submit("new")), status(), None, ONE_GPU, rules(gpus=2), full, NOW)
    assert held.change.actions == (DeleteApp("z"),)


def test_what_runs_already_may_be_started_again_and_only_growth_counts() -> None:
    deployment = Ref("ModelDeployment", "d")
    ledger = Ledger([record(deployment, "app:x", gpus=2), record(B, "run:b", gpus=2)])
    old = record(deployment, "app:x", gpus=2)
    same = admit(change(deploy("x", replicas=2), ref=deployment), status(), old, Needs(), rules(gpus=4), ledger, NOW)
    assert len(same.change.actions) == 1
    more = admit(change(deploy("x", replicas=3), ref=deployment), status(), old, Needs(), rules(gpus=4), ledger, NOW)
    assert more.change.actions == ()
    assert "needs 1 GPU;" in more.change.reason
    assert more.change.inventory == {"app:x"}, "it still runs"


def test_who_comes_first_in_order_goes_first_however_small_the_others_are() -> None:
    ledger = Ledger([record(A, "run:a", gpus=2)])
    big = admit(change(submit("b"), ref=B), status(), None, Needs(gpus=3), rules(gpus=4), ledger, NOW)
    ledger.let_in(B, big, None)
    small = admit(change(submit("c"), ref=C), status(), None, ONE_GPU, rules(gpus=4), ledger, NOW)
    assert small.change.actions == ()
    assert "TrainingJob/b comes first" in small.change.reason
    ledger.forget(A)
    assert admit(change(submit("b"), ref=B), status(), None, Needs(gpus=3), rules(gpus=4), ledger, NOW).want is None


def test_who_waits_for_something_else_is_in_nobodys_way() -> None:
    ledger = Ledger([record(A, "run:a", gpus=4)])
    ledger.let_in(B, admit(change(submit("b"), ref=B), status(), None, ONE_GPU, rules(gpus=4), ledger, NOW), None)
    found = admit(change(submit("c"), ref=C), status(), None, Needs(cpus=1), rules(gpus=4, cpus=8), ledger, NOW)
    assert len(found.change.actions) == 1


def doing(action: Action, *pair: float) -> Intent:
    attempt = action.run.attempt if isinstance(action, SubmitRun) else None
    return Intent(key=action.key, item=action.item, takes=pair or None, attempt=attempt)


@pytest.mark.parametrize(("before", "after"), [(1.0, 4.0), (4.0, 1.0)])
def test_until_it_is_known_which_the_larger_size_counts(before: float, after: float) -> None:
    kept = Record(
        ref=A, status={}, inventory=("app:x",), takes={"app:x": (before, 0)}, doing=(doing(deploy("x"), after, 0),)
    )
    assert Ledger([kept]).total.cpus == 4
    unknown = Admitted(change(inventory=frozenset({"app:x"})))
    assert takes(unknown, kept, ["app:x"]) == {"app:x": (4, 0)}
    seen = Admitted(change(inventory=frozenset({"app:x"}), takes={"app:x": (after, 0)}))
    assert takes(seen, kept, ["app:x"]) == {"app:x": (after, 0)}, "what was found there is what it takes"


def test_a_run_that_takes_the_place_of_another_takes_no_more_than_the_larger() -> None:
    old, stop, start = "run:old", StopRun(STORAGE, "old"), submit("new")
    for held, asked in ((1.0, 3.0), (3.0, 1.0)):
        kept = Record(
            ref=A, status={}, inventory=("run:new", old), takes={old: (held, 0)},
            doing=(doing(stop), doing(start, asked, 0)),
        )  # fmt: skip
        total = Ledger([kept]).total
        assert (total.cpus, total.runs) == (3, 1)
    both = {"run:new": (1.0, 0.0), old: (1.0, 0.0)}
    stopping = Record(ref=A, status={}, inventory=("run:new", old), takes=both, doing=(doing(stop),))
    assert Ledger([stopping]).total.runs == 1
    ledger = Ledger([record(A, old)])
    found = admit(change(stop, start), status(), record(A, old), Needs(cpus=2), rules(cpus=2, runs=1), ledger, NOW)
    ledger.let_in(A, found, record(A, old))
    assert (ledger.total.cpus, ledger.total.runs) == (2, 1)


@pytest.mark.parametrize("reason", ["TransientError", SUSPENDED])
def test_why_something_is_held_back_is_told_once_whatever_failed_in_between(reason: str) -> None:
    failed = status(reason=reason)
    known = record(A, "run:x").model_copy(update={"withheld": SUSPENDED})
    again = admit(change(submit("x")), failed, known, ONE_GPU, Rules(suspend=True), Ledger(), NOW)
    assert (again.change.events, again.withheld) == ((), SUSPENDED)
    waits = admit(change(submit("x")), failed, known, ONE_GPU, rules(gpus=0), Ledger(), NOW)
    assert ([item.reason for item in waits.change.events], waits.withheld) == ([QUOTA_EXCEEDED], QUOTA_EXCEEDED)
    free = admit(change(submit("x")), failed, known, ONE_GPU, Rules(), Ledger(), NOW)
    assert free.withheld == ""


def test_what_a_plan_lets_in_is_what_a_pass_would() -> None:
    planned = [(change(submit(ref.name), ref=ref), None, ONE_GPU) for ref in (A, B, C)]
    found = admit_all(planned, {}, rules(gpus=2), NOW)
    assert [len(item.actions) for item in found] == [1, 1, 0]
    assert found[2].reason.startswith("needs 1 GPU; 2 of 2 GPUs are in use by TrainingJob/a, TrainingJob/b")


@settings(max_examples=200, deadline=None)
@given(
    needs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=8),
    limits=st.tuples(st.integers(4, 6), st.integers(3, 4), st.integers(1, 3)),
    looks=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=60),
)
def test_quotas_hold_whatever_the_order_of_looks_and_everybody_gets_in_at_last(
    needs: list[tuple[int, int]], limits: tuple[int, int, int], looks: list[tuple[int, bool]]
) -> None:
    refs = [Ref("TrainingJob", f"r{index}") for index in range(len(needs))]
    cpus, gpus, runs = limits
    allowed = Rules(cpus=cpus, gpus=gpus, runs=runs, order={ref: place for place, ref in enumerate(refs)})
    ledger, running, done = Ledger(), set[Ref](), set[Ref]()

    def look(ref: Ref, need: tuple[int, int]) -> None:
        if ref in running or ref in done:
            return
        asked = change(submit(ref.name), ref=ref)
        found = admit(asked, None, None, Needs(float(need[0]), float(need[1])), allowed, ledger, NOW)
        ledger.let_in(ref, found, None)
        if found.change.actions:
            running.add(ref)
        else:
            assert running or done != set(refs)
        total_cpus = sum(needs[refs.index(item)][0] for item in running)
        total_gpus = sum(needs[refs.index(item)][1] for item in running)
        assert total_cpus <= cpus
        assert total_gpus <= gpus
        assert len(running) <= runs

    def end(ref: Ref) -> None:
        running.discard(ref)
        done.add(ref)
        ledger.hold(Record(ref=ref, status={}))

    for index, ends in looks:
        ref = refs[index % len(refs)]
        if ends and ref in running:
            end(ref)
        else:
            look(ref, needs[index % len(refs)])
    for _ in range(2 * len(refs) + 2):
        for ref in sorted(running):
            end(ref)
        for ref, need in reversed(list(zip(refs, needs, strict=True))):
            look(ref, need)
    assert done | running == set(refs)


@pytest.mark.parametrize("suspend", [True, False])
def test_the_same_question_has_the_same_answer(suspend: bool) -> None:
    ledger = Ledger([record(A, "run:a"), record(B, "run:b")])
    asked, allowed = change(submit("c"), ref=C), replace(rules(gpus=2), suspend=suspend)
    first = admit(asked, status(), None, ONE_GPU, allowed, ledger, NOW)
    assert first == admit(asked, status(), None, ONE_GPU, allowed, ledger, NOW)
