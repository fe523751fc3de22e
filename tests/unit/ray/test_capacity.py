from __future__ import annotations

from typing import Any

import httpx
import pytest

from framework.backends.ray.capacity import capacity_of
from framework.backends.ray.jobs import RayJobs
from framework.backends.ray.rest import RayRest
from framework.backends.ray.tenancy import Tenant
from framework.ports import Capacity
from tests.unit.ray.fake_ray import FakeRay

TENANT = Tenant("local", "memory://store")
Listed = list[dict[str, Any]]
NODES: Listed = [{"state": "ALIVE", "resources_total": {"CPU": 8.0, "GPU": 2.0, "memory": 1e9, "node:10.0.0.1": 1.0}}]
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
    found = capacity_of(NODES, GROUPS, ACTORS)
    assert found == Capacity({"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.5, "GPU": 1.0})


def test_only_what_is_there_counts() -> None:
    dead = {"state": "DEAD", "resources_total": {"CPU": 64.0}}
    removed = {"state": "REMOVED", "bundles": [{"unit_resources": {"CPU": 8.0}}]}
    ray = cluster(nodes=[*NODES, dead], placement_groups=[removed], actors=[{**ACTORS[1], "state": "DEAD"}])
    assert RayJobs(ray.rest(), lambda: TENANT).capacity() == Capacity(
        {"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0, "GPU": 2.0}
    )
    assert ray.changes() == []


def test_more_taken_than_there_is_leaves_nothing_free() -> None:
    assert capacity_of(NODES, GROUPS * 9, ()).free == {"CPU": 0.0, "GPU": 0.0}


def test_a_cluster_that_is_not_there_has_no_capacity() -> None:
    assert RayJobs(RayRest(lambda: None), lambda: TENANT).capacity() is None


@pytest.mark.parametrize("failure", [500, httpx.ConnectError("refused"), 404])
def test_a_cluster_that_does_not_tell_has_no_capacity(failure: int | Exception) -> None:
    ray = cluster(nodes=NODES)
    ray.fail = [failure]
    assert RayJobs(ray.rest(), lambda: TENANT).capacity() is None
