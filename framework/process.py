"""Naming a process beyond doubt: a pid alone is used again, and a clock that is set moves every time of day."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import psutil

_LINUX = platform.system() == "Linux"


def birth(pid: int) -> str | None:
    """Names this process for good; None where no such process lives.

    On Linux the start time in clock ticks since boot, which a change of the wall clock does not move.
    """
    if _LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except psutil.Error:
        return None


@cache
def machine() -> str | None:
    """Names this machine from one start of it to the next, as far as its processes see each other: two containers on
    one host do not. None where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def identity() -> dict[str, Any]:
    """This process, as :func:`dead` knows it again; plain JSON."""
    return {"host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "birth": birth(os.getpid())}


def dead(process: Mapping[str, Any]) -> bool:
    """Whether what :func:`identity` said of a process proves that it has ended. False where it cannot be told: it ran
    on another machine, or before this one was last started."""
    here, pid, born = process.get("machine"), process.get("pid"), process.get("birth")
    if here is None or here != machine() or not isinstance(pid, int) or not isinstance(born, str):
        return False
    found = birth(pid)
    return found != born and (found is not None or not _hidden(pid))


def _hidden(pid: int) -> bool:
    """Whether the process lives and only does not show itself to us, as processes of other users may not."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        pass
    return False
