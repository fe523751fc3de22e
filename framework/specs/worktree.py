"""Files on disk in the place of a commit, so that uncommitted specs can be checked. Needs no git."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from framework.api.errors import ConfigurationError, Problem, SpecError
from framework.ports import Blob
from framework.specs.loader import SUFFIXES
from framework.specs.rules.reach import parent_inits
from framework.specs.tree import archive, blob_sha, inside, tree_sha
from framework.specs.yaml.positions import MAX_BYTES

WORKTREE = "worktree"
"""What stands for the commit."""

_IGNORED = frozenset(
    {".git", ".hg", ".venv", ".mlops", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__", "node_modules"}
)


class WorktreeSource:
    """A SpecSource over a project's folder as it is now. ``read`` gives at most 1 MiB + 1 byte of a file: enough to see
    that it is too large."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root).resolve()

    def resolve(self, revision: str) -> str:
        return WORKTREE

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        """Regular files below ``folder`` (or the one file it names), sorted by path. SHAs of specs are git's; those of
        all other files stand for size and time, for they may be as large as they like.

        Raises:
            SpecError: symlinks or other repositories lie below it.
            ConfigurationError: the folder leaves the project.
        """
        start = inside(folder)
        problems: list[Problem] = []
        found = [Blob(path, self._sha(path, entry)) for path, entry in self._files(start, problems)]
        if problems:
            raise SpecError(problems)
        return sorted(found, key=lambda blob: blob.path)

    def _sha(self, path: str, entry: os.stat_result) -> str:
        if path.endswith(SUFFIXES) and entry.st_size <= MAX_BYTES:
            with contextlib.suppress(OSError):  # reading it will tell
                return blob_sha((self._root / path).read_bytes())
        return f"{path}:{entry.st_size}:{entry.st_mtime_ns}"

    def _files(self, start: str, problems: list[Problem]) -> Iterator[tuple[str, os.stat_result]]:
        path = self._root / start
        if (linked := self._on_the_way(start, os.path.islink)) is not None:
            problems.append(refused_link(linked))
        elif (other := self._on_the_way(start, _is_repository)) is not None:
            problems.append(refused_submodule(other))
        elif path.is_file():
            yield start, path.stat()
        elif path.is_dir():
            yield from self._below(path, problems)

    def _below(self, start: Path, problems: list[Problem]) -> Iterator[tuple[str, os.stat_result]]:
        folders = [start]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    name = Path(entry.path).relative_to(self._root).as_posix()
                    if entry.name in _IGNORED or entry.name.endswith(".pyc"):
                        continue
                    if entry.is_symlink():
                        problems.append(refused_link(name))
                    elif entry.is_dir(follow_symlinks=False):
                        if _is_repository(entry.path):
                            problems.append(refused_submodule(name))
                        else:
                            folders.append(Path(entry.path))
                    elif entry.is_file(follow_symlinks=False):
                        yield name, entry.stat(follow_symlinks=False)

    def _on_the_way(self, path: str, is_so: Callable[[Path | str], bool]) -> str | None:
        """The first folder on the way to ``path``, or itself, that is so."""
        parts = path.split("/") if path else []
        names = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        return next((name for name in names if is_so(self._root / name)), None)

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        """Bytes by SHA. Raises ConfigurationError for a file that cannot be read."""
        found: dict[str, bytes] = {}
        for blob in blobs:
            try:
                with open(self._root / inside(blob.path), "rb") as stream:
                    found[blob.sha] = stream.read(MAX_BYTES + 1)
            except OSError as error:
                raise ConfigurationError(f"{blob.path} cannot be read: {error.strerror}") from error
        return found

    def tree_digest(self, commit: str, folder: str) -> str | None:
        """What git would call the folder or file if all of it were committed."""
        start = inside(folder)
        path = self._root / start
        if self._on_the_way(start, os.path.islink) is not None:
            return None
        if path.is_file():
            return blob_sha(path.read_bytes())
        if not path.is_dir():
            return None
        prefix = f"{start}/" if start else ""
        return tree_sha(
            (name.removeprefix(prefix), bool(entry.st_mode & 0o100), blob_sha((self._root / name).read_bytes()))
            for name, entry in self._below(path, [])
        )

    def weight(self, commit: str, folder: str) -> int:
        """Bytes of all files below ``folder``."""
        return sum(entry.st_size for _, entry in self._files(inside(folder), []))

    def archive(self, commit: str, folder: str) -> bytes:
        """A zip of ``folder`` and of the ``__init__.py`` files above it."""
        start = inside(folder)
        above = [name for name in parent_inits(start) if (self._root / name).is_file()]
        names = [blob.path for blob in self.blobs(commit, start)] + above
        paths = {name: self._root / name for name in names}
        return archive({name: (path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in paths.items()})


def _is_repository(path: Path | str) -> bool:
    return os.path.lexists(os.path.join(path, ".git"))


def refused_link(path: str) -> Problem:
    message = "a symbolic link; only regular files are read, because a link may lead out of the repository"
    return Problem(path, 0, 0, "", message)


def refused_submodule(path: str) -> Problem:
    return Problem(path, 0, 0, "", "another repository (submodule); put its files into this one")
