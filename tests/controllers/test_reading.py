"""Commands that only read make nothing: no database, no folder, wherever the Environment says that state lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controllers.host.wiring import open_project
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, SpecError
from tests.builders import NOW
from tests.controllers.test_cli import LOCAL, Project
from tests.controllers.test_history_cli import PROD, call

READING = (
    ["plan"],
    ["plan", "--output", "json"],
    ["plan", "--base", "HEAD", "--head", "HEAD"],
    ["status"],
    ["status", "FeatureView/departures"],
    ["events"],
    ["why", "ModelDeployment/delay"],
    ["history"],
    ["history", "--at", "2026-11-20"],
    ["lineage"],
    ["models", "list"],
    ["models", "show", "classifier"],
    ["models", "diff", "classifier", "classifier"],
    ["models", "card", "classifier"],
    ["audit", "verify"],
    ["rollback", "--end", "--yes"],
    ["promote", "--from", "local", "--to", "prod", "--dry-run"],
    ["fmt", "--check"],
    ["simulate"],
    ["down"],
)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    return tmp_path / "srv"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    project.commit(prod=PROD)
    return project


def everything(folder: Path) -> Iterator[str]:
    """What lies below, git's own apart: asking git may refresh its index."""
    return (one.relative_to(folder).as_posix() for one in folder.rglob("*") if ".git" not in one.parts)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_command_that_reads_leaves_no_trace(project: Project, outside: Path, command: list[str]) -> None:
    before = set(everything(outside.parent))
    done = call(project, *command)
    assert done.returncode in {0, 1, 2}, done
    assert set(everything(outside.parent)) == before, done


@pytest.mark.parametrize("command", [["plan"], ["status"], ["events"], ["history"]], ids=" ".join)
def test_nor_where_the_operator_allows_it_to_lie(
    project: Project, outside: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("MLOPS_ALLOWED_PATHS", str(outside))
    away = f"storage: {outside}/store, state: 'sqlite:///{outside}/deep/state.db', "
    project.commit(local=LOCAL.replace("spec: {", f"spec: {{{away}"))
    before = set(everything(outside.parent))
    done = call(project, *command)
    assert done.returncode in {0, 2}, done
    assert set(everything(outside.parent)) == before


def test_validate_keeps_what_it_found_and_nothing_else(project: Project) -> None:
    before = set(everything(project.root))
    assert call(project, "validate").returncode == 0
    kept = {".mlops", ".mlops/cache", ".mlops/cache/.gitignore", ".mlops/cache/examined.json"}
    assert set(everything(project.root)) - before == kept


def test_what_is_not_there_reads_as_empty(project: Project) -> None:
    assert call(project, "events").stdout.strip() == "No events yet."
    assert call(project, "audit", "verify").returncode == 0


def opened(project: Project, *, creates: bool = False, allowed: tuple[str, ...] = ()) -> None:
    settings = Settings(root=project.root, creates=creates, allowed_paths=allowed)
    open_project(settings, lambda: NOW).ports.state.events()


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("storage: kept/store", "kept/store leads to"),
        ("state: 'sqlite:///kept/state.db'", "kept/state.db leads to"),
    ],
)
def test_a_link_that_leaves_the_project_is_not_followed(project: Project, outside: Path, field: str, why: str) -> None:
    outside.mkdir()
    (project.root / "kept").symlink_to(outside)
    project.commit(local=LOCAL.replace("spec: {", f"spec: {{{field}, "))
    with pytest.raises(ConfigurationError, match=why):
        opened(project, creates=True)
    assert not list(outside.iterdir())
    opened(project, creates=True, allowed=(str(outside),))


def test_a_link_into_git_is_not_followed(project: Project) -> None:
    (project.root / "kept").symlink_to(".git")
    project.commit(local=LOCAL.replace("spec: {", "spec: {state: 'sqlite:///kept/state.db', "))
    with pytest.raises(ConfigurationError, match="hidden files are others'"):
        opened(project, creates=True)
    assert not (project.root / ".git" / "state.db").exists()


def test_a_place_that_is_not_allowed_is_told_where_it_stands(project: Project, outside: Path) -> None:
    project.commit(local=LOCAL.replace("spec: {", f"spec: {{storage: {outside}/store, "))
    with pytest.raises(SpecError, match="MLOPS_ALLOWED_PATHS") as refused:
        opened(project, creates=True)
    (problem,) = refused.value.problems
    assert (problem.file, problem.path) == ("mlops_specs/local.yaml", "spec.storage")
    assert not outside.exists()
