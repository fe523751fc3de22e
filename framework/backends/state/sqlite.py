"""How SQLite is opened: its files, so that one that vanishes is noticed rather than silently written to after it was
unlinked, or quietly made anew and empty; and databases in memory.
"""

from __future__ import annotations

import os
import sqlite3
import time
from functools import cache
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool, StaticPool

from framework.api.errors import ConfigurationError
from framework.backends.state.tables import METADATA

WRITE = "mlops_write"
"""Option of a connection: whether its transactions write. None: it has none."""
_RETRY_SECONDS = 0.005


def is_there(file: Path) -> bool:
    """An empty file is one that is being made. Raises ConfigurationError where nobody can tell."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigurationError(f"the state database {file} cannot be opened: {error.strerror}") from error


def make(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"the state database {file} cannot be opened: {error.strerror}") from error


def file_engine(file: Path, busy_seconds: float) -> Engine:
    # mode=rw: a file that vanished must not come back empty.
    uri = f"file:{quote(str(file))}?mode=rw"

    def connect() -> sqlite3.Connection:
        # isolation_level None: the driver opens no transactions of its own; see _begin.
        connection = sqlite3.connect(uri, uri=True, timeout=busy_seconds, check_same_thread=False, isolation_level=None)
        try:
            _switch_to_wal(connection, time.monotonic() + busy_seconds)
            connection.execute("PRAGMA synchronous=FULL")
            _configure(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, hide_parameters=True, poolclass=QueuePool, max_overflow=-1)
    event.listen(engine, "begin", _begin)
    return engine


@cache
def memory_engine() -> Engine:
    """Each of its connections has a database of its own with empty tables, for as long as it is open. To make tables
    and engine anew for each would take longer than most of what is done with one."""
    made = create_engine("sqlite://", poolclass=StaticPool)
    METADATA.create_all(made)
    empty: bytes = made.raw_connection().driver_connection.serialize()  # type: ignore[union-attr]
    made.dispose()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        connection.deserialize(empty)
        _configure(connection)
        return connection

    return create_engine("sqlite://", creator=connect, hide_parameters=True, poolclass=NullPool)


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    # One value that is no UTF-8 would fail every query that comes upon it.
    connection.text_factory = _text


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _switch_to_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """SQLite's own waiting does not cover the switch of a new file: of several first openers all but one would fail."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_SECONDS)


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get(WRITE, False)
    if write is not None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
