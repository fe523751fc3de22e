"""What a worker asks of a node, and what no node of a cluster could ever give."""

from __future__ import annotations

from typing import Any

import pytest

from framework.workloads.training.cluster import WorkerNeeds, shortage


def node(cpus: float, more: dict[str, float] | None = None, **labels: str) -> dict[str, Any]:
    return {"Resources": {"CPU": cpus, **(more or {})}, "Labels": {"ray.io/node-id": "8a", **labels}}


BIG, SMALL = node(8, {"GPU": 2, "accelerator_type:H100": 1}, pool="big"), node(4, pool="small")


@pytest.mark.parametrize(
    ("asked", "copies", "told"),
    [
        ({"cpusPerWorker": 4}, 3, []),
        ({"cpusPerWorker": 4}, 4, ["the cluster has 12 CPU of 16 needed"]),
        ({"cpusPerWorker": 3}, 4, ["its nodes have room for 3 at a time"]),
        ({"cpusPerWorker": 0.1}, 120, []),
        ({"cpusPerWorker": 2, "gpusPerWorker": 1}, 2, []),
        ({"cpusPerWorker": 5, "gpusPerWorker": 1}, 2, ["its nodes have room for 1 at a time"]),
        ({"gpusPerWorker": 3}, 1, ["the cluster has 2 GPU of 3 needed"]),
        ({"accelerator": "H100"}, 8, []),
        ({"accelerator": "H100"}, 9, ["its nodes have room for 8 at a time"]),
        ({"accelerator": "T4"}, 1, ["the cluster has no T4"]),
        ({"labels": {"pool": "small"}}, 4, []),
        ({"labels": {"pool": "small"}}, 5, ["such nodes have 4 CPU of 5 needed"]),
        ({"labels": {"pool": "!big", "zone": "!a"}}, 4, []),
        ({"labels": {"pool": "small"}, "accelerator": "H100"}, 1, ["such nodes have no H100"]),
        (
            {"labels": {"pool": "in(huge,larger)"}},
            1,
            ["no node of the cluster has pool: in(huge, larger) (pool is big or small)"],
        ),
        ({"labels": {"zone": "a"}}, 1, ["no node of the cluster has zone: a (no node has a label zone)"]),
    ],
)
def test_what_can_never_fit_is_told(asked: dict[str, Any], copies: int, told: list[str]) -> None:
    assert shortage(WorkerNeeds.of(asked), copies, [BIG, SMALL]) == told
