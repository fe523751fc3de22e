from __future__ import annotations

from typing import Any

import pytest

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.admission.restore import Kept, Return, Way, changing, restore
from framework.planning.grammar.changes import Desired
from tests.builders import desired

VIEW, JOB, ENDPOINT = Ref("FeatureView", "v"), Ref("TrainingJob", "j"), Ref("ModelDeployment", "d")
WATCH = Ref("ModelMonitor", "w")

Asked = dict[Ref, Desired[Any]]


def asked(ref: Ref, identity: str, digest: str, *upstream: Ref) -> Desired[Any]:
    return desired(ref, None, identity=identity, digest=digest, upstream=dict.fromkeys(upstream, "u"))


def chain(mark: str) -> Asked:
    """A view, a job on it, a deployment of it and a monitor, all of one mark."""
    return {
        VIEW: asked(VIEW, f"v{mark}", f"v{mark}"),
        JOB: asked(JOB, f"j{mark}", f"j{mark}", VIEW),
        ENDPOINT: asked(ENDPOINT, f"d{mark}", f"d{mark}", JOB),
        WATCH: asked(WATCH, f"w{mark}", f"w{mark}", ENDPOINT),
    }


def ways(returns: tuple[Return, ...]) -> dict[Ref, Way]:
    return {item.ref: item.way for item in returns}


def all_there(then: Asked) -> dict[Ref, Kept]:
    return {ref: Kept(True, "there") for ref in then}


def test_what_is_still_there_comes_back_without_building() -> None:
    then = chain("1")
    returns = restore(chain("2"), then, all_there(then))
    assert set(ways(returns).values()) == {Way.RETURNS}
    assert [item.ref for item in returns] == [VIEW, JOB, ENDPOINT, WATCH]
    assert [(item.before, item.after) for item in returns][:2] == [("v2", "v1"), ("j2", "j1")]


def test_what_is_in_force_already_stays() -> None:
    then = chain("1")
    returns = restore({**chain("2"), VIEW: then[VIEW]}, then, all_there(then))
    assert ways(returns)[VIEW] is Way.SAME
    assert changing({**chain("2"), VIEW: then[VIEW]}, then) == (JOB, ENDPOINT, WATCH)


def test_what_builds_nothing_is_a_matter_of_settings() -> None:
    then = chain("1")
    now = {**then, ENDPOINT: asked(ENDPOINT, "d1", "more replicas", JOB)}
    assert ways(restore(now, then, all_there(then)))[ENDPOINT] is Way.SETTINGS


def test_what_is_gone_is_built_again_and_what_needs_it_waits() -> None:
    then = chain("1")
    kept = {
        VIEW: Kept(False, "its table is gone", Category.MATERIALIZE),
        JOB: Kept(False, "no version", Category.RETRAIN),
        ENDPOINT: Kept(False, "no model"),
        WATCH: Kept(False, "no model"),
    }
    returns = restore(chain("2"), then, kept)
    assert ways(returns) == {VIEW: Way.BUILDS, JOB: Way.BUILDS, ENDPOINT: Way.WAITS, WATCH: Way.WAITS}
    assert [item.message for item in returns][2:] == [f"waits for {JOB}", f"waits for {ENDPOINT}"]
    assert [item.cost for item in returns] == [Category.MATERIALIZE, Category.RETRAIN, Category.NOOP, Category.NOOP]


def test_a_model_that_is_there_needs_no_table() -> None:
    then = chain("1")
    kept = {**all_there(then), VIEW: Kept(False, "its table is gone", Category.MATERIALIZE)}
    assert ways(restore(chain("2"), then, kept))[JOB] is Way.RETURNS


def test_what_was_turned_down_does_not_come_back() -> None:
    then = chain("1")
    kept = {**all_there(then), ENDPOINT: Kept(False, "was turned down", blocked=True), WATCH: Kept(False, "")}
    found = ways(restore(chain("2"), then, kept))
    assert (found[ENDPOINT], found[WATCH]) == (Way.BLOCKED, Way.WAITS)


def test_what_the_earlier_commit_does_not_have_goes_in_reverse_order() -> None:
    now, then = chain("2"), {VIEW: chain("1")[VIEW]}
    returns = restore(now, then, all_there(then))
    assert [item.ref for item in returns] == [VIEW, WATCH, ENDPOINT, JOB]
    assert [item.way for item in returns][1:] == [Way.GOES] * 3
    assert returns[-1].after is None


@pytest.mark.parametrize("now", [{}, chain("1")])
def test_nothing_in_force_and_everything_in_force(now: Asked) -> None:
    then = chain("1")
    expected = Way.SAME if now else Way.RETURNS
    assert set(ways(restore(now, then, all_there(then))).values()) == {expected}
