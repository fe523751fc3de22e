from __future__ import annotations

from framework.api.categories import Category
from framework.api.conditions import Conditions, transition
from framework.api.meta import Ref
from framework.planning.changes import Change, Happening, Status, Verb
from framework.planning.news import happened
from tests.builders import NOW

REF = Ref("ModelDeployment", "delay")
READY = transition(None, NOW, ready=True, reason="Serving", message="v1 serves")
WORKING = transition(None, NOW, ready=False, reconciling=True, reason="Starting", message="comes up")
STALLED = transition(None, NOW, ready=True, stalled=True, reason="CandidateRejected", message="v2 is worse")


def change(after: Conditions | None, *happenings: Happening) -> Change:
    status = None if after is None else Status(commit="c", identity="i", digest="d", conditions=after)
    return Change(REF, Verb.UPDATE, Category.METADATA, "", status, happenings=happenings)


PROMOTED = Happening("Promoted", "v1 serves all traffic", {"app": "a"})


def test_what_happened_says_which_condition_flipped_with_it() -> None:
    first, second = happened(change(READY, PROMOTED, Happening("Other", "")), WORKING)
    assert (first.reason, first.message) == ("Promoted", "v1 serves all traffic")
    assert first.data == {"app": "a", "conditions": {"Ready": {"before": False, "after": True}}}
    assert second == Happening("Other", "")


def test_a_flip_that_nothing_tells_of_is_news_of_its_own() -> None:
    (told,) = happened(change(WORKING), READY)
    assert (told.reason, told.message) == ("Starting", "comes up")
    assert told.data == {"conditions": {"Ready": {"before": True, "after": False}}}
    (told,) = happened(change(STALLED), READY)
    assert (told.reason, told.data["conditions"]) == (
        "CandidateRejected",
        {"Stalled": {"before": False, "after": True}},
    )
    (told,) = happened(change(READY), STALLED)
    assert (told.reason, told.data["conditions"]) == ("Serving", {"Stalled": {"before": True, "after": False}})


def test_work_that_goes_on_is_no_news() -> None:
    later = transition(WORKING, NOW, ready=False, reconciling=True, reason="Shifting", message="shifts")
    assert happened(change(later), WORKING) == ()
    assert happened(change(later, PROMOTED), WORKING) == (PROMOTED,)


def test_of_a_new_resource_only_what_is_true_is_news() -> None:
    assert happened(change(WORKING), None) == ()
    (told,) = happened(change(READY), None)
    assert told.data == {"conditions": {"Ready": {"before": None, "after": True}}}


def test_what_goes_has_no_conditions() -> None:
    assert happened(change(None, PROMOTED), READY) == (PROMOTED,)
