"""What is about to be done is on record before; what came of it is told once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from framework.api.categories import Category
from framework.api.conditions import transition, violations
from framework.api.meta import Ref
from framework.planning.admission.intent import Begun, Resumed, begin, resume, unsettled
from framework.planning.admission.ledger import Take
from framework.planning.grammar.actions import Action, DeleteApp, DeployApp, SetRoute, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.ports import AppSpec, Event, Intent, RouteSpec, RunPhase, RunSpec, RunState
from tests.builders import NOW, STORAGE, app_arguments

ENDPOINT, JOB = Ref("ModelDeployment", "delay"), Ref("TrainingJob", "delay")
REPAIRED = NewEvent("DriftRepaired", "x was gone", {"item": "app:x"})
STARTED = NewEvent("RunStarted", "run r-1", {"run": "r-1"})
SUBMIT = SubmitRun(RunSpec("r", 1, "w", {}, STORAGE, "t"))
DEPLOY = DeployApp(AppSpec("x", "delay", app_arguments()))


def status(*, ready: bool = True, stalled: bool = False, **state: Any) -> Status:
    conditions = transition(None, NOW, ready=ready, reconciling=not stalled, stalled=stalled, reason="R")
    return Status(commit="c", identity="i", digest="d", conditions=conditions, state=state)


def change(*actions: Action, events: tuple[NewEvent, ...] = (), **more: Any) -> Change:
    given: dict[str, Any] = {
        "status": status(step=2), "inventory": frozenset(action.item for action in actions), **more,
    }  # fmt: skip
    return Change(ENDPOINT, Verb.UPDATE, Category.NOOP, "", actions=actions, events=events, **given)


def told(new: NewEvent) -> Event:
    return Event(time=NOW, commit="c", ref=ENDPOINT, reason=new.reason, message="m", data=dict(new.data))


def begun(asked: Change, old: Status | None, resumed: Resumed | None = None, **takes: Take) -> Begun:
    return begin(resumed or Resumed(asked), asked, takes, old, told, NOW)


def intent(action: Action, *events: NewEvent) -> Intent:
    attempt = action.run.attempt if isinstance(action, SubmitRun) else None
    return Intent(key=action.key, item=action.item, attempt=attempt, tells=tuple(map(told, events)))


def reasons(events: Any) -> list[str]:
    return [event.reason for event in events]


# ------------------------------------------------------------------- before


def test_what_is_told_of_an_action_waits_for_it_and_what_was_decided_does_not() -> None:
    decided = NewEvent("Promoted", "", decided=True)
    asked = change(DEPLOY, SUBMIT, events=(decided, REPAIRED, STARTED, NewEvent("Else", "")))
    found = begun(asked, status(step=1), None, **{"run:r": Take(2, 1, 1), "app:x": Take(4, 0)})
    assert [item.reason for item in found.decided] == ["Promoted"]
    assert [item.reason for item in found.rest] == ["Else"]
    assert reasons(found.owed) == ["DriftRepaired", "RunStarted"]
    assert [(item.key, item.takes, item.attempt) for item in found.doing] == [
        ("deploy/x", (4, 0), None), ("submit/r-1", (2, 1), 1),
    ]  # fmt: skip


def test_until_all_is_done_the_state_is_the_one_before_or_the_one_to_go_on_from() -> None:
    old = status(step=1)
    assert begun(change(DEPLOY), old).status.state == {"step": 1}
    assert begun(change(DEPLOY, meanwhile={"step": 1.5}), old).status.state == {"step": 1.5}
    assert begun(change(DEPLOY), None).status.state == {}
    gone = change(DeleteApp("x"), status=None)
    assert begun(gone, old).status == old


@pytest.mark.parametrize("decided", [True, False])
@pytest.mark.parametrize("old", [None, *(status(ready=a, stalled=b) for a in (True, False) for b in (True, False))])
@pytest.mark.parametrize("new", [status(ready=a, stalled=b) for a in (True, False) for b in (True, False)])
def test_nothing_is_in_service_before_it_is_done(old: Status | None, new: Status, decided: bool) -> None:
    events = (NewEvent("Promoted", "", decided=True),) if decided else ()
    found = begun(change(DEPLOY, status=new, events=events), old).status.conditions
    assert not violations(found)
    assert found.ready.status == (old is not None and old.conditions.ready.status and new.conditions.ready.status)
    if old is not None:
        expected = new if decided else old
        assert found.stalled.status == expected.conditions.stalled.status


def test_an_attempt_that_fails_again_and_again_writes_the_same_each_time() -> None:
    old, asked = status(stalled=True), change(DEPLOY, events=(REPAIRED,))
    first = begun(asked, old)
    again = begun(asked, first.status, resume(asked, first.doing, {}, STORAGE))
    assert (again.status, again.doing) == (first.status, first.doing)


# ------------------------------------------------------------------- after a crash


def test_a_difference_on_what_was_about_to_be_touched_is_no_drift_and_one_on_anything_else_is() -> None:
    other = NewEvent("DriftRepaired", "y was gone", {"item": "app:y"})
    route = NewEvent("DriftRepaired", "the route was gone", {"item": "route:delay"})
    asked = change(DEPLOY, events=(REPAIRED, other, route, STARTED))
    found = resume(asked, [intent(DEPLOY), intent(StopRun(STORAGE, "r"))], {}, STORAGE)
    assert found.change.events == (other, route, STARTED)


def test_a_repair_that_was_begun_is_told_once_whether_or_not_it_had_been_done() -> None:
    before = [intent(DEPLOY, REPAIRED)]
    again = resume(change(DEPLOY, events=(REPAIRED,)), before, {}, STORAGE)
    assert again.owed == ()
    assert reasons(begun(again.change, status(), again).owed) == ["DriftRepaired"]
    done = resume(change(inventory=frozenset({"app:x"})), before, {}, STORAGE)
    assert (reasons(done.owed), done.kept) == (["DriftRepaired"], ())
    gone = resume(change(inventory=frozenset()), before, {}, STORAGE)
    assert gone.owed == ()


@pytest.mark.parametrize(("attempt", "expected"), [(0, []), (1, ["RunStarted"]), (2, ["RunStarted"])])
def test_that_a_run_has_started_is_told_if_it_has(attempt: int, expected: list[str]) -> None:
    before, asked = [intent(SUBMIT, STARTED)], change(inventory=frozenset({"run:r"}))
    assert [item.key for item in unsettled(asked, before)] == ["submit/r-1"]
    phase = RunPhase.RUNNING if attempt else RunPhase.ABSENT
    found = resume(asked, before, {"submit/r-1": RunState(phase, attempt)}, STORAGE)
    assert reasons(found.owed) == expected
    assert found.change.actions == ()


def test_a_run_that_is_started_again_is_not_looked_up() -> None:
    asked = change(SUBMIT, events=(STARTED,))
    assert unsettled(asked, [intent(SUBMIT, STARTED)]) == ()
    found = resume(asked, [intent(SUBMIT, STARTED)], {}, STORAGE)
    assert reasons(begun(found.change, status(), found).owed) == ["RunStarted"]


@pytest.mark.parametrize("phase", RunPhase)
def test_a_run_that_nobody_asks_for_any_more_is_stopped(phase: RunPhase) -> None:
    before, state = [intent(SUBMIT, STARTED)], {"submit/r-1": RunState(phase, 1)}
    unwanted = resume(change(), before, state, STORAGE).change
    active = phase in (RunPhase.PENDING, RunPhase.RUNNING)
    assert unwanted.actions == ((StopRun(STORAGE, "r"),) if active else ())
    wanted = change(inventory=frozenset({"run:r"}))
    assert resume(wanted, before, state, STORAGE).change.actions == ()
    stopped = change(StopRun(STORAGE, "r"), inventory=frozenset())
    assert resume(stopped, before, state, STORAGE).change.actions == (StopRun(STORAGE, "r"),)


def test_what_may_not_be_done_now_stays_to_be_done() -> None:
    route = SetRoute(RouteSpec("delay", "/delay", {"x": 100}, "x", 1))
    before = [intent(DEPLOY, REPAIRED), intent(route)]
    resumed = resume(change(DEPLOY, route), before, {}, STORAGE)
    admitted = replace(resumed.change, actions=(route,))
    found = begun(admitted, status(), resumed)
    assert [item.key for item in found.doing] == ["route/delay/1", "deploy/x"]
    assert ([item.key for item in found.kept], found.owed) == (["deploy/x"], ())
