"""Many digests of a git commit at once: the same as one by one."""

from __future__ import annotations

import subprocess
from pathlib import Path

from framework.backends.git.source import GitSource
from framework.specs.rules.code import ManyDigests


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_they_are_those_of_one_path_at_a_time(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    for path in ("a/b/c.py", "a/b/__init__.py", "a/d.py", "a/ä b.py", "specs/x.yaml", "top.py"):
        (tmp_path / "in" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / path).write_text(path)
    (tmp_path / "in" / "link").symlink_to("a")
    (tmp_path / "in" / "a" / "link.py").symlink_to("d.py")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "all")
    paths = [
        "a", "a/b", "a/b/c.py", "a/b/__init__.py", "a/b/none.py", "a/d.py", "a/ä b.py", "specs", "none", "none/x.py",
        "link", "link/d.py", "a/link.py", "top.py", "top.py/x", "", "a/", "*.py", "a/*",
    ]  # fmt: skip
    for root in (tmp_path, tmp_path / "in"):
        source = GitSource(root)
        commit = source.resolve("HEAD")
        below = paths if root != tmp_path else [f"in/{path}" for path in paths if path] + [""]

        assert isinstance(source, ManyDigests)
        assert source.tree_digests(commit, below) == {path: source.tree_digest(commit, path) for path in below}
        assert sum(one is not None for one in source.tree_digests(commit, below).values()) >= 9
        assert source.tree_digests(commit, [below[2]] * 1200) == {below[2]: source.tree_digest(commit, below[2])}
        assert source.tree_digests(commit, []) == {}
