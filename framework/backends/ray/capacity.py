"""What a Ray cluster has and what of it is free, from the state that its head keeps anyway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from framework.backends.ray.rest import RayRest
from framework.ports import Capacity

RESOURCES = ("CPU", "GPU")
_LIMIT = 10_000
"""Ray refuses to list more."""


def read_capacity(rest: RayRest) -> Capacity | None:
    """None where the dashboard does not tell.

    ``/api/cluster_status`` would tell in one call, but knows nothing on a head without an autoscaler's monitor, such as
    the embedded one.

    Raises:
        TransientError: there is no cluster, or it does not answer.
    """
    nodes = _listed(rest, "nodes", "ALIVE")
    groups = _listed(rest, "placement_groups", "CREATED")
    actors = _listed(rest, "actors", "ALIVE")
    return None if nodes is None else capacity_of(nodes, groups or (), actors or ())


def capacity_of(
    nodes: Iterable[Mapping[str, Any]], groups: Iterable[Mapping[str, Any]], actors: Iterable[Mapping[str, Any]]
) -> Capacity:
    """What the nodes have, less what placement groups reserve and what actors outside of them hold.

    Tasks do not count: none of our workloads keeps one for long.
    """
    total = _sum(node.get("resources_total") for node in nodes)
    reserved = _sum(bundle.get("unit_resources") for group in groups for bundle in group.get("bundles") or ())
    held = _sum(actor.get("required_resources") for actor in actors if not actor.get("placement_group_id"))
    return Capacity(total, {name: max(total[name] - reserved[name] - held[name], 0.0) for name in RESOURCES})


def _sum(items: Iterable[Mapping[str, float] | None]) -> dict[str, float]:
    sums = dict.fromkeys(RESOURCES, 0.0)
    for resources in items:
        for name in RESOURCES:
            sums[name] += float((resources or {}).get(name, 0.0))
    return sums


def _listed(rest: RayRest, what: str, state: str) -> list[Mapping[str, Any]] | None:
    chosen = f"filter_keys=state&filter_predicates=%3D&filter_values={state}"
    answer = rest.get(f"/api/v0/{what}?detail=1&limit={_LIMIT}&{chosen}")
    if not answer or not answer.get("result"):
        return None
    found: list[Mapping[str, Any]] = answer["data"]["result"]["result"]
    return found
