"""What was read before: in memory between commits, and on disk between processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from framework.planning.grammar.kind import Kind
from framework.ports import Blob, SpecSource
from framework.specs.cache import rows
from framework.specs.cache.cached import CachedEnvironment
from framework.specs.cache.lazy import Body, LazyDraft
from framework.specs.cache.parallel import File, Workers
from framework.specs.cache.rows import LoadedFile
from framework.specs.cache.store import Store, own_folder
from framework.specs.rules.outline import Outline
from framework.specs.yaml import syntax
from framework.specs.yaml.positions import MAX_BYTES

ReadRow = Callable[[Blob, bytes], bytes]
"""Turns the bytes of a file into its row."""
_MOST_STATES = 4


@dataclass
class ParseCache:
    """What was read already, by path and blob SHA. Its owner keeps it between commits; what a commit no longer holds is
    dropped, so it grows no larger than the specs themselves.

    ``store`` keeps it between processes, ``workers`` help with what is new; without them everything is as right, and
    slower. Less than ``few`` files are not worth a place on disk.
    """

    store: Store | None = None
    workers: Workers | None = None
    few: int = 100
    files: dict[tuple[str, str], LoadedFile] = field(default_factory=dict)
    outlines: dict[str, Outline] = field(default_factory=dict)
    states: list[CachedEnvironment] = field(default_factory=list)
    """Sound ones, the last one first."""

    def load(
        self, source: SpecSource, blobs: Sequence[Blob], kinds: Mapping[str, Kind], read: ReadRow
    ) -> list[LoadedFile]:
        """The files of ``blobs``."""
        missing = [blob for blob in blobs if (blob.path, blob.sha) not in self.files]
        kept = self.store.files(missing, kinds) if self.store and missing else {}
        fresh = [blob for blob in missing if blob not in kept]
        if fresh:
            data = source.read(fresh)
            new = self._read([(blob, data[blob.sha]) for blob in fresh], kinds, read)
            if self.store and len(blobs) >= self.few:
                self.store.add_files(new, kinds)
            kept.update(new)
        for blob in missing:
            self.files[blob.path, blob.sha] = decode(source, blob, kept.pop(blob), kinds)
        return [self.files[blob.path, blob.sha] for blob in blobs]

    def _read(self, files: Sequence[File], kinds: Mapping[str, Kind], read: ReadRow) -> dict[Blob, bytes]:
        return (
            self.workers.read(files, kinds, read) if self.workers else {blob: read(blob, data) for blob, data in files}
        )

    def body(self, source: SpecSource, kinds: Mapping[str, Kind], read: ReadRow, blob: Blob, index: int) -> Body:
        """One object of a file that was read before, from wherever it still is."""
        row = self.store.files([blob], kinds).get(blob) if self.store else None
        drafts = decode(source, blob, row or read(blob, source.read([blob])[blob.sha]), kinds).drafts
        return next(draft.body for draft in drafts if isinstance(draft, LazyDraft) and draft.index == index)

    def remember(self, state: CachedEnvironment) -> None:
        self.states = [state, *(one for one in self.states if one is not state)][:_MOST_STATES]

    def retain(self, blobs: set[tuple[str, str]]) -> None:
        """Forget all other files."""
        self.files = {key: value for key, value in self.files.items() if key in blobs}


def cache_for(root: Path, kinds: str) -> ParseCache:
    """A cache of the project at ``root`` that is kept between processes, and read by as many of them as there are CPUs.
    ``kinds`` is where others find them: ``module:attribute``."""
    folder = own_folder(root)
    return ParseCache(None if folder is None else Store(folder, str(root.resolve())), Workers(kinds))


def decode(source: SpecSource, blob: Blob, row: bytes, kinds: Mapping[str, Kind]) -> LoadedFile:
    return rows.decode(row, blob.path, blob.sha, partial(text, source, blob), kinds)


def text(source: SpecSource, blob: Blob) -> str:
    """The text of a file, read again: for the places of what was kept without it."""
    return syntax.decode(blob.path, source.read([blob])[blob.sha], MAX_BYTES)[0]
