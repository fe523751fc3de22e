"""What sources hold at a commit: those of its files that they name, and what lies beside them."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping, Sequence

from framework import storage
from framework.api.errors import TerminalError, TransientError
from framework.panics import panics_told
from framework.ports import DataSource, Json, SourceData, SourceFile, Sources, names_are_data, source_data
from framework.sources import databases
from framework.sources.choosing import choose
from framework.sources.contents import Contents
from framework.sources.exports import Exports
from framework.sources.listing import CommitListing, fits, parts_of
from framework.sources.locating import SourcePlace
from framework.sources.trees import CommittedData, DataOnDisk, DataTree, Tracked, named, on_disk


class GitSources:
    """A SourceCatalog over the repository ``source`` and the files of this machine. ``contents`` remembers what files
    hold, ``tracked`` tells what git tracks where they lie; files of commits that do not lie there as they are in the
    commit are exported below ``store``, the environment's storage. ``work_tree`` is what stands for a commit where no
    commit is meant."""

    def __init__(
        self, source: DataSource, contents: Contents, tracked: Tracked, store: str, work_tree: str = ""
    ) -> None:  # fmt: skip
        self.committed = CommittedData(source)
        self._source, self._contents, self._tracked = source, contents, tracked
        self._work_tree = work_tree
        self._exports = Exports(source, store)

    def held(self, sources: Sources, root: str, commit: str) -> SourceData:
        found: dict[str, Sequence[SourceFile]] = {}
        for name, source in sorted(sources.items()):
            path = source.get("path")
            try:
                if isinstance(path, str):
                    found[name] = self._files(path, source, root, commit)
                elif source.get("sql"):
                    found[name] = [databases.named(source, root)]
            except (TerminalError, TransientError) as error:
                raise _of(name, error) from error
        return source_data(found, (name for name in found if names_are_data(sources[name].get("options"))))

    def located(self, data: SourceData, sources: Sources, root: str, commit: str) -> SourceData:
        found = {}
        for name, files in data.files.items():
            path = str(sources[name].get("path") or "")
            if not path:
                found[name] = list(files)  # rows of a database are read where they are
                continue
            place = SourcePlace(path, root, commit, self._listing(path, root, commit), self._source, self._contents)
            try:
                found[name] = place.located(files, self._exports.uri if commit != self._work_tree else None)
            except (TerminalError, TransientError) as error:
                raise _of(name, error) from error
        return SourceData({name: tuple(files) for name, files in found.items()}, data.digest)

    def export(self, files: Iterable[SourceFile]) -> None:
        self._exports.ensure(files)

    def tree(self, root: str, commit: str) -> DataTree:
        """What there is of data at ``commit``, and at nothing but that."""
        return self.committed if commit != self._work_tree else DataOnDisk(root, self._contents, self._tracked)

    def _listing(self, path: str, root: str, commit: str) -> CommitListing:
        """Nothing of a commit is at a URL."""
        return CommitListing() if "://" in path else self.tree(root, commit).listing(commit)

    def _files(self, path: str, source: Mapping[str, Json], root: str, commit: str) -> Sequence[SourceFile]:
        uri = _resolved(path, root)
        if source.get("format") == "delta":
            return [_version(path, uri, source.get("options"))]
        if "://" in path:
            return self._elsewhere(path, uri)
        tree = self.tree(root, commit)
        listing = tree.listing(commit)
        chosen = choose(path, listing, self._untracked(path, uri, root, listing))
        if not chosen:
            raise TerminalError("SourceMissing", self._nothing(path, root, commit))
        free = [item.label for item in chosen if item.held is None and item.pointer is None]
        found = on_disk(self._contents, root, path, free) if free else []
        return named(tree, chosen, {file.label: file for file in found})

    def _elsewhere(self, path: str, uri: str) -> list[SourceFile]:
        try:
            found = storage.match_files(uri)
            digests = self._contents.of(uri, found)
        except OSError as error:
            raise TransientError(f"cannot read {path}: {error}") from error
        if not found:
            raise TerminalError("SourceMissing", storage.nothing_at(path))
        return [
            SourceFile(label=item.uri, digest=digest, size=item.size or None)
            for item, digest in zip(found, digests, strict=True)
        ]

    def _untracked(self, path: str, uri: str, root: str, listing: CommitListing) -> list[str]:
        """What the folder has at ``path`` of which the commit says nothing, and which git does not track there either:
        that would be a file of another commit."""
        if not glob.has_magic(path) and listing.covers("/".join(parts_of(path))):
            return []
        base = f"{root.rstrip('/')}/"
        try:
            labels = [item.uri.removeprefix(base) for item in storage.match_files(uri)]
        except OSError as error:
            raise TransientError(f"cannot read {path}: {error}") from error
        unknown = [label for label in labels if not listing.covers(label)]
        tracked = self._tracked(root) if unknown else frozenset()
        return [label for label in unknown if label not in tracked]

    def _nothing(self, path: str, root: str, commit: str) -> str:
        pattern = parts_of(path)
        uncommitted = sorted(label for label in self._tracked(root) if fits(label, pattern))
        told = storage.nothing_at(path)
        if not uncommitted:
            return told
        return f"{told} in commit {commit[:7]}; git tracks {uncommitted[0]} in the work tree: commit it"


def _resolved(path: str, root: str) -> str:
    try:
        return storage.resolve_path(path, root)
    except ValueError as error:
        raise TerminalError("PathOutsideRoot", str(error)) from error


def _version(path: str, uri: str, options: Json) -> SourceFile:
    """A Delta table goes by its version, and by the name that it was given when it was made: another one in its place
    counts from 0 again."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    asked = options.get("version") if isinstance(options, dict) else None
    try:
        with panics_told():
            table = DeltaTable(uri)
            version = table.version() if asked is None else asked
            return SourceFile(label=path, digest=f"delta:{version}:{table.metadata().id}", uri=uri)
    except TableNotFoundError as error:
        raise TerminalError("SourceMissing", f"no Delta table at {path}") from error
    except (DeltaError, OSError, RuntimeError) as error:
        raise TransientError(f"cannot read the Delta table at {path}: {error}") from error


def _of(name: str, error: TerminalError | TransientError) -> TerminalError | TransientError:
    told = f"source {name}: {error}"
    return TerminalError(error.reason, told) if isinstance(error, TerminalError) else TransientError(told)
