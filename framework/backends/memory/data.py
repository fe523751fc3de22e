"""TableCatalog and ProfileStore in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from framework.api.errors import TerminalError
from framework.api.hashes import text_hash
from framework.backends.memory.calls import Calls
from framework.backends.state.stored import dump_json
from framework.drift.summaries import total
from framework.ports import (
    CheckedRun,
    ColumnSummary,
    Json,
    LabelledWindow,
    LabelTable,
    ProfileWindow,
    ReferenceProfile,
    TableState,
)


class MemoryTables:
    """``files`` is what the sources hold: content by path, as a spec names it; ``runs`` what came of the
    expectations of the newest run of a table. Tables appear by :meth:`publish`."""

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self._tables: dict[str, list[TableState]] = {}
        self.files: dict[str, str] = {}
        self.runs: dict[str, CheckedRun] = {}

    def describe(self, uri: str) -> TableState | None:
        return next(iter(self.versions(uri)), None)

    def versions(self, uri: str) -> Sequence[TableState]:
        return tuple(reversed(self._tables.get(uri, ())))

    def source_digest(self, sources: Mapping[str, Mapping[str, Json]], root: str) -> str:
        """Empty where no source is a file."""
        parts: list[Json] = []
        for name, source in sorted(sources.items()):
            path = source.get("path")
            if path is None:
                continue
            found = sorted(item for item in self.files.items() if fnmatchcase(item[0], path))
            if not found:
                raise TerminalError("SourceMissing", f"source {name}: no file at {path}")
            parts.append([name, path, found])
        return text_hash(dump_json(parts), 16) if parts else ""

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
