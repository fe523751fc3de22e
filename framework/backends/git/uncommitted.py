"""Which files of a work tree are not as the checked-out commit has them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from framework.backends.git.process import variables

SECONDS = 10.0

_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all")
_WILD = set("*?[")
_COMMIT = re.compile(rb"# branch\.oid ([0-9a-f]{40,64})")
_FIELDS = {b"1": 8, b"2": 9, b"u": 10}
"""Blanks before the path, by the kind of a line of ``git status --porcelain=v2``."""


UNTRACKED = "untracked"


def uncommitted(root: Path, paths: Iterable[str]) -> tuple[str, dict[str, str]] | None:
    """The checked-out commit, and the files at or below ``paths`` that differ from it, sorted, with how: ``modified``,
    ``deleted``, ``added`` or :data:`UNTRACKED`. What git ignores is no part of a commit either. Paths start at
    ``root``, the project's folder, and may have wildcards.

    None where nobody can tell: no repository, no commit, no git, or one that takes too long.
    """
    wanted = {path.strip("/") for path in paths} - {""}
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None or not wanted:
        return None
    try:
        done = subprocess.run(
            ["git", *_STATUS, "--", *_tops(wanted)],  # noqa: S607
            cwd=root, env=variables(), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    commit = _COMMIT.search(done.stdout)
    if done.returncode != 0 or commit is None:
        return None
    below = root.relative_to(top)
    found = ((_path(line), _how(line)) for line in done.stdout.split(b"\0") if line[:1] in b"12u?" and line)
    files = {Path(name).relative_to(below).as_posix(): how for name, how in found if Path(name).is_relative_to(below)}
    return commit[1].decode(), {file: files[file] for file in sorted(filter(_within(wanted), files))}


def tracked(path: Path) -> bool:
    """Whether git tracks the file, in whichever repository it lies; False where nobody can tell."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "--error-unmatch", "--", f":(literal){path.name}"],  # noqa: S607
            cwd=path.parent, env=variables(), stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _tops(wanted: Iterable[str]) -> list[str]:
    """What git is asked about. It compares every file with every path that it is given, so it gets few."""
    tops = sorted({path.split("/")[0] for path in wanted})
    return [f":({'glob' if _WILD & set(top) else 'literal'}){top}" for top in tops]


def _within(wanted: Iterable[str]) -> Callable[[str], bool]:
    plain = {path for path in wanted if not _WILD & set(path)}
    wild = [path for path in wanted if _WILD & set(path)]

    def within(file: str) -> bool:
        above = (file, *(str(parent) for parent in PurePosixPath(file).parents))
        return not plain.isdisjoint(above) or any(fnmatchcase(file, path) for path in wild)

    return within


def _how(line: bytes) -> str:
    """By what stands for the index and for the work tree: ``1 AM ...``."""
    if line[:1] == b"?":
        return UNTRACKED
    states = line[2:4]
    return "deleted" if b"D" in states else "added" if b"A" in states else "modified"


def _path(line: bytes) -> str:
    kind = line[:1]
    path = line.split(b" ", _FIELDS[kind])[-1] if kind in _FIELDS else line[2:]
    return path.decode("utf-8", "backslashreplace")
