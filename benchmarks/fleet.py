"""One environment of any size under the real controller, from nothing to converged and on: what ``benchmarks.scale``
measures, in a process of its own.

``python -m benchmarks.fleet ROOT RESOURCES COMMITS QUIET`` prints figures as JSON. Git, parsing, acceptance, the
manager, the state store and its SQLite file are real. Ray is in memory and costs next to nothing: a run ends when it is
submitted, an app runs once it was looked at.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from benchmarks import repository
from benchmarks.repository import git
from controllers.cli.main import SELDOM
from controllers.commands.project import Project
from controllers.host import passes
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.backends.memory import (
    MemoryOnline,
    MemoryProfiles,
    MemoryRuns,
    MemoryServing,
    MemorySources,
    MemoryTables,
)
from framework.backends.memory.plane import DataPlane
from framework.ports import ReferenceProfile, RunSpec, SourceData, Sources

BRANCH = "followed"
PATIENCE = timedelta(minutes=30)
"""How long the first convergence may take before it counts as never."""
_MOST_SECONDS = 600
"""How long a controller that starts may take to come by everything."""
_COMMIT_SECONDS = 60.0
"""How long a commit may take to a submission before it counts as never."""
_MANY = ("late-trees", "late-linear", "late-own")


def one_core() -> None:
    """Stay on one core of those that this process may use, with everything that it starts."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class PromptRuns(MemoryRuns):
    """Every run has ended well by the time that its submission is answered. ``submitted`` says when each was."""

    def __init__(self) -> None:
        super().__init__()
        self.end: Callable[[RunSpec], None] = lambda run: None
        self.submitted: dict[str, list[float]] = {}
        self.came = threading.Event()

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        super().submit(run, code_uri)
        self.end(run)
        resource = str(run.metadata.get("resource", run.name))
        self.submitted.setdefault(resource, []).append(time.monotonic())
        self.came.set()


class _Sources(MemorySources):
    """They never change."""

    def held(self, sources: Sources, root: str, commit: str) -> SourceData:
        return SourceData({}, "0" * 16)


class _Profiles(MemoryProfiles):
    """A model has a reference, and nothing was asked of it since."""

    def reference(self, profile: str) -> ReferenceProfile | None:
        return ReferenceProfile({}, ())


