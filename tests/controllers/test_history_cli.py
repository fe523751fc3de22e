"""History, lineage, audit, rollback and promote as people call them: on a real repository and a real database."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import pytest

from controllers.cli.main import main
from framework.backends.git.source import GitSource
from framework.backends.state.database import open_database
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from tests.controllers.test_cli import LOCAL, Project
from tests.world import BETTER, DEPARTURES, DEPLOYMENT, ENDPOINT, TRAINING, World

PROD = LOCAL.replace("name: local", "name: prod").replace("spec: {", "spec: {storage: .mlops/prod, ")
"""Beside local, in the same database."""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def call(project: Project, *arguments: str) -> Done:
    """The command in this process: otherwise each would load everything anew."""
    out, err = StringIO(), StringIO()
    with (
        patch.object(sys, "argv", ["mlopsctl", "--project", str(project.root), *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as leave,
    ):
        main()
    code = leave.value.code
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Done(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def live(project: Project, started: datetime) -> dict[str, str]:
    """Two commits go through the loop, as at a controller that ran here yesterday; their SHAs by name. The data plane
    was in memory, so there are models and records, but no tables."""
    world = World()
    database = open_database("sqlite:///.mlops/state.db", str(project.root))
    state = SqlStateStore(database, "local")
    world.ports = cast(
        Any,
        replace(
            cast(Any, world.ports),
            state=state,
            registry=SqlModelRegistry(database, "local"),
            source=GitSource(project.root),
        ),
    )
    world.now = started
    world.restart(world.ports)
    commits = {}
    for name, text in (("first", TRAINING), ("second", BETTER)):
        project.commit(classifier=text)
        commits[name] = world.head = head(project)
        world.run()
        assert world.standing().converged, world.message(ENDPOINT)
        world.now += timedelta(hours=1)
    lease = state.lease()
    assert lease is not None
    state.release(lease)
    database.close()
    return commits


def head(project: Project, revision: str = "HEAD") -> str:
    done = subprocess.run(["git", "rev-parse", revision], cwd=project.root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def show(project: Project, revision: str, path: str) -> str:
    done = subprocess.run(
        ["git", "show", f"{revision}:{path}"], cwd=project.root, check=True, capture_output=True, text=True
    )
    return done.stdout


STARTED = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    project = Project(tmp_path_factory.mktemp("lived") / "project")
    project.commit(prod=PROD)
    return project, live(project, STARTED)


@pytest.fixture
def mine(lived: tuple[Project, dict[str, str]], tmp_path: Path) -> tuple[Project, dict[str, str]]:
    """A copy, to change."""
    shutil.copytree(lived[0].root, tmp_path / "project")
    project = Project.__new__(Project)
    project.root, project.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"
    return project, lived[1]


def test_history_says_what_served_when(lived: tuple[Project, dict[str, str]]) -> None:
    project, commits = lived
    text = call(project, "history").stdout
    assert commits["first"][:7] in text
    assert commits["second"][:7] in text
    at = (STARTED + timedelta(minutes=30)).isoformat()
    document = json.loads(call(project, "history", "--at", at, "--output", "json").stdout)
    served = document["resources"][0]["served"]
    assert [one["commit"] for one in served] == [commits["first"]]
    assert [one["commit"] for one in document["revisions"]] == [commits["first"]]
    day = call(project, "history", "--at", STARTED.date().isoformat())
    assert served[0]["version"] in day.stdout
    for wrong, told in (("yesterday", "neither a date"), ("2999-01-01", "future")):
        done = call(project, "history", "--at", wrong)
        assert (done.returncode, told in done.stderr) == (1, True)


def test_lineage_goes_back_to_the_commit(
    lived: tuple[Project, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    project, commits = lived
    done = call(project, "lineage")
    assert done.returncode == 0
    assert f"commit {commits['second'][:7]}" in done.stdout
    assert "100 % of the traffic" in done.stdout
    assert call(project, "lineage", "--output", "mermaid").stdout.startswith("flowchart LR")
    missing = call(project, "lineage", "classifier@nothing")
    assert (missing.returncode, "no version 'nothing'" in missing.stderr) == (1, True)


def test_a_rollout_is_shown_and_spoken_to(lived: tuple[Project, dict[str, str]]) -> None:
    project, _ = lived
    done = call(project, "rollout", "show", "delay")
    assert (done.returncode, "stable" in done.stdout) == (0, True)
    assert json.loads(call(project, "rollout", "show", "delay", "--output", "json").stdout)["reason"] == "Serving"
    for verb in ("promote", "abort", "pause", "resume"):
        done = call(project, "rollout", verb, "delay")
        assert (done.returncode, "has no rollout under way" in done.stderr) == (1, True)
    done = call(project, "rollout", "retry", "delay")
    assert (done.returncode, "was not turned away" in done.stderr) == (1, True)
    done = call(project, "rollout", "show", "nothing")
    assert (done.returncode, "is not on record" in done.stderr) == (1, True)


def test_events_of_a_reason_and_since(lived: tuple[Project, dict[str, str]]) -> None:
    project, _ = lived
    done = call(project, "events", "--reason", "Promoted", "--output", "json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["reason"] for row in rows] == ["Promoted", "Promoted"]
    assert rows[1]["data"]["before"] == rows[0]["data"]["after"]
    assert call(project, "events", "--since", "1h", "--output", "json").stdout == ""
    assert "Promoted" in call(project, "events", "--since", "2d", "--limit", "1").stdout
    assert call(project, "events", "--since", "tomorrowish").returncode == 1


# ------------------------------------------------------------------- audit


def test_a_whole_log_is_verified(lived: tuple[Project, dict[str, str]]) -> None:
    project, _ = lived
    done = call(project, "audit", "verify")
    assert done.returncode == 0
    assert "The log is whole" in done.stdout
    document = json.loads(call(project, "audit", "verify", "--output", "json").stdout)
    assert (document["valid"], document["problems"], document["first"]) == (True, [], STARTED.isoformat())
    assert document["head"] in done.stdout


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (
            ["UPDATE mlops_events SET body = replace(body, 'ModelReady', 'ModelReadi') WHERE body LIKE '%ModelReady%'"],
            "was changed",
        ),
        (["DELETE FROM mlops_events WHERE sequence = 3"], "events 3 to 3 are missing"),
        (
            [
                f"UPDATE mlops_events SET sequence = {new} WHERE sequence = {old}"
                for old, new in ((2, 9999), (3, 2), (9999, 3))
            ],
            "event 2 was moved",
        ),
        (["DELETE FROM mlops_events WHERE sequence > 5"], "events 6 to"),
        (["DELETE FROM mlops_events"], "events 1 to"),
    ],
    ids=["changed", "removed", "swapped", "cut", "emptied"],
)
def test_a_log_that_was_tampered_with_is_told_place_by_place(
    mine: tuple[Project, dict[str, str]], statements: list[str], told: str
) -> None:
    project, _ = mine
    with closing(sqlite3.connect(project.root / ".mlops" / "state.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    done = call(project, "audit", "verify")
    assert done.returncode == 1
    assert told in done.stdout
    document = json.loads(call(project, "audit", "verify", "--output", "json").stdout)
    assert not document["valid"]
    assert any(told in problem for problem in document["problems"])


# ------------------------------------------------------------------- rollback


def test_rolling_back_pins_the_commit_and_prepares_the_revert(mine: tuple[Project, dict[str, str]]) -> None:
    project, commits = mine
    (project.root / "README.md").write_text("in the work tree, not committed\n")
    (project.specs / "delay.yaml").write_text("half an edit")
    before = subprocess.run(["git", "status", "--short"], cwd=project.root, capture_output=True, text=True, check=True)
    done = call(project, "rollback", "HEAD~1", "--yes", "--message", "too slow")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Returns +TrainingJob/classifier", done.stdout)
    assert "nothing is trained again" in done.stdout.lower()
    assert "mlopsctl reconcile --once" in done.stdout
    branch = f"mlopsctl/rollback-{commits['first'][:7]}"
    assert f"git merge --ff-only {branch}" in done.stdout
    assert show(project, branch, "mlops_specs/classifier.yaml") == TRAINING
    assert head(project, f"{branch}~1") == commits["second"] == head(project)
    after = subprocess.run(["git", "status", "--short"], cwd=project.root, capture_output=True, text=True, check=True)
    assert after.stdout == before.stdout
    again = call(project, "rollback", commits["first"], "--yes", "--output", "json")
    assert again.returncode == 0, again.stderr
    document = json.loads(again.stdout)
    assert document["done"]["revert"]["commit"] == head(project, branch)
    assert call(project, "rollback", "--end").stdout.startswith("The rollback to")
    assert call(project, "rollback", "--end").stdout.startswith("No rollback is in force")


def test_a_rollback_asks_first_and_does_nothing_where_nobody_answers(mine: tuple[Project, dict[str, str]]) -> None:
    project, commits = mine
    done = call(project, "rollback", commits["first"])
    assert done.returncode == 1
    assert "--yes" in done.stderr
    assert "Returns" in done.stdout
    assert call(project, "rollback", "--end").stdout.startswith("No rollback is in force")
    branches = subprocess.run(["git", "branch"], cwd=project.root, capture_output=True, text=True, check=True).stdout
    assert "rollback" not in branches


def test_a_rollback_that_would_train_is_refused_unless_it_is_wanted(mine: tuple[Project, dict[str, str]]) -> None:
    project, commits = mine
    with closing(sqlite3.connect(project.root / ".mlops" / "state.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM mlops_models")
    done = call(project, "rollback", commits["first"], "--yes")
    assert (done.returncode, "--rebuild" in done.stderr) == (1, True)
    assert call(project, "rollback", commits["first"], "--yes", "--rebuild", "--no-commit").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name the commit"),
        (["HEAD", "--end"], "name the commit"),
        (["nowhere", "--yes"], "nowhere"),
        (["--", "--upload-pack=x"], "upload-pack"),
    ],
)
def test_a_rollback_to_nothing(lived: tuple[Project, dict[str, str]], arguments: list[str], told: str) -> None:
    done = call(lived[0], "rollback", *arguments)
    assert (done.returncode, told in done.stderr) == (1, True)


def test_git_asks_for_that_already(lived: tuple[Project, dict[str, str]]) -> None:
    done = call(lived[0], "rollback", "HEAD", "--yes")
    assert (done.returncode, "nothing to roll back" in done.stdout) == (0, True)


# ------------------------------------------------------------------- promote


def test_promoting_pins_what_serves(mine: tuple[Project, dict[str, str]]) -> None:
    project, commits = mine
    dry = call(project, "promote", "--from", "local", "--to", "prod", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "+++ b/mlops_specs/prod.yaml" in dry.stdout
    branches = subprocess.run(["git", "branch"], cwd=project.root, capture_output=True, text=True, check=True).stdout
    assert "promote" not in branches
    done = call(project, "promote", "--from", "local", "--to", "prod", "--output", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    branch, version = document["proposed"]["branch"], document["deployments"][0]["version"]
    assert version in show(project, branch, "mlops_specs/prod.yaml")
    assert show(project, branch, "mlops_specs/delay.yaml") == DEPLOYMENT
    assert show(project, branch, "mlops_specs/departures.yaml") == DEPARTURES
    assert head(project, f"{branch}~1") == commits["second"]
    project.git("merge", "--quiet", "--ff-only", branch)
    nothing = call(project, "promote", "--from", "local", "--to", "prod")
    assert (nothing.returncode, "Nothing to promote to prod" in nothing.stdout) == (0, True)
    assert call(project, "validate").returncode == 0


def test_promoting_onto_a_branch(mine: tuple[Project, dict[str, str]]) -> None:
    project, _ = mine
    project.git("branch", "release")
    command = ["promote", "--from", "local", "--to", "prod", "--branch", "release"]
    first = call(project, *command, "--onto")
    assert first.returncode == 0, first.stderr
    assert head(project, "release~1") == head(project)
    assert call(project, *command, "--onto").stdout.rstrip().endswith("Nothing to promote to prod.")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--from", "local", "--to", "local"], "the same environment"),
        (["--from", "local", "--to", "prdo"], "prod"),
        (["--from", "local", "--to", "prod", "--onto"], "--branch"),
        (["--from", "local", "--to", "prod", "--resource", "TrainingJob/classifier"], "only a ModelDeployment"),
        (["--from", "local", "--to", "prod", "--resource", "ModelDeployment/dleay"], "ModelDeployment/delay"),
        (["--from", "prod", "--to", "local", "--resource", "ModelDeployment/delay"], "it has none"),
        (["--from", "local", "--to", "prod", "--branch", "main"], "checked out"),
        (["--from", "local", "--to", "prod", "--branch", "-x"], "-x"),
    ],
)
def test_a_promotion_that_cannot_be(lived: tuple[Project, dict[str, str]], arguments: list[str], told: str) -> None:
    done = call(lived[0], "promote", *arguments)
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr
