"""How the head of an embedded Ray is started: its command line and its environment.

With ports of 0 every service of Ray 2.60 binds one of its own choosing, so two daemons never collide.
``RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0`` makes 127.0.0.1 the node's address, and with it the address that every service
listens on. It is a repurposed switch, so tests/contract/test_embedded_ray.py looks at the listening sockets. The one
exception is the gRPC port of a Serve replica, which binds all interfaces and is closed by mutual TLS.

The records of jobs and Serve applications are kept in memory on purpose (Ray could keep them in RocksDB): after a crash
of the head they would come back as RUNNING jobs whose drivers are dead. Storage and git hold the truth; an empty head
is filled again by the next pass.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import framework

MARKER = "MLOPSCTL_EMBEDDED_RAY"
"""Environment variable that every process of a daemon inherits, so that strays can be told from others' processes."""

LOOPBACK = "127.0.0.1"

_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_START_HOOK": "framework.backends.ray.head.trim",
    # Without it SIGTERM first waits 30 s for the only node to hand over its work.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_ROTATION_MAX_BYTES": "20000000",
    "RAY_ROTATION_BACKUP_COUNT": "1",
    # Prometheus endpoints with fixed default ports: let each daemon have its own.
    "DASHBOARD_METRIC_PORT": "0",
    "AUTOSCALER_METRIC_PORT": "0",
    "RAY_enable_metrics_collection": "0",
    # Ray's 15 would put replicas behind every other program of the machine. What trains gives way by itself.
    "RAY_worker_niceness": "0",
    # More threads than cores make scikit-learn 30 times slower here; trainers ask for threads explicitly.
    "OMP_NUM_THREADS": "1",
}

_DROPPED = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "OMP_NUM_THREADS")
"""Without compiled bytecode every worker starts two to three times slower."""


def command(temp: Path, cpus: int | None, gpus: int | None, dashboard_port: int) -> list[str]:
    """``ray start`` for a head that stays in the foreground, as this Python runs it."""
    options = {
        "port": 0,
        "temp-dir": temp,
        "dashboard-host": LOOPBACK,
        "dashboard-port": dashboard_port,
        "include-dashboard": "true",
        "node-manager-port": 0,
        "object-manager-port": 0,
        "dashboard-agent-listen-port": 0,
        "dashboard-agent-grpc-port": 0,
        "runtime-env-agent-port": 0,
        "metrics-export-port": 0,
        "min-worker-port": 0,
        "max-worker-port": 0,
        "num-cpus": cpus,
        "num-gpus": gpus,
    }
    flags = [f"--{name}={value}" for name, value in options.items() if value is not None]
    start = "from ray.scripts.scripts import main; main()"
    # -P: the folder that mlopsctl happens to run in is not a place to import code from.
    switches = ["--head", "--block", "--disable-usage-stats", "--no-monitor", "--log-color=false"]
    return [sys.executable, "-P", "-c", start, "start", *switches, *flags]


def trim(parameters: Any, head: bool) -> None:
    """Called by ``ray start`` with its parameters before anything runs: no server for Ray Client, which is not used."""
    parameters.ray_client_server_port = None


def environment(inherited: Mapping[str, str], token_file: Path, tls: Mapping[str, str], marker: str) -> dict[str, str]:
    """The head's environment. RAY_ variables of the caller are left out: they may point at another cluster. So is what
    opens the repository: user code runs here."""
    foreign = ("RAY_", "MLOPS_GIT_", "MLOPS_WEBHOOK")
    kept = {name: value for name, value in inherited.items() if not name.startswith(foreign) and name not in _DROPPED}
    scripts = str(Path(sys.executable).parent)  # so that ``python`` in a job is this Python
    paths = [scripts, *[part for part in kept.get("PATH", os.defpath).split(os.pathsep) if part != scripts]]
    return {
        **kept,
        **_SETTINGS,
        **tls,
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": os.pathsep.join([*_source_root(), *filter(None, [kept.get("PYTHONPATH")])]),
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        MARKER: marker,
    }


def _source_root() -> list[str]:
    """Where workers find ``framework`` when it runs from a checkout."""
    root = Path(framework.__file__).resolve().parent.parent
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return [] if root in installed else [str(root)]
