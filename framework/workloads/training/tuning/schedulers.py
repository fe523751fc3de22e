"""Which trials are stopped early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from framework.workloads.context import WorkloadError


def _asha(reports: int) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(max_t=reports, grace_period=max(1, reports // 5), reduction_factor=2)


def _median(reports: int) -> Any:
    from ray.tune.schedulers import MedianStoppingRule

    return MedianStoppingRule(grace_period=max(1, reports // 5), min_samples_required=2)


def _none(reports: int) -> Any:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


SCHEDULERS: Mapping[str, Callable[[int], Any]] = {"asha": _asha, "median": _median, "none": _none}
"""Made for trials of so many reports."""


def scheduler_of(name: str, reports: int) -> Any:
    """
    Raises:
        WorkloadError: "UnsupportedSearch".
    """
    if name not in SCHEDULERS:
        told = f"tune.scheduler {name} cannot run yet (allowed: {', '.join(SCHEDULERS)})"
        raise WorkloadError("UnsupportedSearch", told)
    return SCHEDULERS[name](reports)
