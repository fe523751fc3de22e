"""Who looks, what is known because of it, and what can no longer be said when nobody does."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Status
from framework.planning.reports.asked import Asked, Stand
from framework.planning.reports.health import Sync
from framework.planning.reports.oversight import Oversight, Presence, oversee
from framework.planning.reports.overview import Overall, StatusRow, overall, rows
from framework.ports import Heartbeat, Outage, Record
from tests.builders import NOW, at, desired, feature_view_spec

VIEW, ENDPOINT = Ref("FeatureView", "departures"), Ref("ModelDeployment", "delay")
ASKED = {ref: desired(ref, feature_view_spec()) for ref in (VIEW, ENDPOINT)}
DOWN = Outage(since=at(-100), message="connection refused")


def beat(**more: Any) -> Heartbeat:
    """Of a controller that is well, written two seconds ago."""
    known = {"holder": "host:4711:abc", "process": {"pid": 4711}, "started": at(-900), "time": at(-2), "seen": at(-9)}
    return Heartbeat.model_validate({**known, "every": 5, "resync": 10, **more})


def watch(
    found: Heartbeat | None, *, gone: bool = False, here: bool = True, probe: Outage | None = None, now: datetime = NOW
) -> Oversight:
    return oversee(found, gone=gone, here=here, probe=probe, now=now)


AT_WORK = watch(beat())


# ------------------------------------------------------------------- who is there


@pytest.mark.parametrize(
    ("found", "gone", "presence", "told"),
    [
        (None, False, Presence.NEVER, "no controller runs"),
        (beat(), False, Presence.AT_WORK, ""),
        (beat(time=at(-19)), False, Presence.AT_WORK, ""),
        (beat(time=at(-21)), False, Presence.SILENT, "nothing was heard of the controller host:4711:abc since"),
        (beat(time=at(86400 * 365)), False, Presence.SILENT, "nothing was heard"),
        (beat(ended=at(-2)), True, Presence.ENDED, "no controller runs"),
        (beat(), True, Presence.DIED, "the controller of pid 4711 died"),
    ],
)
def test_what_is_known_of_the_controller(found: Heartbeat | None, gone: bool, presence: Presence, told: str) -> None:
    seen = watch(found, gone=gone)
    assert seen.presence is presence
    assert seen.absence.startswith(told)
    assert bool(seen.absence) == bool(told)


def test_a_slow_beat_and_a_long_round_are_waited_for() -> None:
    slow = watch(beat(every=60, time=at(-200), resync=600, seen=at(-1900)))
    assert slow.presence is Presence.AT_WORK
    assert slow.knows(VIEW)
    assert watch(beat(round=100, seen=at(-310))).knows(VIEW)
    assert not watch(beat(round=100, seen=at(-330))).knows(VIEW)


# ------------------------------------------------------------------- what was looked at


@pytest.mark.parametrize(
    ("oversight", "known"),
    [
        (AT_WORK, True),
        (watch(beat(seen=at(-49))), True),
        (watch(beat(seen=at(-51))), False),
        (watch(beat(seen=at(3600))), False),
        (watch(beat(seen=None)), False),
        (watch(beat(late={str(VIEW): at(-300)})), False),
        (watch(beat(late={str(VIEW): None})), False),
        (watch(beat(late={str(ENDPOINT): None})), True),
        (watch(beat(ended=at(-2))), True),
        (watch(beat(ended=at(-2)), now=at(60)), False),
        (watch(beat(), gone=True), False),
        (watch(beat(time=at(-60))), False),
        (watch(None), False),
    ],
)
def test_what_was_looked_at_lately_by_somebody_who_is_well_is_known(oversight: Oversight, known: bool) -> None:
    assert oversight.knows(VIEW) is known


# ------------------------------------------------------------------- whether Ray answers


def test_the_word_of_a_controller_elsewhere_counts_for_its_ray_and_ours_where_none_is_at_work() -> None:
    probe = Outage(since=NOW, message="not here")
    assert watch(beat(), here=False, probe=probe).cluster is None
    assert watch(beat(cluster=DOWN), here=False).cluster == DOWN
    assert watch(beat(), here=True, probe=probe).cluster == probe
    assert watch(beat(time=at(-60)), here=False, probe=probe).cluster == probe
    assert watch(None, probe=probe).cluster == probe
    assert watch(beat(cluster=DOWN), here=True).cluster is None, "it has come back since"


def test_since_when_ray_is_silent_is_what_the_controller_has_seen() -> None:
    probe = Outage(since=NOW, message="no answer")
    assert watch(beat(cluster=DOWN), probe=probe).cluster == Outage(since=DOWN.since, message="no answer")


# ------------------------------------------------------------------- what can still be said


def record(ref: Ref, *inventory: str, **said: Any) -> Record:
    conditions = transition(None, at(-600), **{"ready": True, "reason": "Fine", **said})
    status = Status(
        commit="c", identity="aaaaaaaaaa", digest=ASKED[ref].digest, conditions=conditions, summary="a@1 serves"
    )
    return Record(ref=ref, status=status.model_dump(mode="json"), inventory=inventory, version=1)


def row(ref: Ref, oversight: Oversight | None, *inventory: str, **said: Any) -> StatusRow:
    return next(
        item for item in rows(ASKED, [record(ref, *inventory, **said)], NOW, oversight=oversight) if item.ref == ref
    )


WORKING = {"reconciling": True, "reason": "Training"}
UNSEEN = [watch(None), watch(beat(), gone=True), watch(beat(time=at(-600))), watch(beat(ended=at(-600), seen=at(-601)))]


@pytest.mark.parametrize("oversight", UNSEEN)
@pytest.mark.parametrize("said", [{}, WORKING])
def test_nothing_is_synced_or_progressing_while_nobody_looks(oversight: Oversight, said: dict[str, Any]) -> None:
    found = row(VIEW, oversight, **said)
    assert (found.sync, found.health.reason, found.current) == (Sync.UNKNOWN, "NotLookedAt", False)
    assert oversight.absence in found.health.message
    assert found.looked_at == found.health.since


def test_the_message_says_when_it_was_looked_at_and_how_it_was_then() -> None:
    found = row(VIEW, UNSEEN[3])
    assert found.health.message == "last looked at 2026-03-01 11:49 UTC, when it was Synced; no controller runs"
    assert found.age == timedelta(seconds=601)


def test_what_a_controller_at_work_does_not_come_by_is_unknown_by_itself() -> None:
    oversight = watch(beat(late={str(VIEW): at(-300)}))
    assert row(VIEW, oversight).health.message.endswith("the controller has not come by since")
    assert row(ENDPOINT, oversight).sync is Sync.SYNCED


@pytest.mark.parametrize("item", ["app:delay-5e6f7a8b9c", "route:delay"])
def test_what_is_served_on_a_ray_that_does_not_answer_is_not_synced_however_lately_it_was_looked_at(item: str) -> None:
    oversight = replace(AT_WORK, cluster=DOWN)
    found = row(ENDPOINT, oversight, item)
    assert (found.sync, found.health.reason, found.current, found.health.since) == (
        Sync.UNKNOWN,
        "RayUnavailable",
        False,
        DOWN.since,
    )
    assert "connection refused" in found.health.message
    assert row(VIEW, oversight, "table:/store/x").sync is Sync.SYNCED
    assert row(ENDPOINT, AT_WORK, item).sync is Sync.SYNCED


def test_work_that_a_controller_reports_goes_on_although_what_it_serves_is_what_was() -> None:
    found = row(ENDPOINT, replace(AT_WORK, cluster=DOWN), "app:delay-1", reconciling=True, reason="TransientError")
    assert (found.sync, found.current) == (Sync.PROGRESSING, False)


@pytest.mark.parametrize("said", [{"stalled": True, "reason": "GateFailed"}, {"reconciling": True, "reason": "Paused"}])
def test_what_only_a_person_moves_stands_whoever_looks(said: dict[str, Any]) -> None:
    assert row(VIEW, watch(None), **said).sync in {Sync.STALLED, Sync.HELD}


def test_what_nobody_has_taken_up_says_that_nobody_will() -> None:
    (never, _) = rows(ASKED, [], NOW, oversight=watch(None))
    assert (never.sync, never.health.reason) == (Sync.OUT_OF_SYNC, "NotReconciled")
    assert "no controller runs" in never.health.message
    (waits, _) = rows(ASKED, [], NOW, oversight=AT_WORK)
    assert "no controller" not in waits.health.message


def test_what_a_refused_commit_asks_for_says_why_it_is_not_looked_at() -> None:
    asked = Asked(Stand.REFUSED, "6d38f6d" + "0" * 33, "", ("this commit would remove 5 of 5 resources",))
    gone = record(VIEW).model_copy(update={"ref": Ref("FeatureView", "old")})
    found = rows(ASKED, [gone], NOW, asked=asked, oversight=AT_WORK)
    assert {item.health.reason for item in found} == {"CommitRefused"}
    assert "6d38f6d is refused: this commit would remove 5 of 5" in found[0].health.message


def test_without_git_nobody_can_tell_what_it_asks_for() -> None:
    (found,) = rows(None, [record(VIEW)], NOW, oversight=AT_WORK)
    assert (found.sync, found.health.reason, found.status.summary) == (Sync.UNKNOWN, "GitUnreadable", "a@1 serves")


def test_what_the_store_cannot_read_is_unknown_and_nobody_else_is() -> None:
    damaged = {ENDPOINT: "no JSON"}
    found = {item.ref: item for item in rows(ASKED, [record(VIEW)], NOW, unreadable=damaged, oversight=AT_WORK)}
    assert (found[ENDPOINT].sync, found[ENDPOINT].health.reason) == (Sync.UNKNOWN, "UnreadableRecord")
    assert "no JSON" in found[ENDPOINT].health.message
    assert found[VIEW].sync is Sync.SYNCED


# ------------------------------------------------------------------- in one word


@pytest.mark.parametrize(
    ("said", "asked", "expected"),
    [
        ({}, Stand.IN_FORCE, Overall.SETTLED),
        ({}, Stand.NEW, Overall.UNSETTLED),
        ({}, Stand.WITHHELD, Overall.UNSETTLED),
        ({}, Stand.WRONG, Overall.TROUBLED),
        ({}, Stand.REFUSED, Overall.TROUBLED),
        ({}, Stand.UNREADABLE, Overall.TROUBLED),
        (WORKING, Stand.IN_FORCE, Overall.UNSETTLED),
        ({"reconciling": True, "reason": "Paused"}, Stand.IN_FORCE, Overall.UNSETTLED),
        ({"stalled": True, "reason": "GateFailed"}, Stand.IN_FORCE, Overall.TROUBLED),
    ],
)
def test_an_environment_in_one_word(said: dict[str, Any], asked: Stand, expected: Overall) -> None:
    found = rows({VIEW: ASKED[VIEW]}, [record(VIEW, **said)], NOW, oversight=AT_WORK)
    assert overall(found, Asked(asked)) is expected


def test_nothing_is_well_while_nobody_looks_and_what_is_kept_is() -> None:
    assert overall(rows(ASKED, [record(VIEW)], NOW, oversight=watch(None)), Asked(Stand.IN_FORCE)) is Overall.TROUBLED
    orphan = record(VIEW, stalled=True, reason="Orphaned")
    assert overall(rows({}, [orphan], NOW, oversight=AT_WORK), Asked(Stand.IN_FORCE)) is Overall.SETTLED
