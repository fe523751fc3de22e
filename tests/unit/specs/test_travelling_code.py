"""What cannot travel to the cluster with user code is told with the specs, and not by the run that needs it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from framework.api.errors import SpecError
from framework.backends.git.source import GitSource
from framework.kinds import KINDS
from framework.specs import worktree
from framework.specs.read import read_snapshot
from framework.specs.rules import code
from tests.unit.specs.conftest import Project

PACKAGE = "shop/code"


def commit(project: Project) -> str:
    """All of it, as git keeps it."""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    steps = (["init", "--quiet", "--template="], ["add", "--all"], ["commit", "--quiet", "--message", "all"])
    for step in steps:
        subprocess.run([*git, *step], cwd=project.root, check=True, capture_output=True)
    return GitSource(project.root).resolve("HEAD")


def refused(project: Project) -> list[str]:
    with pytest.raises(SpecError) as raised:
        read_snapshot(GitSource(project.root), commit(project), "specs", "local", KINDS)
    return [str(problem) for problem in raised.value.problems]


@pytest.mark.parametrize("target", ["/etc/passwd", "features.py", "nowhere", ".."])
@pytest.mark.parametrize("place", ["leak.py", "deep/er/data", "__pycache__x"])
def test_a_link_in_the_code_folder(project: Project, place: str, target: str) -> None:
    link = project.root / PACKAGE / place
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    assert project.problems() == [
        f"{PACKAGE}/{place}: error: a symbolic link; only regular files are read, because a link may lead out of the "
        "repository"
    ]
    assert refused(project) == project.problems()


def test_a_link_in_the_place_of_a_package_above(project: Project) -> None:
    (project.root / "shop" / "__init__.py").symlink_to("code/__init__.py")
    assert [problem.split(":")[0] for problem in project.problems()] == ["shop/__init__.py"]
    assert refused(project) == project.problems()


def test_another_repository_in_the_code_folder(project: Project) -> None:
    inner = project.root / PACKAGE / "vendored"
    inner.mkdir()
    for step in (["init", "--quiet", "--template="], ["commit", "--quiet", "--allow-empty", "--message", "x"]):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *step],
            cwd=inner, check=True, capture_output=True,
        )  # fmt: skip
    assert [problem.split(":")[0] for problem in project.problems()] == [f"{PACKAGE}/vendored"]
    assert refused(project) == project.problems()


def test_a_name_that_no_archive_holds(project: Project) -> None:
    try:
        Path(os.fsdecode(os.fsencode(project.root / PACKAGE) + b"/caf\xe9.txt")).write_text("x")
    except OSError:
        pytest.skip("this file system takes no such name")
    (problem,) = refused(project)
    assert "its name is no UTF-8" in problem


def test_more_code_than_travels(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_ARCHIVE_BYTES", 3 << 20)
    (project.root / PACKAGE / "weights.bin").write_bytes(b"x" * (4 << 20))
    assert project.problems() == [f"{PACKAGE}: error: holds 4 MiB; at most 3 MiB of code travel"]
    assert refused(project) == project.problems()


def test_what_lies_beside_the_code_may_be_anything(project: Project) -> None:
    (project.root / "shop" / "data").symlink_to("/etc")
    (project.root / "notes").symlink_to("nowhere")
    assert project.problems() == []
    assert worktree.WorktreeSource(project.root).archive(worktree.WORKTREE, PACKAGE)
