from __future__ import annotations

from framework.api.categories import Category
from framework.api.conditions import Conditions, transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.planning.grammar.events import new_events, told
from framework.ports import Event
from tests.builders import NOW

REF = Ref("ModelDeployment", "delay")
READY = transition(None, NOW, ready=True, reason="Serving", message="v1 serves")
WORKING = transition(None, NOW, ready=False, reconciling=True, reason="Starting", message="comes up")
STALLED = transition(None, NOW, ready=True, stalled=True, reason="CandidateRejected", message="v2 is worse")


def change(after: Conditions | None, *events: NewEvent) -> Change:
    status = None if after is None else Status(commit="c", identity="i", digest="d", conditions=after)
    return Change(REF, Verb.UPDATE, Category.METADATA, "", status, events=events)


PROMOTED = NewEvent("Promoted", "v1 serves all traffic", {"app": "a"})


def test_what_happened_says_which_condition_flipped_with_it() -> None:
    first, second = new_events(change(READY, PROMOTED, NewEvent("Other", "")), WORKING)
    assert (first.reason, first.message) == ("Promoted", "v1 serves all traffic")
    assert first.data == {"app": "a", "conditions": {"Ready": {"before": False, "after": True}}}
    assert second == NewEvent("Other", "")


def test_a_flip_that_nothing_tells_of_is_news_of_its_own() -> None:
    (found,) = new_events(change(WORKING), READY)
    assert (found.reason, found.message) == ("Starting", "comes up")
    assert found.data == {"conditions": {"Ready": {"before": True, "after": False}}}
    (found,) = new_events(change(STALLED), READY)
    assert (found.reason, found.data["conditions"]) == (
        "CandidateRejected",
        {"Stalled": {"before": False, "after": True}},
    )
    (found,) = new_events(change(READY), STALLED)
    assert (found.reason, found.data["conditions"]) == ("Serving", {"Stalled": {"before": True, "after": False}})


def test_work_that_goes_on_is_no_news() -> None:
    later = transition(WORKING, NOW, ready=False, reconciling=True, reason="Shifting", message="shifts")
    assert new_events(change(later), WORKING) == ()
    assert new_events(change(later, PROMOTED), WORKING) == (PROMOTED,)


def test_of_a_new_resource_only_what_is_true_is_news() -> None:
    assert new_events(change(WORKING), None) == ()
    (found,) = new_events(change(READY), None)
    assert found.data == {"conditions": {"Ready": {"before": None, "after": True}}}


def test_what_goes_has_no_conditions() -> None:
    assert new_events(change(None, PROMOTED), READY) == (PROMOTED,)


def _event(new: NewEvent) -> Event:
    return Event(time=NOW, commit="c", ref=REF, reason=new.reason, message="", data=dict(new.data))


OWED = _event(NewEvent("RunStarted", ""))


def test_what_is_owed_comes_first_and_says_what_flipped_where_nothing_newer_does() -> None:
    resumed = transition(STALLED, NOW, ready=True, reconciling=True, reason="Starting")
    (only,) = told(change(resumed), STALLED, [OWED], _event)
    assert (only.reason, list(only.data["conditions"])) == ("RunStarted", ["Stalled"])
    first, second = told(change(resumed, PROMOTED), STALLED, [OWED], _event)
    assert (first, second.reason, list(second.data["conditions"])) == (OWED, "Promoted", ["Stalled"])


def test_that_it_came_into_service_is_news_of_its_own_whatever_is_owed() -> None:
    found = told(change(READY), WORKING, [OWED], _event)
    assert [item.reason for item in found] == ["RunStarted", "Serving"]
    assert told(change(None, PROMOTED), WORKING, [], _event) == (_event(PROMOTED),)
