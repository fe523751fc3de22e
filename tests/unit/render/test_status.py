"""Whether git and what runs agree, and how that is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from framework.planning.reports.health import Sync
from framework.planning.reports.overview import StatusRow, report, rows
from framework.ports import Record
from framework.render.events import events_jsonl, events_text
from framework.render.status import resource_json, resource_text, row_document, status_json, status_text
from tests.unit.render.samples import (
    DEPARTURES,
    DEPLOYMENT,
    DESIRED,
    EVENTS,
    NOW,
    OLD_VIEW,
    RECORDS,
    REVISIONS,
    TRACEBACK,
    TRAINING,
    WEATHER,
    desired,
    record,
    status,
)

IDENTITY, DIGEST = "aa11bb22cc", "da11bb22cc"


def row_of(identity: str = IDENTITY, digest: str = DIGEST, **conditions: Any) -> StatusRow:
    recorded = record(TRAINING, status(identity, "Reason", "message", digest=digest, **conditions))
    return rows({TRAINING: desired(TRAINING, IDENTITY)}, [recorded], NOW)[0]


@pytest.mark.parametrize(("digest", "identity"), product((DIGEST, "0000000000"), (IDENTITY, "0000000000")))
def test_synced_is_said_only_when_nothing_speaks_against_it(digest: str, identity: str) -> None:
    states = {
        (True, False, False): Sync.SYNCED,
        (True, True, False): Sync.PROGRESSING,
        (False, True, False): Sync.PROGRESSING,
        (True, False, True): Sync.STALLED,
        (False, False, True): Sync.STALLED,
    }
    for (ready, reconciling, stalled), expected in states.items():
        row = row_of(identity, digest, ready=ready, reconciling=reconciling, stalled=stalled)
        same = digest == DIGEST and identity == IDENTITY
        assert row.sync is (expected if same else Sync.OUT_OF_SYNC)


def test_a_record_that_says_nothing_is_unknown() -> None:
    mute = status(IDENTITY, "Reason").model_dump(mode="json")
    mute["conditions"]["ready"]["status"] = False
    row = rows({TRAINING: desired(TRAINING, IDENTITY)}, [Record(ref=TRAINING, status=mute)], NOW)[0]
    assert row.sync is Sync.UNKNOWN


def test_a_stall_of_an_older_spec_says_nothing_about_the_new_one() -> None:
    row = row_of("0000000000", stalled=True)
    assert (row.sync, row.health.reason) == (Sync.OUT_OF_SYNC, "NotTakenUp")
    assert IDENTITY in row.health.message
    assert "0000000000" in row.health.message


def test_what_no_pass_has_seen_is_out_of_sync() -> None:
    row = rows({TRAINING: desired(TRAINING, IDENTITY)}, [], NOW)[0]
    assert (row.sync, row.health.reason, row.status, row.age) == (Sync.OUT_OF_SYNC, "NotReconciled", None, None)


@pytest.mark.parametrize("reconciling", [False, True])
def test_what_git_no_longer_has_is_never_synced(reconciling: bool) -> None:
    row = rows({}, [record(OLD_VIEW, status("3333333333", "Published", reconciling=reconciling))], NOW)[0]
    assert row.sync is (Sync.PROGRESSING if reconciling else Sync.OUT_OF_SYNC)
    assert row.asked_identity is None


def test_a_record_that_cannot_be_read_is_unknown_and_says_why() -> None:
    row = rows({TRAINING: desired(TRAINING, IDENTITY)}, [Record(ref=TRAINING, status={"commit": 3})], NOW)[0]
    assert (row.sync, row.health.reason) == (Sync.UNKNOWN, "UnreadableRecord")
    assert "cannot be read" in status_text(report("local", {}, [Record(ref=TRAINING, status={})], (), NOW))


def test_rows_keep_the_order_of_git_and_end_with_what_it_no_longer_has() -> None:
    turned = dict(reversed(DESIRED.items()))
    assert [row.ref for row in rows(turned, RECORDS, NOW)] == [*turned, OLD_VIEW]


def test_age_is_that_of_the_deciding_condition() -> None:
    assert row_of(since=timedelta(hours=2), stalled=True).age == timedelta(hours=2)
    assert row_of("0000000000").age is None


def test_an_environment_without_any_accepted_commit() -> None:
    assert "has no accepted commit yet" in status_text(report("local", DESIRED, (), REVISIONS[:1], NOW))


def test_a_refused_commit_is_shown_with_every_problem_until_a_newer_one_is_accepted() -> None:
    refused, accepted = REVISIONS
    text = status_text(report("local", DESIRED, RECORDS, (refused, accepted), NOW), width=200)
    assert all(problem in text for problem in refused.problems)
    assert "4f1c2a9" in text
    after = report("local", DESIRED, RECORDS, (accepted, refused), NOW)
    assert after.refused is None
    assert "refused" not in status_text(after)


def test_a_long_message_is_cut_in_the_table() -> None:
    long = record(TRAINING, status(IDENTITY, "Failed", "word " * 1000, stalled=True))
    found = report("local", {TRAINING: desired(TRAINING, IDENTITY)}, [long], (), NOW)
    assert len(status_text(found)) < 1000
    assert "word " * 999 in status_json(found)


def test_a_traceback_is_one_line_in_tables_and_whole_in_json() -> None:
    stuck = record(DEPLOYMENT, status("5e6f7a8b9c", "CandidateRejected", TRACEBACK, stalled=True))
    found = report("local", {DEPLOYMENT: DESIRED[DEPLOYMENT]}, [stuck], (), NOW)
    lines = status_text(found, width=200).splitlines()
    assert "    CandidateRejected: the deployment failed to start 3 times in a row … KeyError: 'plane_year'" in lines
    assert json.loads(status_json(found))["resources"][0]["message"] == TRACEBACK
    assert 'File "serving.py", line 26' in resource_text(found.rows[0], NOW)  # asked for by name: all of it
    assert "KeyError: 'plane_year'" in events_text(EVENTS).splitlines()[-1]
    assert json.loads(events_jsonl(EVENTS).splitlines()[-1])["message"] == TRACEBACK


def test_rows_are_plain_values() -> None:
    for row in rows(DESIRED, RECORDS, NOW):
        assert json.loads(json.dumps(row_document(row))) == row_document(row)


def test_one_resource_as_json_is_what_the_report_says_of_it() -> None:
    found = report("local", DESIRED, RECORDS, REVISIONS, NOW)
    listed = {(item["kind"], item["name"]): item for item in json.loads(status_json(found))["resources"]}
    for row in found.rows:
        alone = json.loads(resource_json(row))
        assert alone.pop("format") == 1
        assert alone == listed[row.ref.kind, row.ref.name]


def test_json_does_not_depend_on_when_it_is_asked_for() -> None:
    later = NOW + timedelta(hours=1)
    assert status_json(report("local", DESIRED, RECORDS, REVISIONS, later)) == status_json(
        report("local", DESIRED, RECORDS, REVISIONS, NOW)
    )


def test_a_record_cannot_steer_the_terminal() -> None:
    row = rows(DESIRED, RECORDS, NOW)[1]
    assert row.status is not None
    status = row.status.model_copy(update={"summary": "\x1b]0;title\x07"})
    hostile = replace(row, health=row.health._replace(message="\x1b[2Jgone", status=status))
    assert "\x1b" not in resource_text(hostile, NOW)


def test_no_events() -> None:
    assert events_text([]) == "No events yet.\n"
    assert events_jsonl([]) == ""


def test_known_refs_are_told_apart_by_kind() -> None:
    assert {row.ref: row.sync for row in rows(DESIRED, RECORDS, NOW)}[WEATHER] is Sync.STALLED
    assert {row.ref: row.sync for row in rows(DESIRED, RECORDS, NOW)}[DEPARTURES] is Sync.SYNCED
