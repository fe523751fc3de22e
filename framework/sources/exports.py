"""Files of commits that lie nowhere as the commit has them: each is put once into the environment's storage, named by
what it holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from framework import storage
from framework.api import layout
from framework.api.errors import TransientError
from framework.ports import DataSource, Sink, SourceFile
from framework.sources.algorithms import ALGORITHMS, Digest

KEPT_SECONDS = 86_400.0
"""How long a file stays that nobody asks for; it is exported again when it is needed."""


class Exports:
    """Below ``store``, a path or a URL. On a remote store nothing is removed: how long objects stay is set there."""

    def __init__(self, source: DataSource, store: str, now: Callable[[], float] = time.time) -> None:
        self._source, self._store, self._now = source, store, now

    @property
    def local(self) -> bool:
        return storage.is_local(self._store)

    def uri(self, file: SourceFile) -> str:
        """Where a file of a commit is put. Its own name is kept, for names may be data."""
        return f"{layout.exports(self._store)}/{_sha(file)}/{file.label}"

    def ensure(self, files: Iterable[SourceFile]) -> None:
        """Raises TransientError; whatever is raised, nothing is there but whole files."""
        asked = [file for file in files if file.uri == self.uri(file)]
        try:
            for file in asked:
                self._export(file)
            if asked:
                self._prune()
        except OSError as error:
            raise TransientError(f"cannot export data of the commit: {error}") from error

    def _export(self, file: SourceFile) -> None:
        there = [state.size for state in storage.match_files(file.uri)]
        if there != [file.size]:
            storage.write_stream(file.uri, lambda stream: self._copy(file, stream))
        if self.local:
            os.utime(f"{layout.exports(self._store)}/{_sha(file)}")

    def _copy(self, file: SourceFile, stream: Sink) -> None:
        algorithm, sha = file.digest.partition(":")[0], _sha(file)
        told = _Told(stream, ALGORITHMS[algorithm](file.size or 0))
        self._source.copy(sha, told)
        if told.digest.hexdigest() != sha:
            raise TransientError(f"{file.label}: the repository holds other bytes than those of {sha}")

    def _prune(self) -> None:
        """Of what nobody asked for lately: the time of a folder says when somebody did."""
        if not self.local:
            return
        for folder in Path(layout.exports(self._store)).iterdir():
            if folder.is_dir() and self._now() - folder.stat().st_mtime > KEPT_SECONDS:
                storage.delete_folder(str(folder))


def _sha(file: SourceFile) -> str:
    return file.digest.partition(":")[2]


class _Told:
    """Writes on, and tells a digest."""

    def __init__(self, stream: Sink, digest: Digest) -> None:
        self._stream, self.digest = stream, digest

    def write(self, data: bytes, /) -> None:
        self.digest.update(data)
        self._stream.write(data)
