"""Feature tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from framework.ports.json import Json
from framework.ports.verbs import changes


@dataclass(frozen=True)
class TableState:
    """A published version of a feature table. ``newest`` is the newest event time that counted as one when it was
    published; None where that is not on record."""

    uri: str
    version: int
    rows: int
    source_digest: str
    identity: str
    commit: str
    published: datetime
    columns: tuple[tuple[str, str], ...] = ()
    newest: datetime | None = None


class TableCatalog(Protocol):
    """Reads metadata only; never rows."""

    def describe(self, uri: str) -> TableState | None: ...

    def source_digest(self, sources: Mapping[str, Mapping[str, Json]], root: str) -> str:
        """Names the bytes the sources hold now. Raises TerminalError("SourceMissing") where one is missing."""
        ...

    @changes
    def delete(self, uri: str) -> None:
        """Remove a table with all its versions, or any other folder of the environment's storage; a missing one is
        fine."""
        ...
