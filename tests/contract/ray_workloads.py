"""Workloads for the tests of the runner, imported on the cluster."""

from __future__ import annotations

import hashlib
import importlib
import os
import threading
import time
from typing import Any

from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.training import cluster


def echo(context: RunContext) -> dict[str, Any]:
    return {"value": context.payload["value"], "attempt": context.attempt}


def refuse(context: RunContext) -> dict[str, Any]:
    raise WorkloadError("Refused", "42 is too many", data={"limit": 41})


def sleep(context: RunContext) -> dict[str, Any]:
    context.progress(0.25, "asleep")
    while True:
        time.sleep(0.1)


def compute(context: RunContext) -> dict[str, Any]:
    """Minutes in native code, where no Python signal handler runs."""
    context.progress(None, "computing")
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 500_000_000)
    return {}


def vanish(context: RunContext) -> dict[str, Any]:
    """As after a kill -9 or a lost node."""
    time.sleep(1)
    os._exit(9)


def divide(context: RunContext) -> dict[str, Any]:
    return {"value": 1 / context.payload["by"]}


def fill_disk(context: RunContext) -> dict[str, Any]:
    raise OSError(28, "No space left on device")


def answer_set(context: RunContext) -> dict[str, Any]:
    return {"value": {1, 2}}


def leave(context: RunContext) -> dict[str, Any]:
    raise SystemExit(3)


def worker_that_prints(context: RunContext) -> dict[str, Any]:
    import ray

    cluster.join()
    context.progress(0.5, "halfway")
    ray.get(ray.remote(num_cpus=0.1)(lambda: print("said by a worker")).remote())
    raise WorkloadError("Refused", "and what it said last is what matters")


def user_code(context: RunContext) -> dict[str, Any]:
    return {"value": importlib.import_module(context.payload["module"]).VALUE}


def hold(context: RunContext) -> dict[str, Any]:
    """3.5 CPUs: an actor of 2, and a placement group of 1.5 with an actor of 1 in it."""
    import ray
    from ray.util.placement_group import placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    class Idle:
        def ready(self) -> bool:
            return True

    ray.init(log_to_driver=False)
    group = placement_group([{"CPU": 1.5}])
    ray.get(group.ready())
    inside = PlacementGroupSchedulingStrategy(placement_group=group)
    actor: Any = ray.remote(Idle)
    actors = [actor.options(num_cpus=2).remote(), actor.options(num_cpus=1, scheduling_strategy=inside).remote()]
    ray.get([one.ready.remote() for one in actors])
    context.progress(None, "holding")
    while True:
        time.sleep(0.1)


def priorities(context: RunContext) -> dict[str, Any]:
    """The niceness of this thread, of one that it starts, and of all of the process."""
    here = os.getpriority(os.PRIO_PROCESS, 0)
    below: list[int] = []
    started = threading.Thread(target=lambda: below.append(os.getpriority(os.PRIO_PROCESS, 0)))
    started.start()
    started.join()
    every = [os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in os.listdir("/proc/self/task")]
    return {"here": here, "below": below[0], "least": min(every)}
