"""One SQL database: opening it, transactions, and what its failures mean."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    create_engine,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from framework import installed
from framework.api.errors import ConfigurationError, ConflictError, MlopsError, TransientError
from framework.backends.state.files import Files
from framework.backends.state.project_paths import ProjectPaths
from framework.backends.state.schema import prepare
from framework.backends.state.sqlite import WRITE, file_engine, is_there, make, memory_engine
from framework.backends.state.together import Together

POSTGRES = "postgresql+psycopg"
"""The driver that an address without one means: that of the extra ``postgres``."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_MEANING = {
    sqlite3.SQLITE_BUSY: "another process holds its lock for too long",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock for too long",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_READONLY: "it cannot be written",
    sqlite3.SQLITE_PERM: "it cannot be written",
    sqlite3.SQLITE_CANTOPEN: "its file cannot be opened",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}


class StateDatabase:
    """A checked and migrated database; several stores may share it, from any thread."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        file: Path | None,
        places: ProjectPaths,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """``steady``: seconds of a clock that nobody sets."""
        self.engine = engine
        self.places = places
        self.name = name
        """The URL without its password, for messages."""
        self._files = None if file is None else Files(file)
        self._steady = steady
        self._lock = threading.Lock()
        self._idle: dict[bool | None, deque[Connection]] = _nobody()
        """Of a SQLite file, by what they are for; a server may have dropped what nobody used for a while, so its pool
        looks first."""
        self._together = None
        if self._files is not None:
            self._files.opened()
            self._together = Together(lambda: self._alone(write=True))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view over several queries; writes nothing.

        Raises:
            TransientError: locked, gone, disk failure or network; try again later.
            ConfigurationError: the database is damaged.
        """
        with self._transaction(write=False) as connection:
            yield connection

    def rows(self, query: Executable, named: Mapping[str, Any]) -> Sequence[Any]:
        """What one query finds. It is consistent by itself, and most looks ask for no more: to begin and to end a
        transaction for it would take as long as the query. To SQLite there is none, though SQLAlchemy counts one as
        begun from the first query on.

        Raises:
            TransientError, ConfigurationError: as for :meth:`read`.
        """
        self._ensure_same_files()
        with _translated(self.name, opening=False), self._connected(write=None) as connection:
            return connection.execute(query, named).all()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block and rolled back if the block raises.

        SQLite's write lock is taken at once: a transaction that reads first and writes later could not be retried.

        Raises:
            TransientError, ConfigurationError: as for :meth:`read`.
            ConflictError: a concurrent writer inserted the same row.
        """
        with self._transaction(write=True) as connection:
            yield connection

    def close(self) -> None:
        """Give all connections back; the database can be used again afterwards."""
        self._drop_idle()
        self.engine.dispose()
        if self._files is not None:
            self._files.closed()

    def _drop_idle(self) -> None:
        idle, self._idle = self._idle, _nobody()
        for connection in chain.from_iterable(idle.values()):
            connection.close()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        self._ensure_same_files()
        if write and self._together is not None:
            with _translated(self.name, opening=False), self._together.write() as connection:
                yield connection
        else:
            with self._alone(write=write) as connection:
                yield connection

    @contextmanager
    def _alone(self, *, write: bool) -> Iterator[Connection]:
        with (
            _translated(self.name, opening=False),
            self._connected(write=write) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _connected(self, *, write: bool | None) -> Iterator[Connection]:
        """A connection of one's own. One to a file is kept for the next who asks: to take it from the pool and to give
        it back takes as long as a query."""
        idle = self._idle
        try:
            connection = idle[write].pop()
        except IndexError:
            connection = self.engine.connect().execution_options(**{WRITE: write})
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._files is None or idle is not self._idle:
            connection.close()
        else:
            idle[write].append(connection)

    def _ensure_same_files(self) -> None:
        """Connections outlive the unlinking of what they opened, and nobody else sees what they write then: they are
        dropped, and new ones are made once what replaced it is all there."""
        files = self._files
        if files is None or files.same():
            return
        with self._lock:
            if files.same():
                return
            self._drop_idle()
            if isinstance(pool := self.engine.pool, QueuePool) and pool.checkedout():
                # SQLite has one view of a file in a process: a new connection would share what the old ones hold.
                raise TransientError(f"the state database {self.name} was replaced while it was in use")
            self.engine.dispose()
            at_rest = files.at_rest(self._steady())
            if not files.there():
                raise TransientError(f"the state database {self.name} is gone")
            if not at_rest:
                raise TransientError(f"the state database {self.name} is being replaced")
            with _translated(self.name, opening=False):
                _prepare(self.engine, self.name, self.places, create=False)
            files.opened()


def _nobody() -> dict[bool | None, deque[Connection]]:
    return {write: deque() for write in (None, False, True)}


class MemoryDatabase(StateDatabase):
    """One that nobody else sees, and that is gone with this. Threads take turns."""

    def __init__(self, name: str, places: ProjectPaths) -> None:
        super().__init__(memory_engine(), name, None, places)
        self._turn = threading.RLock()
        self._connection = self.engine.connect()

    def rows(self, query: Executable, named: Mapping[str, Any]) -> Sequence[Any]:
        with self.read() as connection:  # for which there is no transaction either
            return connection.execute(query, named).all()

    def close(self) -> None:
        """What it holds lasts as long as itself."""

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        connection = self._connection
        with self._turn, _translated(self.name, opening=False):
            if not write:
                yield connection
                return
            connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


class AbsentDatabase(MemoryDatabase):
    """One whose file was not there when it was opened: empty for whoever reads, until somebody makes it."""

    def __init__(self, name: str, file: Path, busy_seconds: float, places: ProjectPaths) -> None:
        super().__init__(name, places)
        self._awaited, self._busy_seconds = file, busy_seconds
        self._found: StateDatabase | None = None

    def close(self) -> None:
        super().close()
        if self._found is not None:
            self._found.close()

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Connection]:
        if self._found is None and is_there(self._awaited):
            self._found = _opened(self.name, self._awaited, file_engine(self._awaited, self._busy_seconds), self.places)
        if self._found is None and write:
            raise ConfigurationError(f"there is no state database {self.name} yet; mlopsctl reconcile or up makes it")
        transaction = super()._transaction if self._found is None else self._found._transaction
        with transaction(write=write) as connection:
            yield connection


def open_database(
    url: str, root: str = ".", busy_seconds: float = 5.0, *, password: str | None = None, create: bool = True,
    steady: Callable[[], float] = time.monotonic,
) -> StateDatabase:  # fmt: skip
    """Open a database.

    Args:
        url: ``sqlite:///PATH`` (relative to ``root``) or any other SQLAlchemy URL, e.g. ``postgresql+psycopg://...``.
        root: the project's folder. Paths below it are kept relative to it.
        busy_seconds: how long a SQLite write waits for another process's.
        password: goes before the one in ``url``.
        create: make a SQLite file and its folder where there are none. Else nothing is made, and what is not there
            reads as empty.
        steady: seconds of a clock that nobody sets.

    Raises:
        ConfigurationError: it cannot be opened, written or understood.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The URL may hold a password, and SQLAlchemy quotes it.
        raise ConfigurationError(
            "the state database's URL is not of the form dialect://host:port/name, with a number for a port"
        ) from None
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername=POSTGRES)
    if password is not None:
        parsed = parsed.set(password=password)
    name = parsed.render_as_string(hide_password=True)
    places = ProjectPaths(str(Path(root).resolve()))
    if parsed.get_backend_name() != "sqlite":
        return _opened(name, None, _server_engine(parsed, name), places)
    file = _sqlite_file(parsed, root)
    if not create and not is_there(file):
        return AbsentDatabase(name, file, busy_seconds, places)
    make(file)
    return _opened(name, file, file_engine(file, busy_seconds), places, steady)


