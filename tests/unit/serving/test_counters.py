"""What a router replica counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from framework.backends.ray.serve import router_replicas
from framework.ports import LATENCY_BOUNDS, RECENT_SECONDS, Failure, Recent, VersionCounters
from framework.workloads.serving.counters import KEPT_FAILURES, Counters

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def read(snapshot):
    """A counter file's content as the control plane sees it."""
    (replica,) = router_replicas([snapshot], (), 1)
    return replica.versions


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
    counters = Counters(clock=lambda: 0.0, wall=lambda: NOW)
    counters.answered("a", 0.5)
    counters.refused("a", {"type": "BadRequest", "message": "x is null; Int8 is required", "where": ""})
    counters.failed("b", 0.7, {"type": "KeyError", "message": "'x'", "where": "serving.py:3, in tidy"})
    counters.shielded("b")
    snapshot = json.loads(json.dumps(counters.snapshot("7-123", 4, NOW)))
    assert (snapshot["replica"], snapshot["generation"]) == ("7-123", 4)
    a, b = read(snapshot).values()
    assert (a.requests, a.errors, a.shielded, a.refused, sum(a.latency_buckets)) == (1, 0, 0, 1, 1)
    assert (b.requests, b.errors, b.shielded, b.refused, sum(b.latency_buckets)) == (1, 1, 1, 0, 1)
    assert (a.recent, b.recent) == (Recent(1, 0, 1), Recent(1, 1, 0))
    assert b.failures == (Failure("KeyError", "'x'", "serving.py:3, in tidy", 1, NOW),)


def test_a_file_of_an_earlier_router_can_be_read():
    """While a deployment is brought up to date its router is still the one from before."""
    old = {"requests": 3, "errors": 1, "shielded": 0, "latency_buckets": [2]}
    written = {"replica": "7-123", "generation": 4, "written": NOW.isoformat(), "versions": {"a": old}}
    assert read(written) == {"a": VersionCounters(3, 1, 0, (2,))}


def test_what_was_long_ago_is_not_recent():
    now = [0.0]
    counters = Counters(clock=lambda: now[0])
    for _ in range(10):
        counters.failed("a", 0.1)
    now[0] = RECENT_SECONDS - 5
    counters.answered("a", 0.1)

    def recent():
        return counters.snapshot("1-1", 1, NOW)["versions"]["a"]["recent"]

    assert recent() == {"requests": 11, "errors": 10, "refused": 0}
    now[0] = RECENT_SECONDS + 15
    assert recent() == {"requests": 1, "errors": 0, "refused": 0}
    now[0] = 3 * RECENT_SECONDS
    assert recent() == {"requests": 0, "errors": 0, "refused": 0}
    assert counters.snapshot("1-1", 1, NOW)["versions"]["a"]["errors"] == 10, "totals only grow"


def test_ways_of_failing_are_told_apart_and_bounded():
    counters = Counters(clock=lambda: 0.0, wall=lambda: NOW)

    def fail(where, message="boom"):
        counters.failed("a", 0.1, {"type": "ValueError", "message": message, "where": where})

    for number in range(KEPT_FAILURES):
        fail(f"f.py:{number}")
    fail("f.py:0", "again, in other words")
    fail("g.py:1")
    found = read(counters.snapshot("1-1", 1, NOW))["a"].failures
    assert len(found) == KEPT_FAILURES
    assert found[-2:] == (
        Failure("ValueError", "again, in other words", "f.py:0", 2, NOW),
        Failure("ValueError", "boom", "g.py:1", 1, NOW),
    )
    assert "f.py:1" not in {failure.where for failure in found}, "the one not seen for longest is forgotten"


def test_a_snapshot_does_not_change_afterwards():
    counters = Counters()
    counters.answered("a", 0.0)
    snapshot = counters.snapshot("1-1", 1, NOW)
    before, changes = json.dumps(snapshot), counters.changes
    counters.answered("a", 0.0)
    assert json.dumps(snapshot) == before
    assert counters.changes > changes
