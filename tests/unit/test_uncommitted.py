"""Which files differ from the checked-out commit, as git itself tells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from framework.backends.git.uncommitted import uncommitted

SPECS = ("mlops_specs",)


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project in a folder of its repository."""
    project = tmp_path / "top" / "team project"
    for name in ("mlops_specs/a.yaml", "mlops_specs/deep/b c.yaml", "data/one.csv", "p/code.py", "README.md"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("as committed\n")
    (tmp_path / "top" / ".gitignore").write_text("*.tmp\n")
    (tmp_path / "top" / "other.yaml").write_text("")
    git(tmp_path / "top", "init", "--quiet")
    git(project, "add", "--all", "..")
    git(project, "commit", "--quiet", "--message", "one")
    return project


def files(root: Path, *paths: str) -> tuple[str, ...]:
    found = uncommitted(root, paths or SPECS)
    assert found is not None
    assert found[0] == git(root, "rev-parse", "HEAD")
    return tuple(found[1])


def test_nothing_differs_after_a_commit(root: Path) -> None:
    assert files(root) == ()


def test_what_was_edited_added_staged_and_removed_differs_and_nothing_else(root: Path) -> None:
    specs = root / "mlops_specs"
    (specs / "a.yaml").write_text("edited\n")
    (specs / "deep" / "b c.yaml").unlink()
    (specs / "ä new.yaml").write_text("")
    (specs / "staged.yaml").write_text("")
    (specs / "scratch.tmp").write_text("")
    git(root, "add", "mlops_specs/staged.yaml")
    (root / "README.md").write_text("of no interest")
    (root.parent / "other.yaml").write_text("of no interest")
    expected = ("mlops_specs/a.yaml", "mlops_specs/deep/b c.yaml", "mlops_specs/staged.yaml", "mlops_specs/ä new.yaml")
    assert files(root) == expected


def test_a_file_that_moved_differs_at_both_places(root: Path) -> None:
    git(root, "mv", "mlops_specs/a.yaml", "mlops_specs/z.yaml")
    assert files(root) == ("mlops_specs/a.yaml", "mlops_specs/z.yaml")


def test_a_touched_file_is_as_it_was(root: Path) -> None:
    os.utime(root / "mlops_specs" / "a.yaml", (1, 1))
    assert files(root) == ()


def test_code_and_data_are_looked_at_where_they_are_named(root: Path) -> None:
    (root / "data" / "one.csv").write_text("cut")
    (root / "data" / "two.csv").write_text("new")
    (root / "p" / "code.py").write_text("edited")
    assert files(root) == ()
    assert files(root, "mlops_specs", "p", "data/*.csv") == ("data/one.csv", "data/two.csv", "p/code.py")
    assert files(root, "data/one.csv") == ("data/one.csv",)
    assert files(root, "no/such/place") == ()


def test_a_name_that_is_no_text_does_no_harm(root: Path) -> None:
    (Path(os.fsdecode(os.fsencode(root / "mlops_specs") + b"/\xe9\n.yaml"))).write_text("")
    assert files(root) == ("mlops_specs/\\xe9\n.yaml",)


def test_a_conflict_differs(root: Path) -> None:
    git(root, "checkout", "--quiet", "-b", "other")
    (root / "mlops_specs" / "a.yaml").write_text("theirs\n")
    git(root, "commit", "--quiet", "--all", "--message", "theirs")
    git(root, "checkout", "--quiet", "-")
    (root / "mlops_specs" / "a.yaml").write_text("ours\n")
    git(root, "commit", "--quiet", "--all", "--message", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(root, "merge", "--quiet", "other")
    assert files(root) == ("mlops_specs/a.yaml",)


def test_nothing_is_written_and_nothing_of_the_repository_is_run(root: Path) -> None:
    trap = root / "trap"
    git(root, "config", "core.fsmonitor", f"touch '{trap}'; true")
    os.utime(root / "mlops_specs" / "a.yaml", (1, 1))
    index = root.parent / ".git" / "index"
    before = index.read_bytes()
    assert files(root) == ()
    assert (index.read_bytes(), trap.exists()) == (before, False)


def test_variables_of_the_caller_lead_nowhere_else(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    (root / "mlops_specs" / "a.yaml").write_text("edited\n")
    assert uncommitted(root, SPECS) is not None
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert files(root) == ("mlops_specs/a.yaml",)


def test_where_nobody_can_tell_there_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert uncommitted(tmp_path, SPECS) is None, "no repository"
    git(tmp_path, "init", "--quiet")
    assert uncommitted(tmp_path, SPECS) is None, "no commit"
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "one")
    assert uncommitted(tmp_path, SPECS) is not None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uncommitted(tmp_path, SPECS) is None, "no git"
