"""The Ray cluster that a run finds itself on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from framework.api import node_labels
from framework.api.fields import parse_memory
from framework.ports import ACCELERATOR, FailureKind
from framework.workloads.context import WorkloadError

_HARDLY_ANY = 0.001
_RESERVED_WITHIN = 5
_TOLERANCE = 1e-9


@dataclass(frozen=True)
class WorkerNeeds:
    """What one worker, or one trial, asks of a node: ``resources`` by Ray's names, and selectors of its ``labels``.

    >>> str(WorkerNeeds({"CPU": 2.0, "accelerator_type:H100": 0.001}, {"pool": "!spot"}))
    '2 CPUs on a node with H100 and pool: !spot'
    """

    resources: Mapping[str, float]
    labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> WorkerNeeds:
        """From the spec's ``resources`` as JSON by alias."""
        resources = {"CPU": float(spec.get("cpusPerWorker", 1.0))}
        if spec.get("gpusPerWorker"):
            resources["GPU"] = float(spec["gpusPerWorker"])
        if spec.get("accelerator"):
            resources[f"{ACCELERATOR}{spec['accelerator']}"] = _HARDLY_ANY
        if spec.get("memoryPerWorker"):
            resources["memory"] = float(parse_memory(spec["memoryPerWorker"]))
        return cls(resources, spec.get("labels") or {})

    @property
    def gpus(self) -> float:
        return self.resources.get("GPU", 0.0)

    def __str__(self) -> str:
        amounts = {name: value for name, value in self.resources.items() if value and not name.startswith(ACCELERATOR)}
        plural = {name: "" if value == 1 or name == "memory" else "s" for name, value in amounts.items()}
        told = " and ".join(f"{number(name, value)} {name}{plural[name]}" for name, value in amounts.items())
        types = [name.removeprefix(ACCELERATOR) for name in self.resources if name.startswith(ACCELERATOR)]
        node = [*types, *([node_labels.told(self.labels)] if self.labels else [])]
        return f"{told} on a node with {' and '.join(node)}" if node else told


def join() -> None:
    """Connect to the cluster this job was started on; its code and environment apply to every worker."""
    import ray

    # Read by Ray Train's controller: how often it looks at its workers. The default of 2 s would dominate short fits.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    # Tune's loggers write csv, json and tensorboard files for every trial that nobody reads.
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S", "0")
    # What user code prints in a worker belongs into the log of the run; without colours, because that is a file.
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    if not ray.is_initialized():
        ray.init(address="auto", log_to_driver=True, logging_level="error")


def joining(beside: Executor) -> Future[None]:
    """``join``, while something else is done. Ray's modules are loaded before that: two threads that load one at a time
    find it half loaded."""
    import ray  # noqa: F401

    return beside.submit(join)


def require(needs: WorkerNeeds, copies: int, purpose: str) -> None:
    """Refuse work that the cluster could never hold, instead of waiting for ever.

    Raises:
        WorkloadError: "NotEnoughResources" (Infrastructure: the cluster may grow), with both numbers.
    """
    import ray

    short = shortage(needs, copies, [node for node in ray.nodes() if node["Alive"]])
    if short:
        raise WorkloadError(
            "NotEnoughResources",
            f"{purpose} needs {copies} x ({needs}), but {'; '.join(short)}",
            kind=FailureKind.INFRASTRUCTURE,
        )


def shortage(needs: WorkerNeeds, copies: int, nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why ``nodes``, as Ray has them, could never hold so many workers at a time: none has the labels, together they
    have too little of something, or have it in pieces that are too small. Empty where they could.

    >>> shortage(WorkerNeeds({"CPU": 4.0, "GPU": 1.0}), 2, [{"Resources": {"CPU": 16.0}, "Labels": {}}])
    ['the cluster has 0 GPU of 2 needed']
    """
    nowhere = node_labels.why_nowhere([node["Labels"] for node in nodes], needs.labels)
    if nowhere:
        return [nowhere]
    fitting = [node["Resources"] for node in nodes if node_labels.satisfies(node["Labels"], needs.labels)]
    needed = {name: value * copies for name, value in needs.resources.items()}
    total = {name: sum(has.get(name, 0.0) for has in fitting) for name in needed}
    short = _too_little(needed, total, "such nodes have" if needs.labels else "the cluster has")
    room = sum(_workers(has, needs) for has in fitting)
    return short or ([] if room >= copies else [f"its nodes have room for {room} at a time"])


def _workers(has: Mapping[str, float], needs: WorkerNeeds) -> int:
    """How many fit on what a node has, or a cluster."""
    return min(int(has.get(name, 0.0) / value + _TOLERANCE) for name, value in needs.resources.items() if value)


def _too_little(needed: Mapping[str, float], total: Mapping[str, float], there: str) -> list[str]:
    return [
        f"{there} no {name.removeprefix(ACCELERATOR)}"
        if name.startswith(ACCELERATOR)
        else f"{there} {number(name, total.get(name, 0.0))} {name} of {number(name, value)} needed"
        for name, value in needed.items()
        if value > total.get(name, 0.0)
    ]


def workers_of(spec: Mapping[str, Any]) -> tuple[int, int | None]:
    """How many workers fit, at most, and how few of them where the spec's ``resources`` leave that open."""
    elastic = spec.get("elastic")
    return (int(elastic["max"]), int(elastic["min"])) if elastic else (int(spec["workers"]), None)


def at_hand(needs: WorkerNeeds, fewest: int, most: int) -> int:
    """How many workers can start now, tried by reserving them: what is free where nobody but Ray can tell. ``fewest``
    where there is room for fewer, and they are waited for.

    Ray Train's own elastic policy counts what the nodes have, replicas that serve included, and waits for ever for what
    these hold."""
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group

    count = min(most, _workers(ray.available_resources(), needs))
    while count > fewest:
        group = placement_group([dict(needs.resources)] * count, bundle_label_selector=[dict(needs.labels)] * count)
        try:
            if group.wait(_RESERVED_WITHIN):
                return count
        finally:
            remove_placement_group(group)
        count -= 1
    return fewest


def number(name: str, value: float) -> str:
    """How much of a resource, in its unit.

    >>> number("CPU", 1.5), number("memory", 2.0**31)
    ('1.5', '2,048 MiB')
    """
    return f"{value / 2**20:,.0f} MiB" if name == "memory" else f"{value:g}"
