"""Data belongs to the commit: a repository, its controller and the commands, in this process."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from benchmarks.fleet import _Cluster
from controllers.cli.main import cli
from controllers.host import passes
from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.api.meta import Ref
from framework.backends.memory import MemoryRuns
from framework.kinds.feature_view.observed import FeatureViewState
from framework.planning.grammar.remembered import state_of, status_of
from framework.ports import RunSpec
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features import materialize
from tests.unit.test_uncommitted import git

SPEC = """\
apiVersion: mlops/v1alpha1
kind: FeatureView
metadata: {name: machines}
spec:
  entities: [id]
  timestamp: at
  sources: {raw: {format: csv, path: PATH, options: {parseDates: true}}}
  columns: [{name: id, dtype: Int64}, {name: at, dtype: Date}, {name: torque, dtype: Float64}]
"""
VIEW = Ref("FeatureView", "machines")


class RunsHere(MemoryRuns):
    """A run is done when its submission is answered. ``before`` happens once it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.before: list[Any] = []

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        super().submit(run, code_uri)
        self.names.append(run.submission_id)
        if self.before:
            self.before.pop()()
        folder = f"{run.storage}/runs/{run.name}"
        context = RunContext(run.name, run.attempt, run.payload, run.storage, folder, {}, lambda done, told: None)
        try:
            self.succeed(run.name, materialize.run(context))
        except WorkloadError as error:
            self.fail(run.name, error.kind, error.reason, str(error))


class Checkout:
    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, RunsHere()
        (root / "mlops_specs").mkdir(parents=True)
        (root / "data").mkdir()
        (root / ".gitignore").write_text(".mlops/\n")
        git(root, "init", "--quiet", "--initial-branch=main")
        self.spec("data/*.csv")
        self.rows(10)
        self.commit("Ten rows")

    def spec(self, path: str) -> None:
        (self.root / "mlops_specs" / "machines.yaml").write_text(SPEC.replace("PATH", path))

    def rows(self, count: int, name: str = "a") -> None:
        lines = [f"{row},2024-01-01,{row}.5" for row in range(count)]
        (self.root / "data" / f"{name}.csv").write_text("\n".join(["id,at,torque", *lines, ""]))

    def commit(self, message: str) -> str:
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--message", message)
        return git(self.root, "rev-parse", "HEAD")

    def call(self, *arguments: str) -> str:
        """The output of a command, on one line."""
        done = CliRunner().invoke(cli, ["--project", str(self.root), *arguments])
        assert done.exit_code in (0, 2), done.output
        return " ".join(done.output.split())

    def reconcile(self) -> tuple[int, int]:
        """Rows and version that readers have after a controller has done what git asks for."""
        project = open_project(Settings(root=self.root, starts=True), lambda: datetime.now(UTC))
        ports = replace(project.ports, runs=self.runs)
        project = replace(project, ports=ports, idle=ports, cluster=_Cluster())
        passes.lead(
            project, wait=True, timeout=timedelta(seconds=60), listen=lambda result: None, stop=threading.Event()
        )
        published = state_of(status_of(ports.state.load(VIEW)), FeatureViewState).published
        assert published is not None
        held = pl.read_delta(published.uri, version=published.version)
        assert held.height == published.rows
        return published.rows, published.version


@pytest.fixture
def here(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "project")


def test_a_commit_says_which_data_and_nothing_else_does(here: Checkout) -> None:
    assert "materialises: 1 new file, 183 B" in here.call("plan")
    assert here.reconcile() == (10, 0)
    here.rows(3)
    (here.root / "data" / "b.csv").write_text("id,at,torque\n")
    git(here.root, "add", "data/b.csv")
    assert here.reconcile() == (10, 0), "what is not committed is not looked at"
    plan = here.call("plan")
    assert "Nothing to do: 1 resource matches commit" in plan
    told = "are not looked at: data/a.csv, data/b.csv (added); commit them"
    assert told in plan
    assert told in here.call("status")
    document = json.loads(CliRunner().invoke(cli, ["--project", str(here.root), "status", "--output", "json"]).stdout)
    assert document["uncommitted"]["how"] == {"data/a.csv": "modified", "data/b.csv": "added"}
    (here.root / "data" / "b.csv").unlink()

    first = git(here.root, "rev-parse", "HEAD")
    second = here.commit("Newer data")
    plan = here.call("plan")
    assert "FeatureView/machines Materialize materialises: 1 changed, 64 B" in plan
    assert "data.raw: " in plan
    assert "1 file, 183 B" in plan
    assert "1 file, 64 B (1 changed, 64 B)" in plan
    assert "Materialize" in here.call("plan", "--base", first, "--head", second)
    assert "OutOfSync" in here.call("status"), "git asks for what nobody has"
    assert here.reconcile() == (3, 1)
    here.rows(5)
    assert here.reconcile() == (3, 1)
    told = here.call("lineage", str(VIEW)).replace("│ ", "")  # as wide as the terminal
    assert "data/a.csv git:" in told


def test_a_revert_brings_the_old_version_back_and_computes_nothing(here: Checkout) -> None:
    assert here.reconcile() == (10, 0)
    here.rows(3)
    here.commit("Cut")
    assert here.reconcile() == (3, 1)
    git(here.root, "revert", "--no-edit", "HEAD")
    assert "what git asks for exists already: nothing is built" in here.call("plan")
    assert here.reconcile() == (10, 0)
    assert len(here.runs.names) == 2


def test_another_name_is_no_other_data(here: Checkout) -> None:
    assert here.reconcile() == (10, 0)
    git(here.root, "mv", "data/a.csv", "data/renamed.csv")
    here.commit("Rename")
    assert here.reconcile() == (10, 0)
    git(here.root, "mv", "data/renamed.csv", "elsewhere.csv")
    here.spec("elsewhere.csv")
    here.commit("Move, and say so")
    assert here.reconcile() == (10, 0)
    assert len(here.runs.names) == 1
    here.root.joinpath("elsewhere.csv").write_text("id,at,torque\n1,2024-01-01,1.0\n")
    here.commit("Cut")
    assert here.reconcile()[0] == 1


def test_a_file_that_vanishes_before_it_is_read_is_read_as_the_commit_has_it(here: Checkout) -> None:
    here.runs.before.append((here.root / "data" / "a.csv").unlink)
    assert here.reconcile() == (10, 0)
    assert [name[-1] for name in here.runs.names] == ["1", "2"], "tried again"


def test_what_is_in_no_commit_is_read_as_it_lies_and_told(here: Checkout) -> None:
    here.rows(4, "extra")
    assert "1 file of data is in no commit and is read as it lies: data/extra.csv" in here.call("plan")
    assert here.reconcile() == (14, 0)
    here.commit("Now it is")
    assert here.reconcile()[0] == 14
