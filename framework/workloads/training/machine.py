"""What a run computed on, as far as that can change the last digits of a sum."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")


def machine(resources: Mapping[str, Any], threads: int, workers: int) -> dict[str, Any]:
    """{system, architecture, processor, cpus, threads, workers, gpus}: of the node that joins and judges. ``threads``
    are those of each of the ``workers``, which may be on other nodes; ``resources`` the spec's, as JSON by alias."""
    return {
        "system": platform.platform(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "threads": threads,
        "workers": workers,
        "gpus": float(resources.get("gpusPerWorker") or 0),
    }


def _processor() -> str:
    """As the system calls it."""
    try:
        for line in _CPUINFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass  # systems that have no such file have a word for it
    return platform.processor()
