"""Where a repository is on disk: found by its files alone, whatever variables of git are set."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_POINTER = "gitdir: "
_LONGEST_POINTER = 4096


class GitFolders(NamedTuple):
    """``folder`` is the git directory, ``top`` of the work tree; None where there is none."""

    folder: Path
    top: Path | None


def find_repository(start: Path) -> GitFolders | None:
    """The repository whose work tree ``start`` lies in, or the bare one that it is or lies in; None without one. One
    that is damaged is found as well: whatever lies above it is not meant."""
    if not start.is_dir():
        return None
    for folder in (start, *start.parents):
        inside = folder / ".git"
        if inside.is_dir():
            return GitFolders(inside, folder)
        if inside.is_file():  # a linked work tree, or a submodule
            target = _pointed_to(inside)
            return None if target is None else GitFolders(target, folder)
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            return GitFolders(folder, None)
    return None


def _pointed_to(file: Path) -> Path | None:
    with file.open(encoding="utf-8", errors="surrogateescape") as stream:
        text = stream.read(_LONGEST_POINTER)
    return (file.parent / text.removeprefix(_POINTER).rstrip("\n")).resolve() if text.startswith(_POINTER) else None
