"""What a project has of data at a commit, or in its work tree, as the repository and the disk tell it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from framework.api.errors import TerminalError, TransientError
from framework.api.hashes import text_hash
from framework.ports import SYMLINK, Blob, DataSource, Held, SourceData, SourceFile, SourcePath, source_data
from framework.sources.choosing import Chosen, choose
from framework.sources.contents import Contents
from framework.sources.listing import CommitListing
from framework.sources.pointers import DVC_SUFFIX, LONGEST_LFS, Pointer, dvc_pointers, lfs_pointer
from framework.storage import FileState

Tracked = Callable[[str], frozenset[str]]
"""Files of a project's folder that git tracks there now, whichever commit is asked for. Raises TransientError."""


class DataTree(Protocol):
    def listing(self, commit: str) -> CommitListing:
        """What there is; looked up once. Raises what the repository raises."""
        ...

    def learn(self, files: Iterable[Held]) -> None:
        """Look at all of them together, where that costs less than one after the other."""
        ...

    def named(self, files: Sequence[tuple[str, Held]]) -> list[SourceFile]:
        """Files of a listing, each under its label, by what they hold."""
        ...


class _Fact(NamedTuple):
    size: int
    pointer: Pointer | None


class CommittedData:
    """A DataTree of commits. What it has learned of blobs it keeps, for a blob never changes."""

    def __init__(self, source: DataSource) -> None:
        self._source = source
        self._facts: dict[str, _Fact] = {}
        self.listing = lru_cache(maxsize=8)(self._listing)

    def _listing(self, commit: str) -> CommitListing:
        held = self._source.listing(commit)
        links = [item for item in held if item.mode == SYMLINK]
        notes = [item for item in held if item.path.endswith(DVC_SUFFIX) and item.mode != SYMLINK]
        read = self._source.read([Blob(item.path, item.sha) for item in (*links, *notes)])
        targets = {item.path: os.fsdecode(read[item.sha]) for item in links}
        return CommitListing(held, targets, [one for item in notes for one in dvc_pointers(item.path, read[item.sha])])

    def named(self, files: Sequence[tuple[str, Held]]) -> list[SourceFile]:
        self.learn(item for _, item in files)
        known = self._facts
        return [_named(label, item, known[item.sha]) for label, item in files]

    def learn(self, files: Iterable[Held]) -> None:
        """How large they are and which are pointers of git-lfs, which their bytes alone tell: whether git-lfs is asked
        for a file is said elsewhere and may be said later."""
        missing = {item.sha: item.path for item in files if item.sha not in self._facts}
        if not missing:
            return
        sizes = self._source.sizes(missing)
        small = [Blob(path, sha) for sha, path in missing.items() if sizes[sha] <= LONGEST_LFS]
        read = self._source.read(small) if small else {}
        for sha, path in missing.items():
            self._facts[sha] = _Fact(sizes[sha], lfs_pointer(path, read[sha]) if sha in read else None)


def _named(label: str, item: Held, fact: _Fact) -> SourceFile:
    if fact.pointer is not None:
        return SourceFile(label=label, digest=fact.pointer.digest, size=fact.pointer.size)
    return SourceFile(label=label, digest=blob_name(item.sha), size=fact.size)


def blob_name(sha: str) -> str:
    """The digest of a file that git calls ``sha``, which tells the format of the repository by its length."""
    return f"{'git' if len(sha) == 40 else 'git256'}:{sha}"


KeyT = TypeVar("KeyT")


def committed(tree: DataTree, commit: str, reads: Mapping[KeyT, Iterable[SourcePath]]) -> dict[KeyT, SourceData]:
    """What ``commit`` itself says of the files that each reads; who reads none of such is left out. What is wrong with
    a path shows when it is read.

    Raises:
        What the repository raises.
    """
    listing = tree.listing(commit)
    chosen = {key: {path: _chosen(path.path, listing) for path in paths} for key, paths in reads.items()}
    tree.learn(item.held for found in chosen.values() for items in found.values() for item in items if item.held)
    held = {}
    for key, found in chosen.items():
        files = {path.source: named(tree, items) for path, items in found.items() if items}
        if files:
            held[key] = source_data(files, (path.source for path in found if path.named))
    return held


def _chosen(path: str, listing: CommitListing) -> list[Chosen]:
    try:
        return choose(path, listing)
    except TerminalError:
        return []


def named(tree: DataTree, chosen: Sequence[Chosen], free: Mapping[str, SourceFile] | None = None) -> list[SourceFile]:
    """``chosen`` in their order, by what they hold; ``free`` are those of which no commit says anything."""
    known = dict(free or {})
    known |= {file.label: file for file in tree.named([(item.label, item.held) for item in chosen if item.held])}
    known |= {
        item.label: SourceFile(label=item.label, digest=item.pointer.digest, size=item.pointer.size)
        for item in chosen
        if item.pointer is not None
    }
    return [known[item.label] for item in chosen]


class DataOnDisk:
    """A DataTree of the work tree: the files that git tracks there, as they lie."""

    def __init__(self, root: str, contents: Contents, tracked: Tracked) -> None:
        self._root, self._contents, self._tracked = Path(root), contents, tracked

    def listing(self, commit: str) -> CommitListing:
        held, targets, pointers = [], dict[str, str](), list[Pointer]()
        for path in sorted(self._tracked(str(self._root))):
            file = self._root / path
            if file.is_symlink():
                held.append(Held(path, "", SYMLINK))
                targets[path] = os.readlink(file)
            elif file.is_file():
                held.append(Held(path, ""))
                if path.endswith(DVC_SUFFIX):
                    pointers += dvc_pointers(path, file.read_bytes())
        return CommitListing(held, targets, pointers)

    def learn(self, files: Iterable[Held]) -> None:
        """Each of them is looked at by itself."""

    def named(self, files: Sequence[tuple[str, Held]]) -> list[SourceFile]:
        labels = [label for label, _ in files]
        kept = f"work tree {text_hash(json.dumps(labels), 16)}"  # one file for those that are asked for together
        return on_disk(self._contents, str(self._root), kept, labels)


def on_disk(contents: Contents, root: str, source: str, labels: Sequence[str]) -> list[SourceFile]:
    """Files of the project's folder by what they hold now.

    Raises:
        TransientError: one cannot be read, or changes while it is.
    """
    try:
        states = [_state(os.path.join(root, label)) for label in labels]
        digests = contents.of(f"{root}/{source}", states)
    except OSError as error:
        raise TransientError(f"cannot read {source}: {error}") from error
    return [
        SourceFile(label=label, digest=digest, size=state.size)
        for label, state, digest in zip(labels, states, digests, strict=True)
    ]


def _state(path: str) -> FileState:
    state = os.stat(path)
    return FileState(path, state.st_size, str(state.st_mtime_ns))