class _Cluster:
    """It runs, and always did."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def running(self) -> bool:
        return True

    def lost(self) -> str:
        return ""

    def trouble(self) -> str:
        return ""

    def links(self) -> Mapping[str, str]:
        return {}


def of_teams(root: Path, resources: int, commits: int) -> Fleet:
    """``root`` is an empty folder, which gets a repository of ``resources`` with ``commits`` on top of it, each of
    which has one model trained anew."""
    made = repository.make(root, resources, 1)
    return Fleet(root, made.full, [_edit(root, number, resources) for number in range(commits)])


def _edit(root: Path, number: int, resources: int) -> tuple[str, str]:
    """A commit, and the name of the TrainingJob that it changes."""
    teams = max(1, resources // repository.TEAM)
    team, variant = number % teams, _MANY[number % len(_MANY)]
    name = f"{variant}-{team:04d}"
    path = f"{repository.SPECS}/training/{team // 100:03d}/{name}.yaml"
    text = (root / path).read_text()
    old = next(line for line in text.splitlines() if line.startswith("  seed: "))
    (root / path).write_text(text.replace(old, f"  seed: {1000 + number}"))
    git(root, "commit", "-q", "-m", f"Another seed, {number}", "--", path)
    return git(root, "rev-parse", "HEAD").strip(), f"TrainingJob/{name}"


class Fleet:
    """The environment of a repository at ``commit``. ``edits`` are commits on top, each with the TrainingJob that it
    changes."""

    def __init__(self, root: Path, commit: str, edits: Sequence[tuple[str, str]] = ()) -> None:
        self._root, self._edits = root, edits
        self.runs, self._serving, self._tables = PromptRuns(), MemoryServing(), MemoryTables()
        online = MemoryOnline(place=None)
        self.runs.end = DataPlane(self.runs, self._serving, self._tables, online, lambda: datetime.now(UTC)).end
        self._move(commit)

    def _move(self, commit: str) -> None:
        git(self._root, "update-ref", f"refs/heads/{BRANCH}", commit)

    def _open(self) -> Project:
        """As a command that begins does it."""
        project = open_project(Settings(root=self._root, revision=BRANCH), lambda: datetime.now(UTC))
        ports = replace(
            project.ports,
            runs=self.runs,
            serving=self._serving,
            tables=self._tables,
            sources=_Sources(),
            profiles=_Profiles(),
        )
        return replace(project, ports=ports, idle=ports, cluster=_Cluster())

    def once(self, timeout: timedelta = PATIENCE) -> dict[str, Any]:
        """``mlopsctl reconcile --once``."""
        started, used = time.perf_counter(), time.process_time()
        found = passes.lead(self._open(), wait=True, timeout=timeout, listen=lambda result: None)
        wall, cpu = time.perf_counter() - started, time.process_time() - used
        gc.collect()  # what the command held goes with its process
        return {"wall": wall, "cpu": cpu, "word": str(found.word), "looks": found.looks}

    @contextmanager
    def running(self) -> Iterator[None]:
        """``mlopsctl up``, for as long as the block takes."""
        stop, project = threading.Event(), self._open()
        thread = threading.Thread(target=passes.serve, args=(project, stop, lambda result: None))
        thread.start()
        try:
            self._wait_for_a_round(project)
            yield
        finally:
            stop.set()
            thread.join()

    def _wait_for_a_round(self, project: Project) -> None:
        """Until the controller that leads now has looked at everything once."""
        for _ in range(_MOST_SECONDS):
            beat = project.ports.state.heartbeat()
            if beat is not None and beat.holder == project.settings.holder and beat.round and beat.ended is None:
                return
            time.sleep(1.0)

    def quiet(self, seconds: float) -> float:
        """The share of a core that is used while nothing happens, over at least a whole round: whatever was looked at
        lately is not looked at again."""
        beat = self._open().ports.state.heartbeat()
        seconds = max(seconds, beat.round if beat is not None else 0.0)
        started, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        return (time.process_time() - used) / (time.monotonic() - started)

    def commits(self) -> tuple[list[float], list[int]]:
        """Seconds from each commit to the submission that it asks for, and how much memory there was after each."""
        latencies, memory = [], []
        for number, (commit, resource) in enumerate(self._edits):
            before = len(self.runs.submitted.get(resource, ()))
            started = time.monotonic()
            self._move(commit)
            latencies.append(self._submission(resource, before, started) - started)
            memory.append(psutil.Process().memory_info().rss)
            time.sleep(0.35 + 0.1 * (number % 7))  # so that commits come at any moment between two polls
        return latencies, memory

    def _submission(self, resource: str, before: int, started: float) -> float:
        while time.monotonic() - started < _COMMIT_SECONDS:
            self.runs.came.clear()
            found = self.runs.submitted.get(resource, [])
            if len(found) > before:
                return found[before]
            self.runs.came.wait(1.0)
        return float("inf")

    def command(self, *arguments: str) -> float:
        """Wall seconds of a command, in a process of its own."""
        command = [sys.executable, "-m", "controllers.cli.main", "--project", str(self._root), *arguments]
        started = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1]), "NO_COLOR": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is not compiled anew each time
        done = subprocess.run(command, env=environment, cwd=self._root, capture_output=True, timeout=600, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: exit {done.returncode}: {done.stderr.decode()[-300:]}")
        return time.perf_counter() - started

    def plan(self) -> tuple[float, int]:
        """Wall seconds of a plan of everything as it runs, and how many actions it would take."""
        started = time.perf_counter()
        planned = self._open().plan()
        return time.perf_counter() - started, sum(len(change.actions) for change in planned.changes)


def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    root, resources, commits, quiet = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    gc.set_threshold(*SELDOM)  # as any command does
    one_core()
    fleet = of_teams(root, resources, commits)
    tell("converge", fleet.once())
    tell("steady", fleet.once())
    with fleet.running():
        tell("quiet", fleet.quiet(quiet))
        latencies, memory = fleet.commits()
        tell("latencies", latencies)
        tell("memory", memory)
    tell("peak", psutil.Process().memory_info().rss)
    tell("lineage", fleet.command("lineage"))
    tell("lineage of one", fleet.command("lineage", "ModelDeployment/late-trees-0000"))
    tell("status", fleet.command("status"))
    tell("audit verify", fleet.command("audit", "verify"))
    tell("plan", fleet.plan()[0])


def tell(name: str, value: Any) -> None:
    """One finding, as soon as there is one: what comes after it may never end."""
    print(json.dumps({"name": name, "value": value}), flush=True)


if __name__ == "__main__":
    main()
