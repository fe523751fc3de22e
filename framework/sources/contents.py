"""What names the bytes of source files: their content, looked at again only where the file system says that it may have
changed. A ``touch`` or a fresh checkout is no new data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from framework import storage
from framework.api.hashes import text_hash
from framework.sources.algorithms import ALGORITHMS
from framework.storage import FileState

_SETTLED_NS = 2_000_000_000
"""A file written to within two seconds before it was read may have been written to again since, at the same time as far
as its file system can tell."""

_UNMARKED_SECONDS = 300.0
"""How long what was read of a file stands whose store says nothing by which a change could be seen."""


class _Seen(NamedTuple):
    """The digest of a file and the marks it had then: size, mtime, ctime and inode, or what a remote store gives."""

    marks: tuple[int | str, ...]
    digest: str


class Contents:
    """Digests by content.

    Args:
        folder: where they are kept between processes, one file a source, if the folder that it is in is there; anything
            there that cannot be read is as good as nothing.
        clock: seconds that never go back.
        now: nanoseconds since 1970.
    """

    def __init__(
        self,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder, self._clock, self._now = folder, clock, now
        self._known: dict[str, dict[str, _Seen]] = {}
        self._unmarked: dict[str, tuple[float, str]] = {}

    def of(self, source: str, files: Sequence[FileState], algorithm: str = "git") -> list[str]:
        """A name per file of ``source`` (its URI, patterns included), equal for equal bytes: ``algorithm:hash``, or
        ``store:`` and a hash of what a remote store says of it.

        Raises:
            OSError: a file cannot be read, or changes while it is.
        """
        before = self._known.get(source)
        known = self._kept(source) if before is None else before
        found = {file.uri: self._look(file, known.get(file.uri), algorithm) for file in files}
        lasting = {uri: seen for uri, (seen, lasts) in found.items() if lasts}
        if lasting != known:
            self._keep(source, lasting)
        self._known[source] = lasting
        return [found[file.uri][0].digest for file in files]

    def _look(self, file: FileState, before: _Seen | None, algorithm: str) -> tuple[_Seen, bool]:
        """What a file holds, and whether that may be believed as long as its marks stay the same."""
        if not storage.is_local(file.uri):
            return self._remote(file), False
        state = os.stat(file.uri)
        marks = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
        if before is not None and before.marks == marks and before.digest.startswith(f"{algorithm}:"):
            return before, True
        settled = self._now() - max(state.st_mtime_ns, state.st_ctime_ns) > _SETTLED_NS
        return _Seen(marks, f"{algorithm}:{storage.content_digest(file.uri, ALGORITHMS[algorithm])}"), settled

    def _remote(self, file: FileState) -> _Seen:
        if file.modified:
            marks = (file.size, file.modified)
            return _Seen(marks, f"store:{sha256(repr(marks).encode()).hexdigest()}")
        now = self._clock()
        when, digest = self._unmarked.get(file.uri, (0.0, ""))
        if not digest or now - when >= _UNMARKED_SECONDS:
            digest = f"sha256:{storage.content_digest(file.uri, ALGORITHMS['sha256'])}"
            self._unmarked[file.uri] = now, digest
        return _Seen((), digest)

    # -- between processes -------------------------------------------------------------------------------------------

    def _kept(self, source: str) -> dict[str, _Seen]:
        if self._folder is None:
            return {}
        try:
            kept = storage.read_json(self._file(source)) or {}
            return {uri: _Seen(tuple(marks), digest) for uri, (marks, digest) in kept.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # the files tell it again

    def _keep(self, source: str, seen: dict[str, _Seen]) -> None:
        if self._folder is not None:
            with suppress(OSError):
                storage.make_cache(self._folder, parents=False)
                storage.write_sealed(self._file(source), seen)

    def _file(self, source: str) -> str:
        return f"{self._folder}/{text_hash(source, 16)}.json"
