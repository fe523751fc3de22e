"""Where the files lie that specs name: in a folder on disk, or in a commit."""

from __future__ import annotations

import glob
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from framework import storage
from framework.api.errors import MlopsError
from framework.api.hashes import text_hash
from framework.ports import Blob, SpecSource
from framework.specs.rules.code import ManyDigests


class Tree(Protocol):
    """``whole``: everything is there that is to be there, so that what is missing may be told."""

    whole: bool

    def look_ahead(self, paths: Sequence[str]) -> None:
        """Learn in one step what ``mark`` of all ``paths`` will need."""
        ...

    def mark(self, path: str) -> str:
        """What changes when the files do that ``path`` (of a spec, below the root) names."""
        ...

    def root_for(self, paths: Sequence[str], folder: str) -> str:
        """A folder in which those of ``paths`` can be read that are there; ``folder`` may be filled to that end."""
        ...

    def outside(self, files: Iterable[str]) -> frozenset[str]:
        """Those of ``files`` that are no part of any commit."""
        ...

    def text(self, file: str) -> str:
        """The text of a spec file."""
        ...


class WorkTree:
    """The project's folder as it is now."""

    whole = True

    def __init__(self, root: Path) -> None:
        self._root = root

    def look_ahead(self, paths: Sequence[str]) -> None:
        """Each of them costs little."""

    def mark(self, path: str) -> str:
        try:
            found = storage.match_files(storage.resolve_path(path, str(self._root)))
        except (OSError, ValueError):
            return ""
        return _mark("disk", ((item.uri, f"{item.size} {item.modified}") for item in found))

    def root_for(self, paths: Sequence[str], folder: str) -> str:
        return str(self._root)

    def outside(self, files: Iterable[str]) -> frozenset[str]:
        """What git ignores. Without git nobody says so."""
        asked = sorted(set(files))
        if not asked or shutil.which("git") is None:
            return frozenset()
        command = ["git", "check-ignore", "-z", "--stdin"]
        done = subprocess.run(
            command, cwd=self._root, input="\0".join(asked), capture_output=True, text=True, check=False
        )
        return frozenset(done.stdout.split("\0")) & frozenset(asked)

    def text(self, file: str) -> str:
        try:
            return (self._root / file).read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            return ""


class CommitTree:
    """A commit, read from the object database. What lies outside of it may be there or not."""

    whole = False

    def __init__(self, source: SpecSource, commit: str) -> None:
        self._source, self._commit = source, commit
        self._digests: dict[str, str | None] = {}

    def look_ahead(self, paths: Sequence[str]) -> None:
        missing = [path for path in dict.fromkeys(map(_static, paths)) if path not in self._digests]
        if isinstance(self._source, ManyDigests):
            self._digests.update(self._source.tree_digests(self._commit, missing))
        else:
            self._digests.update((path, self._source.tree_digest(self._commit, path)) for path in missing)

    def mark(self, path: str) -> str:
        """A pattern stands for the whole folder in which it begins: rather looked at too often than too seldom."""
        return f"git {self._digest(path)}"

    def _digest(self, path: str) -> str | None:
        self.look_ahead([path])
        return self._digests[_static(path)]

    def root_for(self, paths: Sequence[str], folder: str) -> str:
        """One file of each is enough: all files of a source have the same columns."""
        first = {blobs[0] for path in paths if (blobs := self._blobs(path))}
        data = self._source.read(first) if first else {}
        for blob in first:
            file = Path(folder) / blob.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data[blob.sha])
        return folder

    def outside(self, files: Iterable[str]) -> frozenset[str]:
        return frozenset()

    def text(self, file: str) -> str:
        sha = self._source.tree_digest(self._commit, file)
        if sha is None:
            return ""
        return self._source.read([Blob(file, sha)])[sha].decode("utf-8-sig", "replace")

    def _blobs(self, path: str) -> list[Blob]:
        """Files of the commit that ``path`` names, as ``storage.match_files`` has it of a folder on disk."""
        parts = _parts(path)
        if ".." in parts or "**" in parts or self._digest(path) is None:
            return []
        try:
            below = self._source.blobs(self._commit, _static(path))
        except MlopsError:  # links
            return []
        exact = [blob for blob in below if blob.path == "/".join(parts)]
        return exact or [blob for blob in below if _named(blob.path.split("/"), parts)]


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _static(path: str) -> str:
    """The part of a path that is no pattern."""
    return "/".join(takewhile(lambda part: not glob.has_magic(part) and part != "..", _parts(path)))


def _named(file: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a pattern names a file, or the folder that it lies in directly."""
    if file[-1].startswith("."):
        return False
    fits = all(fnmatchcase(name, part) for name, part in zip(file, pattern, strict=False))
    return fits and len(file) in (len(pattern), len(pattern) + 1)


def _mark(kind: str, files: Iterable[tuple[str, str]]) -> str:
    """Names files where they lie: what is missing on disk means something else than what is missing in a commit."""
    return f"{kind} {text_hash(chr(0).join(part for file in files for part in file), 16)}"
