"""TableCatalog and ProfileStore in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from framework.api import layout
from framework.api.errors import TerminalError
from framework.backends.memory.calls import Calls
from framework.backends.memory.source import MemorySource
from framework.drift.summaries import total
from framework.ports import (
    CheckedRun,
    ColumnSummary,
    Json,
    LabelledWindow,
    LabelTable,
    ProfileWindow,
    ReferenceProfile,
    SourceData,
    SourceFile,
    Sources,
    TableState,
    names_are_data,
    source_data,
)
from framework.sources.choosing import choose
from framework.sources.listing import CommitListing, fits, parts_of
from framework.sources.trees import CommittedData, blob_name, named
from framework.specs.tree import blob_sha


class MemoryTables:
    """``runs`` is what came of the expectations of the newest run of a table. Tables appear by :meth:`publish`."""

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self._tables: dict[str, list[TableState]] = {}
        self.runs: dict[str, CheckedRun] = {}

    def describe(self, uri: str) -> TableState | None:
        return next(iter(self.versions(uri)), None)

    def versions(self, uri: str) -> Sequence[TableState]:
        return tuple(reversed(self._tables.get(uri, ())))

    def checked(self, uri: str) -> CheckedRun | None:
        return self.runs.get(uri)

    def delete(self, uri: str) -> None:
        self._calls.record("tables.delete", uri)
        self._tables.pop(uri, None)

    def publish(self, table: TableState) -> None:
        """What a materialising run does at its end."""
        self._tables.setdefault(table.uri, []).append(table)

    def drop_by_hand(self, uri: str) -> None:
        self._tables.pop(uri, None)


class MemorySources:
    """A SourceCatalog: ``files`` is what lies in the project's folder and elsewhere, content by path as a spec names
    it. A commit of ``source`` has its own, which are exported below ``storage``."""

    def __init__(
        self, source: MemorySource | None = None, calls: Calls | None = None, storage: str = "memory://store"
    ) -> None:
        self._storage = storage
        self._calls = Calls() if calls is None else calls
        self._source = MemorySource() if source is None else source
        self.committed = CommittedData(self._source)
        self.files: dict[str, str] = {}
        self.exported: set[str] = set()
        """By what they hold."""

    def held(self, sources: Sources, root: str, commit: str) -> SourceData:
        found = {
            name: self._files(name, str(source["path"]), self._listing(commit))
            for name, source in sorted(sources.items())
            if source.get("path") is not None
        }
        return source_data(found, (name for name in found if names_are_data(sources[name].get("options"))))

    def located(self, data: SourceData, sources: Sources, root: str, commit: str) -> SourceData:
        files = {
            name: tuple(file.model_copy(update={"uri": self._uri(file)}) for file in found)
            for name, found in data.files.items()
        }
        return SourceData(files, data.digest)

    def export(self, files: Iterable[SourceFile]) -> None:
        for file in files:
            if file.digest not in self.exported:
                self._calls.record("sources.export", file.digest)
                self.exported.add(file.digest)

    def _listing(self, commit: str) -> CommitListing:
        return self.committed.listing(commit) if self._source.knows(commit) else CommitListing()

    def _files(self, name: str, path: str, listing: CommitListing) -> Sequence[SourceFile]:
        untracked = [label for label in self.files if label == path or fits(label, parts_of(path))]
        chosen = choose(path, listing, untracked)
        if not chosen:
            raise TerminalError("SourceMissing", f"source {name}: no file at {path}")
        free = [item.label for item in chosen if item.held is None and item.pointer is None]
        return named(self.committed, chosen, {label: self._untracked(label) for label in free})

    def _untracked(self, label: str) -> SourceFile:
        data = self.files[label].encode()
        return SourceFile(label=label, digest=blob_name(blob_sha(data)), size=len(data))

    def _uri(self, file: SourceFile) -> str:
        held = self.files.get(file.label)
        here = held is not None and blob_name(blob_sha(held.encode())) == file.digest
        if here or "://" in file.label:
            return f"memory://project/{file.label}"
        return f"{layout.exports(self._storage)}/{file.digest.partition(':')[2]}/{file.label}"


class MemoryProfiles:
    """Summaries as a test states them: references by profile, windows and performance by folder and time."""

    def __init__(self) -> None:
        self.references: dict[str, ReferenceProfile] = {}
        self._profiles: dict[str, list[tuple[datetime, Mapping[str, ColumnSummary]]]] = {}
        self._performance: dict[str, list[tuple[datetime, LabelledWindow]]] = {}

    def reference(self, profile: str) -> ReferenceProfile | None:
        return self.references.get(profile)

    def window(self, folder: str, since: datetime, until: datetime, reference: ReferenceProfile) -> ProfileWindow:
        merged: dict[str, ColumnSummary] = {}
        for when, columns in self._profiles.get(folder, ()):
            if since <= when < until:
                for name in sorted(columns):
                    merged[name] = total([merged[name], columns[name]]) if name in merged else columns[name]
        return ProfileWindow(merged)

    def performance(
        self, folder: str, labels: LabelTable, metric: str, output: Mapping[str, Json], since: datetime, until: datetime
    ) -> LabelledWindow:
        """The newest statement within [since, until); at the same time, the one made last."""
        found = [item for item in self._performance.get(folder, ()) if since <= item[0] < until]
        if not found:
            return LabelledWindow(folder.rpartition("/")[2], 0, 0, metric, None)
        return max(reversed(found), key=lambda item: item[0])[1]

    def add_profile(self, folder: str, when: datetime, columns: Iterable[ColumnSummary]) -> None:
        """What a replica flushed at ``when``. Numeric columns must use the bin edges of their reference."""
        self._profiles.setdefault(folder, []).append((when, {column.name: column for column in columns}))

    def add_performance(self, folder: str, when: datetime, window: LabelledWindow) -> None:
        self._performance.setdefault(folder, []).append((when, window))
