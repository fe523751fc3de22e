"""Time, CPU and memory of processes, and of a few calls in this one."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_TIMEOUT_SECONDS = 600.0
_LOOK_SECONDS = 0.04


class FailedError(Exception):
    """A command did not do what was measured. Says what it printed last."""


@dataclass(frozen=True)
class Timing:
    """Seconds of several runs. ``cpu`` is that of the run with the least of it, children included."""

    wall: tuple[float, ...]
    cpu: float

    @property
    def best(self) -> float:
        return min(self.wall)

    @property
    def middle(self) -> float:
        return median(self.wall)


@dataclass(frozen=True)
class Command:
    """``says`` has to be in the output of what did what is measured."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    good: frozenset[int] = frozenset({0})
    data: bytes | None = None
    says: str = ""

    def run(self) -> bytes:
        """Its output. Raises FailedError for a bad exit status or another output."""
        done = subprocess.run(
            self.arguments, cwd=self.folder, env=dict(self.environment), input=self.data, capture_output=True,
            timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
        if done.returncode not in self.good or self.says.encode() not in done.stdout:
            raise FailedError(_end(self.arguments, done.returncode, done.stdout + done.stderr))
        return done.stdout


def _end(arguments: Sequence[str], status: int, said: bytes) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return f"{' '.join(arguments[:3])} ...: exit {status}: {lines[-1][:200] if lines else 'no output'}"


def timed(calls: Sequence[Callable[[], object]], before: Callable[[], object] = lambda: None) -> Timing:
    """Each of ``calls`` once; ``before`` each, untimed."""
    wall, cpu = [], []
    for call in calls:
        before()
        started, used = time.perf_counter(), _cpu()
        call()
        wall.append(time.perf_counter() - started)
        cpu.append(_cpu() - used)
    return Timing(tuple(wall), min(cpu))


def _cpu() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def peak_memory(command: Command) -> float | None:
    """The most MiB that a command and its children held at a time: proportional set size, so that pages which they
    share count once. None where the system does not tell."""
    if not Path("/proc/self/smaps_rollup").exists():
        return None
    process = subprocess.Popen(
        command.arguments, cwd=command.folder, env=dict(command.environment),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    most, ended = 0.0, threading.Event()
    while not ended.wait(_LOOK_SECONDS):
        most = max(most, memory_of(process.pid))
        if process.poll() is not None:
            ended.set()
    if process.returncode not in command.good:
        raise FailedError(_end(command.arguments, process.returncode, b""))
    return most


def memory_of(pid: int) -> float:
    """MiB that a process and its children hold now: proportional set size. 0 where the system does not tell."""
    return sum(_pss(one) for one in _family(pid)) / 1024


def _family(pid: int) -> list[int]:
    """A child that is still to become another program runs in its parent's memory, and is not counted beside it."""
    found = [pid]
    for one in found:
        try:
            held = _statm(one)
            for task in Path(f"/proc/{one}/task").iterdir():
                children = [int(child) for child in (task / "children").read_text().split()]
                found += [child for child in children if _statm(child) != held]
        except OSError:
            continue
    return found


def _statm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/statm").read_text()
    except OSError:
        return ""


def _pss(pid: int) -> int:
    """KiB."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