def _opened(
    name: str, file: Path | None, engine: Engine, places: ProjectPaths, steady: Callable[[], float] = time.monotonic
) -> StateDatabase:
    try:
        with _translated(name, opening=True):
            _prepare(engine, name, places, create=True)
    except MlopsError:
        engine.dispose()
        raise
    return StateDatabase(engine, name, file, places, steady)


def _sqlite_file(url: URL, root: str) -> Path:
    if not url.database or url.database == ":memory:" or url.query:
        raise ConfigurationError("a SQLite state database is sqlite:///PATH, without options and not in memory")
    return Path(root).absolute() / url.database


def _server_engine(url: URL, name: str) -> Engine:
    try:
        return create_engine(url, hide_parameters=True, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        told = installed.advice(["psycopg"]) if url.drivername == POSTGRES else f"no driver is installed: {error}"
        raise ConfigurationError(f"the state database {name}: {told}") from error


def _prepare(engine: Engine, name: str, places: ProjectPaths, *, create: bool) -> None:
    with engine.connect() as connection:
        connection.execution_options(**{WRITE: True})
        with connection.begin():
            prepare(connection, name, places, create=create)


@contextmanager
def _translated(name: str, *, opening: bool) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise ConflictError(f"another writer was first in {name}: {error.orig}") from error
    except DBAPIError as error:
        raise _meaning(error.orig, name, opening=opening) from error
    except PoolTimeoutError as error:
        raise TransientError(f"all connections to {name} are in use") from error


def _meaning(error: BaseException | None, name: str, *, opening: bool) -> MlopsError:
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary in _DAMAGED:
        return ConfigurationError(f"the state database {name} is damaged or no database at all: {error}")
    why = _MEANING.get(primary, str(error)) if primary is not None else str(error)
    if opening:
        return ConfigurationError(f"the state database {name} cannot be used: {why}")
    return TransientError(f"the state database {name} is not available: {why}")
