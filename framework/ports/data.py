"""Feature tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from pydantic import AwareDatetime

from framework.api.meta import Stored
from framework.ports.json import Json
from framework.ports.sources import FileList
from framework.ports.verbs import changes


class ReadTable(Stored):
    """A version of a feature table that something was made from. ``content`` names the values in it that were read,
    equal for equal values; empty in what was written before values were named. ``rows`` are those of the table; None in
    what was written before they were counted here."""

    uri: str
    version: int
    identity: str = ""
    build: str = ""
    content: str = ""
    rows: int | None = None

    @property
    def name(self) -> str:
        """Of the build; a version from before builds had names goes by its identity."""
        return self.build or self.identity

    def holds(self, other: ReadTable) -> bool:
        """Whether what was read here is what ``other`` holds. The same version is, whatever is known of its values."""
        if (self.uri, self.version) == (other.uri, other.version):
            return True
        return bool(self.content) and self.content == other.content


class ExpectationResult(Stored):
    """What came of one expectation. ``failing`` is the share of rows that break it, 0 or 1 for a check on the table as
    a whole, of which ``value`` is the number that was judged. ``offending`` are a few of the rows that break it: their
    keys, and the values that say how."""

    check: str
    column: str | None = None
    severity: Literal["error", "warn"] = "error"
    observed: str
    passed: bool
    failing: float
    value: float | None = None
    offending: tuple[dict[str, Json], ...] = ()

    @property
    def told(self) -> str:
        """In a sentence: ``between of delay: 1 of 4 values lie outside ...``."""
        return f"{self.check}{f' of {self.column}' if self.column else ''}: {self.observed}"


class CheckedRun(Stored):
    """What came of all expectations of one run over so many ``rows``. ``version`` is the one that it published; None
    where it did not."""

    run: str
    at: AwareDatetime
    rows: int
    version: int | None = None
    results: tuple[ExpectationResult, ...] = ()


@dataclass(frozen=True)
class TableState:
    """A published version of a feature table. ``newest`` is the newest event time that counted as one when it was
    published; None where that is not on record. ``build`` names what it was made of and how; ``digests`` the values of
    each column, with every row in its place; ``upstream`` what it was made from, by view; ``expectations`` what came of
    them; ``files`` what was read, by source, and ``committed`` names those of them of which the commit says what they
    hold. All are empty in a version from before they were kept.

    ``mode`` is full or incremental; ``since`` the event time from which rows were computed anew, None where all were;
    ``watermark`` the newest event time that was not ahead of the clock; ``covered`` the oldest and the newest one;
    ``days`` on how many days in UTC there are rows, None where nobody counted; ``late`` the rows that came too late."""

    uri: str
    version: int
    rows: int
    source_digest: str
    identity: str
    commit: str
    published: datetime
    columns: tuple[tuple[str, str], ...] = ()
    newest: datetime | None = None
    build: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    upstream: Mapping[str, ReadTable] = field(default_factory=dict)
    expectations: tuple[ExpectationResult, ...] = ()
    mode: str = "full"
    since: datetime | None = None
    watermark: datetime | None = None
    covered: tuple[datetime, datetime] | None = None
    days: int | None = None
    late: int = 0
    kept: Mapping[str, Json] = field(default_factory=dict)
    """What else its run left of it, as far as it did: ``run``, ``cause`` and ``profile``, where its whylogs file is."""
    files: Mapping[str, FileList] = field(default_factory=dict)
    committed: str = ""

    @property
    def name(self) -> str:
        """What it is a build of: a version from before builds had names is the one of its identity."""
        return self.build or self.identity


class TableCatalog(Protocol):
    """Reads metadata only; never rows."""

    def describe(self, uri: str) -> TableState | None:
        """The newest published version; None where there is none.

        Raises:
            TransientError: the table cannot be read now.
        """
        ...

    def versions(self, uri: str) -> Sequence[TableState]:
        """Those that are still on record, newest first; none where there is no table.

        Raises:
            TransientError: the table cannot be read now.
        """
        ...

    def checked(self, uri: str) -> CheckedRun | None:
        """What came of the expectations of the newest run for this table, be it published or not; None where none is on
        record.

        Raises:
            TransientError: it cannot be read now.
        """
        ...

    @changes
    def delete(self, uri: str) -> None:
        """Remove a table with all its versions, or any other folder of the environment's storage; a missing one is
        fine."""
        ...


def content(columns: Sequence[tuple[str, str]], digests: Mapping[str, str], names: Collection[str] | None) -> str:
    """What ``columns`` (name, dtype) hold as whoever reads ``names`` of them sees it: as they stand for None, in any
    order otherwise. Empty where the digest of one is not known."""
    read = [(name, dtype) for name, dtype in columns if names is None or name in names]
    if not all(name in digests for name, _ in read):
        return ""
    text = [f"{name}:{dtype}:{digests[name]}" for name, dtype in read]
    return "\n".join(text if names is None else sorted(text))
