from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from framework.ports import Failure, Recent, ReplicaCounters, VersionCounters
from framework.rollout.analysis.window import FIRST_LOOK, AnalysisWindow, open_window
from tests.builders import NOW
from tests.unit.rollout.counting import CANDIDATE, STABLE, canary, counted, router


def opened(*routers: ReplicaCounters) -> AnalysisWindow:
    return open_window(routers, CANDIDATE, STABLE, NOW)


def test_only_traffic_since_it_opened_counts() -> None:
    window = opened(router(counted(50, 40), counted(500, 5))).follow([router(counted(60, 41), counted(800, 6))], NOW)
    assert (window.total(CANDIDATE).requests, window.total(CANDIDATE).errors) == (10, 1)
    assert window.total(STABLE).requests == 300
    assert sum(window.total(STABLE).latency_buckets) == 300


def test_replicas_are_added_up_and_a_new_one_counts_from_zero() -> None:
    window = opened(router(counted(5), counted(5)))
    window = window.follow([router(counted(9), counted(5)), router(counted(30, 3), counted(40), "router-1")], NOW)
    assert (window.total(CANDIDATE).requests, window.total(CANDIDATE).errors) == (34, 3)


def test_a_replica_that_disappears_keeps_what_it_counted() -> None:
    window = opened(router(counted(0), counted(0))).follow([router(counted(20, 20), counted(20))], NOW)
    window = window.follow([router(counted(1), counted(1), "router-1")], NOW)
    assert (window.total(CANDIDATE).requests, window.total(CANDIDATE).errors) == (21, 20)


def test_a_replica_that_starts_again_under_its_name_never_counts_backwards() -> None:
    window = opened(router(counted(1_000, 10), counted(1_000))).follow([router(counted(7, 2), counted(3))], NOW)
    assert (window.total(CANDIDATE).requests, window.total(CANDIDATE).errors) == (7, 2)


def test_nothing_new_changes_nothing() -> None:
    window = opened(router(counted(5), counted(5)))
    assert window.follow([router(counted(5), counted(5))], NOW) is window
    busy = replace(counted(5), recent=Recent(5))
    assert window.follow([router(busy, counted(5))], NOW) is window, "what was recently passes by itself"


def failing(count: int, message: str = "boom", where: str = "serving.py:3") -> VersionCounters:
    return replace(counted(count, count), failures=(Failure("ValueError", message, where, count, NOW),))


def test_failures_since_it_opened_are_added_up_by_kind() -> None:
    window = opened(router(failing(5), counted(5)))
    window = window.follow([router(failing(9, "bang"), counted(5)), router(failing(2), counted(5), "router-1")], NOW)
    window = AnalysisWindow.model_validate_json(window.model_dump_json())
    (failure,) = window.total(CANDIDATE).failures
    assert (failure.type, failure.where, failure.count) == ("ValueError", "serving.py:3", 6)
    assert window.total(STABLE).failures == ()


def test_a_failure_that_was_forgotten_meanwhile_counts_anew() -> None:
    window = opened(router(failing(5), counted(5))).follow(
        [router(replace(failing(9), failures=failing(2).failures), counted(5))], NOW
    )
    assert [failure.count for failure in window.total(CANDIDATE).failures] == [2]


def test_a_candidate_that_refuses_everything_is_looked_at() -> None:
    refuses = replace(counted(0), refused=FIRST_LOOK)
    window = opened(router(counted(0), counted(0)))
    assert not window.look_due(100)
    assert window.follow([router(refuses, counted(90))], NOW).look_due(100)


def test_other_apps_are_not_kept() -> None:
    busy = ReplicaCounters("router-0", 1, NOW, {CANDIDATE: counted(1), STABLE: counted(1), "delay-old": counted(9)})
    assert set(opened(busy).follow([busy], NOW).last["router-0"]) == {CANDIDATE, STABLE}


def test_looks_come_with_traffic_and_ever_more_rarely() -> None:
    window, looks = opened(router(counted(0), counted(0))), []
    for requests in range(1, 1_001):
        window = window.follow([router(counted(requests), counted(requests))], NOW)
        if window.look_due(100):
            window = window.look(canary(), 0.01, NOW)
            looks.append(requests)
    assert looks[0] == FIRST_LOOK
    assert 100 in looks, "a look as soon as the spec's minimum is reached"
    assert len(looks) < 16
    assert all(later >= earlier * 1.5 for earlier, later in pairwise(looks) if later != 100)


def test_looks_never_spend_more_than_their_share() -> None:
    window, spent = opened(router(counted(0), counted(0))), 0.0
    for requests in range(1_000, 40_000, 1_000):
        window = window.follow([router(counted(requests), counted(requests))], NOW).look(canary(), 0.01, NOW)
        spent += window.verdicts[0].alpha
    assert 0.009 < spent < 0.01
