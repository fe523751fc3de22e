"""What is looked at before a FeatureView is planned, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from framework.api.meta import Ref, Stored
from framework.kinds.feature_view.online import OnlineObserved, OnlineState
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.instants import DatedElsewhere
from framework.ports import FileList, ReadTable, ReadView, RunState, SourceData, TableState, content


class Published(Stored):
    """The version that readers use: the last one that passed its expectations. ``identity`` is what git asked for when
    it was found to be that; ``digests`` name the values by column, ``upstream`` what they were made from, by view, and
    ``files`` the first that were read, by source."""

    uri: str
    version: int
    rows: int
    identity: str
    source_digest: str
    commit: str
    at: DatedElsewhere
    entities: tuple[str, ...]
    timestamp: str | None = None
    columns: tuple[tuple[str, str], ...]
    available: str | None = None
    build: str = ""
    digests: dict[str, str] = {}  # noqa: RUF012 (pydantic copies it)
    files: dict[str, FileList] = {}  # noqa: RUF012
    upstream: dict[str, ReadTable] = {}  # noqa: RUF012

    @property
    def meaning(self) -> dict[str, Any]:
        """What its keys and times are, in the words of a :class:`framework.ports.ReadView`."""
        return {"entities": self.entities, "timestamp": self.timestamp, "available": self.available}

    @property
    def name(self) -> str:
        """Of the build; a version from before builds had names goes by its identity."""
        return self.build or self.identity

    def read(self, columns: Collection[str] | None = None) -> ReadTable:
        """This version as whoever reads ``columns`` of it (None: all), and the keys, sees it."""
        late = [self.available] if self.available else []
        times = [*([self.timestamp] if self.timestamp else []), *late]
        names = None if columns is None else {*columns, *self.entities, *times}
        held = content(self.columns, self.digests, names)
        keyed = short_hash([list(self.entities), self.timestamp, *late, held]) if held else ""
        return ReadTable(
            uri=self.uri,
            version=self.version,
            identity=self.identity,
            build=self.build,
            content=keyed,
            rows=self.rows,
        )

    def as_view(self) -> ReadView:
        """All of this version, with what its columns mean."""
        return ReadView(**dict(self.read()), **self.meaning, columns=self.columns)


class FeatureViewState(Stored):
    published: Published | None = None
    run: str | None = None
    """The run that is under way, if one is."""
    online: OnlineState | None = None
    """What is found of it while serving."""
    online_run: str | None = None
    """The run that brings it there, if one is under way."""
    stale: bool = False
    """It was said that no row has come for longer than the spec allows."""
    ageing: bool = False
    """It was said of an age that only warns."""
    looked: DatedElsewhere | None = None
    """When nothing new was found last at a time of the schedule."""

    def last_look(self, table: TableState) -> datetime:
        """When new data was looked for last, as far as that matters."""
        return table.published if self.looked is None else max(table.published, self.looked)


@dataclass(frozen=True)
class FeatureViewObserved:
    """``table`` is the version of the build that is asked for, or, while there is none, what may go on being read.
    ``build`` names what would be made now; it is empty where that cannot be told: ``source_problem`` is (reason,
    message) where the sources cannot be named, and ``upstream`` has None for a view that is not ready at the identity
    that git asks for."""

    ref: Ref
    storage: str
    table: TableState | None
    source_digest: str
    run: RunState
    source_problem: tuple[str, str] | None = None
    upstream: Mapping[Ref, Published | None] = field(default_factory=dict)
    build: str = ""
    online: OnlineObserved = field(default_factory=OnlineObserved)
    data: SourceData = field(default_factory=SourceData)
    """The files of what would be made now, each where it can be read; none where nothing is to be made."""

    @property
    def current(self) -> bool:
        """Whether the table is what would be made."""
        return self.table is not None and self.table.name == self.build
