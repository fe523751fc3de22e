"""What a router replica counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from framework.ports import LATENCY_BOUNDS
from framework.workloads.serving.counters import Counters

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.00101, 1), (LATENCY_BOUNDS[-1], 47), (100.0, 48)]
)
def test_an_answer_is_counted_in_the_first_bucket_that_bounds_it(seconds, bucket):
    counters = Counters()
    counters.answered("a", seconds)
    buckets = counters.snapshot("1-1", 1, NOW)["versions"]["a"]["latency_buckets"]
    assert len(buckets) == len(LATENCY_BOUNDS) + 1
    assert [index for index, count in enumerate(buckets) if count] == [bucket]


def test_the_snapshot_is_what_the_control_plane_reads():
    counters = Counters()
    counters.answered("a", 0.5)
    counters.answered("a", None)
    counters.failed("b")
    counters.shielded("b")
    snapshot = json.loads(json.dumps(counters.snapshot("7-123", 4, NOW)))
    versions = snapshot.pop("versions")
    assert snapshot == {"replica": "7-123", "generation": 4, "written": "2026-03-01T12:00:00+00:00"}
    assert (versions["a"]["requests"], versions["a"]["errors"], sum(versions["a"]["latency_buckets"])) == (2, 0, 1)
    assert {name: versions["b"][name] for name in ("requests", "errors", "shielded")} == {
        "requests": 1,
        "errors": 1,
        "shielded": 1,
    }


def test_a_snapshot_does_not_change_afterwards():
    counters = Counters()
    counters.answered("a", 0.0)
    snapshot = counters.snapshot("1-1", 1, NOW)
    before, changes = json.dumps(snapshot), counters.changes
    counters.answered("a", 0.0)
    assert json.dumps(snapshot) == before
    assert counters.changes > changes
