from __future__ import annotations

from typing import Any

import httpx
import pytest

from framework.backends.ray.capacity import capacity_of
from framework.backends.ray.jobs import FRESH_SECONDS, RayJobs
from framework.backends.ray.rest import RayRest
from framework.backends.ray.tenancy import Tenant
from framework.ports import Capacity
from tests.unit.ray.fake_ray import FakeRay

TENANT = Tenant("local", "memory://store")
Listed = list[dict[str, Any]]
HAS = {"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0, "accelerator_type:H100": 1.0}
NODES: Listed = [{"state": "ALIVE", "resources_total": HAS}]
GROUPS: Listed = [
    {"state": "CREATED", "bundles": [{"unit_resources": {"CPU": 1.5}}, {"unit_resources": {"CPU": 1.0, "GPU": 1.0}}]}
]
ACTORS: Listed = [
    {"state": "ALIVE", "placement_group_id": "aa", "required_resources": {"CPU_group_aa": 1.0}},
    {"state": "ALIVE", "placement_group_id": None, "required_resources": {"CPU": 2.0}},
    {"state": "ALIVE", "placement_group_id": None, "required_resources": None},
]


def cluster(**state: Listed) -> FakeRay:
    ray = FakeRay()
    ray.state |= state
    return ray


def test_what_is_reserved_or_held_is_not_free() -> None:
    found = capacity_of(NODES, GROUPS, ACTORS, TENANT, {})
    assert found == Capacity({"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.5, "GPU": 1.0}, {}, ("H100",), ({},))


def test_it_is_told_what_of_ours_holds_how_much() -> None:
    replica = {"state": "ALIVE", "placement_group_id": None, "job_id": "01000000", "required_resources": {"CPU": 0.5}}
    actors = [
        {**replica, "name": "SERVE_REPLICA::local_delay-0123456789#Model#a"},
        {**replica, "name": "SERVE_REPLICA::local_delay-0123456789#Model#b"},
        {**replica, "name": "SERVE_REPLICA::local_delay-router#Router#c", "required_resources": {"CPU": 0.1}},
        {**replica, "name": "SERVE_REPLICA::other_delay-0123456789#Model#d"},
        {**replica, "name": "SERVE_CONTROLLER_ACTOR", "required_resources": {}},
        {**replica, "name": "", "job_id": "02000000", "required_resources": {"CPU": 1.0}},
        {**replica, "name": "", "job_id": "03000000", "required_resources": {"CPU": 1.0}},
    ]
    groups = [{**GROUPS[0], "creator_job_id": "02000000"}]
    jobs = {
        name: {"submission_id": name, "job_id": job, "status": "RUNNING", "entrypoint": "", "metadata": metadata}
        for name, job, metadata in (
            ("local_train-x-1", "02000000", {"run": "train-x", **TENANT.mark}),
            ("other_train-x-1", "03000000", {"run": "train-x", "environment": "other", "owner": "private"}),
            ("local_late-1", None, {"run": "late", **TENANT.mark}),
        )
    }
    ray = cluster(nodes=NODES, placement_groups=groups, actors=actors)
    ray.jobs = jobs
    found = RayJobs(ray.rest(), lambda: TENANT).capacity()
    assert found is not None
    assert found.free == {"CPU": pytest.approx(1.9), "GPU": 1.0}
    assert {item: held["CPU"] for item, held in found.held.items()} == {
        "app:delay-0123456789": 1.0, "route:delay": 0.1, "run:train-x": 3.5,
    }  # fmt: skip


def test_many_that_ask_at_a_time_are_told_by_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, now = cluster(nodes=NODES), 100.0
    monkeypatch.setattr("framework.backends.ray.jobs.time.monotonic", lambda: now)
    runs = RayJobs(ray.rest(), lambda: TENANT)
    first = runs.capacity()
    asked = len(ray.requests)
    ray.state["nodes"] = NODES * 2
    assert (runs.capacity(), len(ray.requests)) == (first, asked)
    now += FRESH_SECONDS
    found = runs.capacity()
    assert found is not None
    assert found.total["CPU"] == 16.0


def test_only_what_is_there_counts() -> None:
    dead = {"state": "DEAD", "resources_total": {"CPU": 64.0}}
    removed = {"state": "REMOVED", "bundles": [{"unit_resources": {"CPU": 8.0}}]}
    ray = cluster(nodes=[*NODES, dead], placement_groups=[removed], actors=[{**ACTORS[1], "state": "DEAD"}])
    assert RayJobs(ray.rest(), lambda: TENANT).capacity() == Capacity(
        {"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}, {}, ("H100",), ({},)
    )
    assert ray.changes() == []


def test_what_nodes_are_labelled_with_is_told_once_and_without_their_names() -> None:
    nodes = [
        {**NODES[0], "labels": {"ray.io/node-id": name, **labels}}
        for name, labels in (("1f", {"pool": "b", "zone": "1"}), ("2f", {"pool": "a"}), ("3f", {"pool": "a"}))
    ]
    assert capacity_of(nodes, (), (), TENANT, {}).labels == ({"pool": "a"}, {"pool": "b", "zone": "1"})


def test_more_taken_than_there_is_leaves_nothing_free() -> None:
    assert capacity_of(NODES, GROUPS * 9, (), TENANT, {}).free == {"CPU": 0.0, "GPU": 0.0}


def test_a_cluster_that_is_not_there_has_no_capacity() -> None:
    assert RayJobs(RayRest(lambda: None), lambda: TENANT).capacity() is None


@pytest.mark.parametrize("failure", [500, httpx.ConnectError("refused"), 404])
def test_a_cluster_that_does_not_tell_has_no_capacity(failure: int | Exception) -> None:
    ray = cluster(nodes=NODES)
    ray.fail = [failure]
    assert RayJobs(ray.rest(), lambda: TENANT).capacity() is None
