"""Where the files of a source can be read as they were named: where they lie, or where they are to be exported to."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.ports import DataSource, SourceFile
from framework.sources.algorithms import ALGORITHMS
from framework.sources.contents import Contents
from framework.sources.listing import CommitListing, fits, parts_of
from framework.sources.pointers import Pointer
from framework.storage import FileState

ExportUri = Callable[[SourceFile], str]


@dataclass(frozen=True)
class SourcePlace:
    """``path`` of a source in the project's folder ``root``, at a commit that holds ``listing``."""

    path: str
    root: str
    commit: str
    listing: CommitListing
    source: DataSource
    contents: Contents

    def located(self, files: Sequence[SourceFile], export: ExportUri | None) -> list[SourceFile]:
        """``export`` says where a file of the commit is put that does not lie here as it is there; None: nothing is.

        Raises:
            TerminalError: "SourceNotHere" where data has to be fetched by who keeps it.
            TransientError: a file changed since it was named, or cannot be read.
        """
        try:
            untracked = self._untracked(files)
            return [found for file in files for found in self._located(file, untracked, export)]
        except OSError as error:
            raise TransientError(f"cannot read {self.path}: {error}") from error

    def _untracked(self, files: Sequence[SourceFile]) -> Mapping[str, str]:
        """Of what lies in the project's folder where such a file is meant, by label, what it holds. What is larger or
        smaller is not read."""
        states: dict[str, dict[str, FileState]] = {}
        for file in files:
            pointer = self.listing.pointers.get(file.label)
            state = None if "://" in file.label or (pointer and pointer.folder) else self._state(file.label)
            if state is not None and (file.size in (None, state.size) or (pointer and pointer.lines)):
                states.setdefault(_algorithm(file, pointer), {})[file.label] = state
        found: dict[str, str] = {}
        for algorithm, asked in states.items():
            if algorithm in ALGORITHMS:
                digests = self.contents.of(f"{self.root}/{self.path} by {algorithm}", [*asked.values()], algorithm)
                found |= dict(zip(asked, digests, strict=True))
        return found

    def _located(
        self, file: SourceFile, untracked: Mapping[str, str], export: ExportUri | None
    ) -> Iterator[SourceFile]:
        algorithm, _, name = file.digest.partition(":")
        pointer = self.listing.pointers.get(file.label)
        here = untracked.get(file.label, "")
        if algorithm == "delta" or "://" in file.label:
            yield _at(file, file.uri or file.label)
        elif pointer is not None and pointer.folder:
            yield from self._folder(pointer)
        elif here.partition(":")[2] == name:
            yield file.model_copy(update={"digest": here, "uri": self._uri(file.label)})
        elif pointer is not None:
            raise self._not_here(pointer)
        elif file.label not in self.listing or export is None:
            raise TransientError(f"{file.label} changed while it was looked at")
        elif algorithm == "sha256":
            yield _at(file, self._large(file))
        else:
            yield _at(file, export(file))

    def _uri(self, label: str) -> str:
        return os.path.join(self.root, label)

    def _state(self, label: str) -> FileState | None:
        try:
            state = os.stat(self._uri(label))
        except (FileNotFoundError, NotADirectoryError):
            return None
        regular = stat.S_ISREG(state.st_mode)
        return FileState(self._uri(label), state.st_size, str(state.st_mtime_ns)) if regular else None

    def _large(self, file: SourceFile) -> str:
        """What git-lfs has of it on this machine."""
        oid = file.digest.partition(":")[2]
        found = self.source.large_file(oid)
        if found is not None:
            (digest,) = self.contents.of(f"git-lfs {oid}", storage.match_files(found), "sha256")
            if digest == file.digest:
                return found
        told = f"{file.label} is a git-lfs pointer in commit {self.commit[:7]}, and its data is not here"
        raise TerminalError("SourceNotHere", f"{told}: git lfs pull")

    def _folder(self, pointer: Pointer) -> Iterator[SourceFile]:
        """The files below a folder that the source names, where all of the folder is what is meant."""
        looked = {label: self._state(label) for label in sorted(self._below(pointer.path))}
        there = {label: state for label, state in looked.items() if state is not None}
        labels, states = list(there), list(there.values())
        algorithm = "lines" if pointer.lines else "md5"
        found = self.contents.of(f"{self.root}/{pointer.path} by {algorithm}", states, algorithm)
        hashes = [digest.partition(":")[2] for digest in found]
        listed = [
            {"md5": digest, "relpath": label.removeprefix(f"{pointer.path}/")}
            for label, digest in zip(labels, hashes, strict=True)
        ]
        listed.sort(key=lambda item: item["relpath"])  # dvc_data.hashfile.tree.Tree.as_bytes
        whole = md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
        if f"md5:{whole}.dir" != pointer.digest:
            raise self._not_here(pointer)
        pattern = parts_of(self.path)
        for label, digest, state in zip(labels, hashes, states, strict=True):
            if fits(label, pattern):
                yield SourceFile(label=label, digest=f"{algorithm}:{digest}", size=state.size, uri=self._uri(label))

    def _below(self, folder: str) -> Iterator[str]:
        base = f"{self.root.rstrip('/')}/"
        for where, _, names in os.walk(self._uri(folder)):
            yield from (os.path.join(where, name).removeprefix(base) for name in names)

    def _not_here(self, pointer: Pointer) -> TerminalError:
        told = f"{pointer.path} is not what {pointer.by} names at commit {self.commit[:7]}: {pointer.remedy}"
        return TerminalError("SourceNotHere", told)


def _algorithm(file: SourceFile, pointer: Pointer | None) -> str:
    return "lines" if pointer is not None and pointer.lines else file.digest.partition(":")[0]


def _at(file: SourceFile, uri: str) -> SourceFile:
    return file.model_copy(update={"uri": uri})
