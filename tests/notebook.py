"""A project that lived without Ray: its runs are done in this process, on real tables, models and state."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from controllers.host.passes import lead
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.api.layout import run_folder
from framework.backends.memory import MemoryRuns
from framework.planning.reports.convergence import Conclusion
from framework.ports import RunSpec
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.training import train
from framework.workloads.training.fit import Fitted
from framework.workloads.training.trainer import FitSettings
from framework.workloads.training.trainers import TRAINERS
from tests.controllers.test_passes import NoCluster
from tests.unit.training.test_tasks import Reports

EXAMPLES = Path(__file__).parents[1] / "examples"


class RunsHere(MemoryRuns):
    """A run is over once it is submitted."""

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        super().submit(run, code_uri)
        folder = run_folder(run.storage, run.name)
        context = RunContext(run.name, run.attempt, run.payload, run.storage, folder, {}, lambda done, told: None)
        module, _, function = run.workload.partition(":")
        try:
            result = getattr(importlib.import_module(module), function)(context)
        except WorkloadError as error:
            self.fail(run.name, error.kind, error.reason, str(error), error.data)
        else:
            self.succeed(run.name, result)


def fitted(context: RunContext, name: str, settings: FitSettings, learned: train.Learned) -> Fitted:
    """A fit without a worker of its own."""
    return Fitted(TRAINERS[name].fit(learned.data, settings, Reports()), settings.rounds, ())


def example(name: str, folder: Path) -> None:
    """A copy of an example in a repository of its own, with its views and training jobs alone."""
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__", "deployments", "monitoring"))
    (folder / ".gitignore").write_text(".mlops/\n__pycache__/\n")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder)


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "change")


def reconcile(folder: Path, comes_to: Conclusion = Conclusion.CONVERGED) -> None:
    """As mlopsctl reconcile does, in this process."""
    opened = open_project(Settings(root=folder), lambda: datetime.now(UTC))
    runs: Any = RunsHere()
    here = replace(opened, ports=replace(opened.ports, runs=runs), cluster=NoCluster())
    alone = {"_searched": lambda *asked: None, "_fitted": fitted}
    with importing(folder), patch.object(train.cluster, "join", lambda: None), patch.multiple(train, **alone):
        result = lead(here, wait=True, timeout=timedelta(minutes=1), listen=lambda result: None)
    assert result.word is comes_to, result.text()


@contextmanager
def importing(folder: Path) -> Iterator[None]:
    """As a run does that has the project's code."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def everything(folder: Path) -> dict[str, bytes]:
    """Every file, but for what SQLite keeps beside a database that is open."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if not name.endswith(("-shm", "-wal")):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found
