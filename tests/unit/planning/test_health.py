"""The word that a resource gets, and since when it is so."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from framework.api.conditions import Conditions, transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.reasons import QUOTA_EXCEEDED, SUSPENDED
from framework.planning.reports.health import Health, Sync, healths
from framework.ports import Record
from tests.builders import at, desired, feature_view_spec

A, B, C = (Ref("FeatureView", name) for name in "abc")
ASKED: dict[Ref, Desired[Any]] = {
    A: desired(A, feature_view_spec()),
    B: desired(B, feature_view_spec(), upstream={A: "aaaaaaaaaa"}),
    C: desired(C, feature_view_spec(), upstream={B: "aaaaaaaaaa"}),
}

READY = {"ready": True, "reason": "Published"}
WORKING = {"ready": True, "reconciling": True, "reason": "Materializing"}
STALLED = {"ready": True, "stalled": True, "reason": "ExpectationFailed"}
PAUSED = {"ready": True, "reconciling": True, "reason": "Paused"}


def conditions(*steps: tuple[float, dict[str, Any]]) -> Conditions:
    """What was said at which second, one after the other."""
    found: Conditions | None = None
    for seconds, said in steps:
        found = transition(found, at(seconds), **said)
    assert found is not None
    return found


def record(ref: Ref, *steps: tuple[float, dict[str, Any]], waits_for: tuple[Ref, ...] = ()) -> Record:
    status = Status(
        commit="c",
        identity="aaaaaaaaaa",
        digest=ASKED[A].digest,
        conditions=conditions(*steps),
        waits_for=waits_for,
    )
    return Record(ref=ref, status=status.model_dump(mode="json"), version=1)


def health(ref: Ref, *records: Record) -> Health:
    found = healths(ASKED, records)[ref]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("steps", "sync", "since"),
    [
        ([(0, READY)], Sync.SYNCED, at(0)),
        ([(0, READY), (60, WORKING), (70, READY), (80, READY)], Sync.SYNCED, at(70)),
        ([(0, READY), (60, STALLED), (90, READY)], Sync.SYNCED, at(90)),
        ([(0, READY), (60, WORKING), (70, WORKING)], Sync.PROGRESSING, at(60)),
        ([(0, WORKING), (60, STALLED), (70, STALLED)], Sync.STALLED, at(60)),
        ([(0, WORKING), (60, PAUSED), (70, PAUSED)], Sync.HELD, at(60)),
    ],
)
def test_since_is_when_it_came_into_this_state(
    steps: list[tuple[float, dict[str, Any]]], sync: Sync, since: datetime
) -> None:
    found = health(A, record(A, *steps))
    assert (found.sync, found.since) == (sync, since)


def test_what_an_older_version_recorded_is_held_since_work_began() -> None:
    old = record(A, (0, WORKING), (60, PAUSED))
    for item in old.status["conditions"].values():
        del item["reason_since"]
    assert health(A, old).since == at(0)


@pytest.mark.parametrize("reason", ["Paused", SUSPENDED, QUOTA_EXCEEDED])
def test_what_waits_for_a_person_is_held(reason: str) -> None:
    assert health(A, record(A, (0, {**PAUSED, "reason": reason}))).sync is Sync.HELD


@pytest.mark.parametrize("above", [STALLED, PAUSED])
def test_what_waits_for_one_that_is_stuck_is_blocked_and_so_is_all_below(above: dict[str, Any]) -> None:
    records = [
        record(A, (0, WORKING), (100, above)),
        record(B, (0, READY), (50, WORKING), waits_for=(A,)),
        record(C, (200, WORKING), waits_for=(B,)),
    ]
    found = healths(ASKED, records)
    assert [(item.sync, item.since) for ref, item in found.items() if item and ref != A] == [
        (Sync.BLOCKED, at(100)),
        (Sync.BLOCKED, at(200)),
    ]


def test_what_waits_for_one_that_works_progresses() -> None:
    records = [record(A, (0, WORKING)), record(B, (0, WORKING), waits_for=(A,))]
    assert health(B, *records).sync is Sync.PROGRESSING


def test_a_stuck_upstream_blocks_nobody_who_does_not_wait_for_it() -> None:
    records = [record(A, (0, STALLED)), record(B, (0, WORKING)), record(C, (0, READY))]
    assert (health(B, *records).sync, health(C, *records).sync) == (Sync.PROGRESSING, Sync.SYNCED)


def test_a_record_that_cannot_be_read_blocks_who_waits_for_it() -> None:
    broken = Record(ref=A, status={"commit": 3})
    records = [broken, record(B, (0, WORKING), waits_for=(A,))]
    assert health(A, broken).reason == "UnreadableRecord"
    assert health(B, *records).sync is Sync.BLOCKED


@pytest.mark.parametrize("said", [STALLED, READY])
def test_what_was_said_before_git_dropped_it_no_longer_counts(said: dict[str, Any]) -> None:
    gone = record(Ref("FeatureView", "gone"), (0, said))
    found = healths(ASKED, [gone])[gone.ref]
    assert found is not None
    assert (found.sync, found.reason) == (Sync.OUT_OF_SYNC, "RemovedFromGit")
