"""Traffic tables for tests."""

from __future__ import annotations

from typing import Any

from framework.workloads.serving.routing import TrafficTable


def user_config(**changes: Any) -> dict[str, Any]:
    return {
        "deployment": "delay",
        "weights": {"stable": 90, "candidate": 10},
        "stable": "stable",
        "generation": 1,
        "shield": True,
        "timeout_seconds": 0.2,
        "sticky_header": None,
        "match_header": None,
        "max_queued": 10,
        **changes,
    }


def table(**changes: Any) -> TrafficTable:
    return TrafficTable.parse(user_config(**changes))
