"""Rows in a SQLite file: for one machine, without a server."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from framework.api.errors import TransientError
from framework.online.store import STAMP, TIMEOUT, Batch, FoundRows
from framework.ports import OnlinePlace, OnlineVersion

_SCHEMA = """
CREATE TABLE IF NOT EXISTS generations (
    generation INTEGER PRIMARY KEY AUTOINCREMENT, space TEXT NOT NULL, view TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS views (
    space TEXT NOT NULL, view TEXT NOT NULL, generation INTEGER NOT NULL, version TEXT NOT NULL,
    PRIMARY KEY (space, view)
);
CREATE TABLE IF NOT EXISTS rows (
    generation INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (generation, key)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""
"""Of which the last line says that all is there."""
_AT_ONCE = 10_000
"""Keys of one SELECT; SQLite takes 32,766 parameters."""
_SWEPT = 20_000
"""Rows that are removed in one transaction, so that other writers need not wait for all of them."""


class SqliteStore:
    """Every write fills a generation of its own; ``views`` says which one is read."""

    def __init__(self, place: OnlinePlace, timeout: float = TIMEOUT) -> None:
        self._place, self._timeout = place, timeout
        self._file = Path(place.store.partition("://")[2].removeprefix("/"))
        self._threads = threading.local()
        self._versions: dict[str, OnlineVersion] = {}

    def place(self) -> OnlinePlace:
        return self._place

    def describe(self, view: str) -> OnlineVersion | None:
        with self._reading() as connection:
            found = None if connection is None else self._current(connection, view)
        return None if found is None else found[1]

    def read(self, keys: Mapping[str, Sequence[bytes]]) -> Mapping[str, FoundRows | None]:
        with self._reading() as connection:
            if connection is None:
                return dict.fromkeys(keys)
            return {view: self._found(connection, view, asked) for view, asked in keys.items()}

    def _found(self, connection: sqlite3.Connection, view: str, keys: Sequence[bytes]) -> FoundRows | None:
        current = self._current(connection, view)
        if current is None:
            return None
        generation, version = current
        values: dict[bytes, bytes] = {}
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            query = f"SELECT key, value FROM rows WHERE generation = ? AND key IN ({marks})"  # noqa: S608 - marks only
            values.update(connection.execute(query, (generation, *some)))
        return FoundRows(version, [values.get(key) for key in keys])

    def write(
        self, view: str, version: OnlineVersion, batches: Iterable[Batch], onto: OnlineVersion | None = None
    ) -> OnlineVersion:
        with self._writing() as connection:
            with connection:
                row = (self._place.space, view)
                staged = connection.execute("INSERT INTO generations (space, view) VALUES (?, ?)", row).lastrowid
            for batch in batches:
                with connection:
                    rows = ((staged, key, value) for key, value in batch)
                    connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
            try:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    written = self._switch(connection, view, version, staged or 0, onto)
            except TransientError:
                with connection:  # one that swept it away knew nothing of the rows that came after
                    connection.execute("DELETE FROM rows WHERE generation = ?", (staged,))
                raise
            self._sweep(connection, view)
        return written

    def _switch(
        self, connection: sqlite3.Connection, view: str, version: OnlineVersion, staged: int, onto: OnlineVersion | None
    ) -> OnlineVersion:
        current = self._current(connection, view)
        if connection.execute("SELECT 1 FROM generations WHERE generation = ?", (staged,)).fetchone() is None:
            raise TransientError(f"another write of {view} came between")
        generation = staged
        if onto is not None:
            if current is None or current[1] != onto:
                raise TransientError(f"another write of {view} came between: it is not what was to be added to")
            generation = current[0]
            connection.execute(
                "INSERT INTO rows SELECT ?, key, value FROM rows WHERE generation = ? "
                "ON CONFLICT DO UPDATE SET value = excluded.value "
                "WHERE substr(excluded.value, 1, ?) >= substr(value, 1, ?)",
                (generation, staged, STAMP, STAMP),
            )
        (rows,) = connection.execute("SELECT count(*) FROM rows WHERE generation = ?", (generation,)).fetchone()
        written = version.model_copy(update={"rows": rows, "written": datetime.now(UTC)})
        kept = (self._place.space, view, generation, written.model_dump_json())
        connection.execute("INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?)", kept)
        return written

    def drop(self, view: str) -> None:
        if not self._file.exists():
            return
        with self._writing() as connection:
            with connection:
                connection.execute("DELETE FROM views WHERE space = ? AND view = ?", (self._place.space, view))
            self._sweep(connection, view)

    def _sweep(self, connection: sqlite3.Connection, view: str) -> None:
        """Remove what nobody reads. A generation is forgotten first, so that whoever fills it cannot switch to it."""
        current = self._current(connection, view)
        here, kept = (self._place.space, view), current[0] if current is not None else -1
        query = "SELECT generation FROM generations WHERE space = ? AND view = ? AND generation != ?"
        for (generation,) in connection.execute(query, (*here, kept)).fetchall():
            with connection:
                connection.execute("DELETE FROM generations WHERE generation = ?", (generation,))
            removed = _SWEPT
            while removed == _SWEPT:
                with connection:
                    removed = connection.execute(
                        "DELETE FROM rows WHERE generation = ? AND key IN "
                        "(SELECT key FROM rows WHERE generation = ? LIMIT ?)",
                        (generation, generation, _SWEPT),
                    ).rowcount

    def _current(self, connection: sqlite3.Connection, view: str) -> tuple[int, OnlineVersion] | None:
        query = "SELECT generation, version FROM views WHERE space = ? AND view = ?"
        found = connection.execute(query, (self._place.space, view)).fetchone()
        if found is None:
            return None
        generation, text = found
        version = self._versions.get(text)
        if version is None:
            version = OnlineVersion.model_validate_json(text)
            self._versions = {text: version, **dict(list(self._versions.items())[:_REMEMBERED])}
        return generation, version

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One moment of the file, through this thread's own connection; None where nothing was ever written."""
        with self._told():
            connection = self._connected()
            if connection is None:
                yield None
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    def _connected(self) -> sqlite3.Connection | None:
        """A file that was removed or replaced is another one, though the old one can still be read."""
        try:
            state = self._file.stat()
        except FileNotFoundError:
            return None
        if getattr(self._threads, "file", None) != (state.st_dev, state.st_ino):
            connection = sqlite3.connect(self._file, timeout=self._timeout, isolation_level=None)
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                connection.close()
                return None
            self._threads.connection, self._threads.file = connection, (state.st_dev, state.st_ino)
        known: sqlite3.Connection = self._threads.connection
        return known

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=max(self._timeout, TIMEOUT))) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.executescript(_SCHEMA)
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise TransientError(f"the online store {self._place.store} cannot be used: {error}") from error


_REMEMBERED = 100
"""Descriptions that are kept parsed."""
