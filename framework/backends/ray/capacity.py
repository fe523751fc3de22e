"""What a Ray cluster has and what of it is free, from the state that its head keeps anyway."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from framework.api.names import own_name
from framework.api.node_labels import NODE_ID
from framework.backends.ray.rest import RayRest
from framework.backends.ray.serve_config import deployment_of, is_router_name
from framework.backends.ray.tenancy import Tenant
from framework.ports import ACCELERATOR, Capacity

RESOURCES = ("CPU", "GPU")
_LIMIT = 10_000
"""Ray refuses to list more."""
_REPLICA = re.compile(r"SERVE_REPLICA::(?P<app>[^#]+)#")
"""How Serve names the actor of a replica."""


def read_capacity(rest: RayRest, tenant: Tenant, runs: Callable[[], Mapping[str, str]]) -> Capacity | None:
    """``runs`` tells the names of this environment's runs by the id of their Ray job. None where the dashboard does not
    tell.

    ``/api/cluster_status`` would tell in one call, but knows nothing on a head without an autoscaler's monitor, such as
    the embedded one.

    Raises:
        TransientError: there is no cluster, or it does not answer.
    """
    nodes = _listed(rest, "nodes", "ALIVE")
    groups = _listed(rest, "placement_groups", "CREATED")
    actors = _listed(rest, "actors", "ALIVE")
    if nodes is None or groups is None or actors is None:
        return None
    return capacity_of(nodes, groups, actors, tenant, runs())


def capacity_of(
    nodes: Sequence[Mapping[str, Any]],
    groups: Iterable[Mapping[str, Any]],
    actors: Iterable[Mapping[str, Any]],
    tenant: Tenant,
    runs: Mapping[str, str],
) -> Capacity:
    """What the nodes have, less what placement groups reserve and what actors outside of them hold.

    Tasks do not count: none of our workloads keeps one for long.
    """
    total = _sum(node.get("resources_total") for node in nodes)
    taken: dict[str | None, list[Mapping[str, float]]] = defaultdict(list)
    for group in groups:
        taken[_run_of(group.get("creator_job_id"), runs)].append(_reserved(group))
    for actor in actors:
        if not actor.get("placement_group_id"):
            item = _replica_of(actor, tenant) or _run_of(actor.get("job_id"), runs)
            taken[item].append(actor.get("required_resources") or {})
    held = {item: _sum(found) for item, found in taken.items()}
    used = _sum(held.values())
    free = {name: max(total[name] - used[name], 0.0) for name in RESOURCES}
    own = {item: found for item, found in held.items() if item and any(found.values())}
    types = {name for node in nodes for name in node.get("resources_total") or {} if name.startswith(ACCELERATOR)}
    accelerators = tuple(sorted(name.removeprefix(ACCELERATOR) for name in types))
    return Capacity(total, free, own, accelerators, tuple(map(dict, sorted(set(map(_labels, nodes))))))


def _labels(node: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(item for item in (node.get("labels") or {}).items() if item[0] != NODE_ID))


def _run_of(job: str | None, runs: Mapping[str, str]) -> str | None:
    name = runs.get(job or "")
    return None if name is None else f"run:{name}"


def _reserved(group: Mapping[str, Any]) -> dict[str, float]:
    return _sum(bundle.get("unit_resources") for bundle in group.get("bundles") or ())


def _replica_of(actor: Mapping[str, Any], tenant: Tenant) -> str | None:
    """The item that a replica belongs to, if it is one of ours. An application of that name is ours or nobody's."""
    found = _REPLICA.match(actor.get("name") or "")
    if found is None or not tenant.may_have_named(found["app"]):
        return None
    app = own_name(found["app"])
    return f"route:{deployment_of(app)}" if is_router_name(app) else f"app:{app}"


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
