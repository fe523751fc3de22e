"""A project whose specs come from another repository: opened, planned, proposed to, and told what is wrong."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controllers.commands.project import Project
from controllers.host.wiring import open_project
from controllers.settings import GitAccess, Settings
from framework.api.errors import ConfigurationError, TransientError
from framework.api.meta import Ref
from framework.ports import Proposal
from tests.contract.repositories import Repository
from tests.world import DEPARTURES, TRAINING, environment

SPECS = {
    "mlops_specs/local.yaml": environment("ray: {address: embedded, dashboardPort: 0, servePort: 0}"),
    "mlops_specs/departures.yaml": DEPARTURES,
    "mlops_specs/training.yaml": TRAINING,
}
FEATURES = Ref.parse("FeatureView/departures")


@pytest.fixture
def upstream(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "upstream.git", bare=True)
    repository.commit(SPECS)
    return repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder that is no repository."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def opened(root: Path, source: str, revision: str = "main", **more: Any) -> Project:
    settings = Settings(root=root, source=source, revision=revision, **more)
    return open_project(settings, lambda: datetime.now(UTC))


def test_specs_come_from_a_remote_and_the_folder_needs_no_repository(upstream: Repository, root: Path) -> None:
    project = opened(root, upstream.folder.as_uri())
    assert FEATURES in project.desired()
    assert len(list((root / ".mlops").glob("mirror-*.git/HEAD"))) == 1
    assert not (root / "mlops_specs").exists()


def test_a_folder_of_a_bare_repository_on_this_machine(upstream: Repository, root: Path) -> None:
    upstream.commit({f"teams/flights/{path}": text for path, text in SPECS.items()}, branch="release/1")
    for source in (str(upstream.folder), "../upstream.git"):
        project = opened(root, source, "release/1", source_folder="teams/flights")
        assert FEATURES in project.desired()
    assert not list((root / ".mlops").glob("mirror*"))


def test_who_wants_the_newest_gets_it_and_who_does_not_need_it_goes_on_without(
    upstream: Repository, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = upstream.folder.as_uri()
    assert FEATURES in opened(root, source).desired()
    fewer = {path: text for path, text in SPECS.items() if "local" in path}
    upstream.commit(fewer)
    assert FEATURES in opened(root, source).desired()
    assert FEATURES not in opened(root, source, fresh=True).desired()

    upstream.folder.rename(tmp_path / "away")
    caplog.set_level(logging.WARNING)
    assert FEATURES not in opened(root, source, fresh=True).desired()
    assert "going on with what was fetched before" in caplog.text
    (tmp_path / "other").mkdir()
    with pytest.raises(TransientError):
        opened(tmp_path / "other", source)


def test_proposals_go_to_where_specs_come_from(upstream: Repository, root: Path) -> None:
    project = opened(root, upstream.folder.as_uri(), git=GitAccess(author="Ada <ada@example.org>"))
    base = project.ports.source.resolve("main")
    done = project.ports.writer.propose(Proposal(base, "mlopsctl/more", "More", {"mlops_specs/x.yaml": b"x: 1\n"}))
    assert done.pushed
    assert upstream.head("mlopsctl/more") == done.commit
    assert upstream.git("log", "-1", "--format=%an <%ae>", done.commit) == "Ada <ada@example.org>"

    local = opened(root, str(upstream.folder))
    done = local.ports.writer.propose(Proposal(base, "mlopsctl/less", "Less", {"mlops_specs/training.yaml": None}))
    assert (done.pushed, upstream.head("mlopsctl/less")) == (False, done.commit)


def test_a_hurry_reaches_the_mirror(upstream: Repository, root: Path) -> None:
    project = opened(root, upstream.folder.as_uri())
    project.ports.source.refresh()
    commit = upstream.commit(SPECS, "again")
    project.ports.source.refresh()
    assert project.ports.source.resolve("main") != commit  # asked less than 15 s ago
    project.hurry()
    project.ports.source.refresh()
    assert project.ports.source.resolve("main") == commit


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"source": "http://example.org/specs"}, "http is not encrypted"),
        ({"source": "https://ada:s3cr3t@example.org/specs"}, "has credentials in it"),
        ({"source": "ext::sh"}, "runs a program"),
        ({"source": "https://example.org/specs", "revision": "--upload-pack=x"}, "is not a name for a branch"),
        ({"source": "../nowhere"}, "is not inside a git repository"),
        ({"source": "../upstream.git", "source_folder": "../.."}, "does not lie inside the project"),
        ({"source": "../upstream.git", "git": GitAccess(author="Ada")}, "MLOPS_GIT_AUTHOR"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(
    upstream: Repository, root: Path, more: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        opened(root, **more)
    assert says in str(error.value)
    assert "s3cr3t" not in str(error.value)


def call(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", *arguments],
        cwd=root, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent), **environment},
    )  # fmt: skip


def test_the_command_line_takes_it_from_the_environment(upstream: Repository, root: Path, tmp_path: Path) -> None:
    source = upstream.folder.as_uri()
    done = call(root, "plan", MLOPS_SOURCE=source)
    assert done.returncode == 2, done.stderr
    assert "FeatureView/departures" in done.stdout
    upstream.folder.rename(tmp_path / "away")
    done = call(root, "status", "--output", "json", MLOPS_SOURCE=source)
    assert done.returncode == 0, done.stderr
    done = call(tmp_path, "--project", str(root), "status", MLOPS_SOURCE=f"{source}x")
    assert (done.returncode, done.stderr.startswith("error: file://")) == (1, True)
    assert call(root, "status", "--output", "json", MLOPS_SOURCE=source).returncode == 0  # its mirror is still there
    done = call(root, "plan", MLOPS_SOURCE="https://u:s3cr3t@example.org/x")
    assert done.returncode == 1
    assert done.stderr.startswith("error: MLOPS_SOURCE has credentials in it")
    assert "s3cr3t" not in done.stderr


def test_without_the_remote_and_without_what_was_fetched_there_is_still_the_state(
    upstream: Repository, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = upstream.folder.as_uri()
    project = opened(root, source)
    leadership = project.leadership()
    assert leadership.acquire()
    project.source_controller(lambda: leadership.token).poll()
    leadership.release()
    (mirror,) = (root / ".mlops").glob("mirror-*.git")
    mirror.rename(tmp_path / "mirror")
    upstream.folder.rename(tmp_path / "away")
    for fresh in (False, True):
        without = opened(root, source, fresh=fresh, starts=fresh)
        assert without.ports.state.revisions(1)[0].accepted
        without.ensure_startable()
    assert "which is in force" in caplog.text
    assert "nothing is done until it can be read again" in caplog.text
    (tmp_path / "away").rename(upstream.folder)
    assert FEATURES in opened(root, source, fresh=True).desired()
