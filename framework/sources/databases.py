"""Rows of databases, read by ADBC: one statement, in a transaction that changes nothing, a batch at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from framework import installed
from framework.api.credentials import redacted
from framework.api.errors import ConfigurationError, TerminalError, TransientError
from framework.api.hashes import text_hash
from framework.api.places import Premises, database_path
from framework.api.statements import mistake, plain
from framework.ports import Json, SourceFile
from framework.premises import secret

UNKNOWN = "its connection is not known: the Environment names none of that name"
_CONNECT_SECONDS = 10
_VERSION_SECONDS = 30
"""How long the query may take that only names what there is: somebody waits for it at every look."""
_SAID = re.compile(r"(?:ERROR|FATAL):\s+(?P<message>[^\n]+)")
_SIGNED = re.compile(r"^(?:[A-Z_]+: )?(?:\[\w+\] )?")


@contextmanager
def asked(connection: Mapping[str, Any], sql: str, root: str, *, quick: bool = False) -> Iterator[Any]:
    """What ``sql`` yields, as a ``pyarrow.RecordBatchReader``, while the context lasts.

    Args:
        connection: {name, url, passwordFrom} as an Environment has it; a path of SQLite starts at ``root``.
        quick: it is given up after half a minute.

    Raises:
        TerminalError: "DriverMissing", "SecretMissing", "SourceMissing" (no such SQLite file), "QueryFailed" with what
            the database says of the SQL.
        TransientError: the database cannot be reached, or dropped the connection.
    """
    name = connection["name"]
    if why := mistake(sql):
        raise TerminalError("QueryFailed", f"connection {name}: the SQL {why}")
    with _told(name, file=database_path(connection["url"]) is not None):
        opened = _sqlite(connection, root) if database_path(connection["url"]) else _postgres(connection, root)
        with opened as session, session.cursor() as cursor:
            if not database_path(connection["url"]):
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                if quick:
                    cursor.execute(f"SET LOCAL statement_timeout = '{_VERSION_SECONDS}s'")
            cursor.execute(plain(sql))
            with cursor.fetch_record_batch() as reader:
                yield reader
            session.rollback()


def version(source: Mapping[str, Any], root: str) -> Json:
    """What names the rows of a source of SQL: where they are asked for, how, and what its ``versionSql`` yields now.
    Without one that is None: nothing is known of the rows before they are read.

    Raises:
        TerminalError: "ConnectionMissing"; what ``asked`` raises.
        TransientError: as ``asked`` does.
    """
    connection, query = source.get("connection"), source.get("versionSql")
    if not isinstance(connection, Mapping):
        raise TerminalError("ConnectionMissing", UNKNOWN)
    found = None
    if query is not None:
        with asked(connection, query, root, quick=True) as reader:
            found = sha256(repr(reader.read_all().to_pylist()).encode()).hexdigest()
    return [connection["url"], source["sql"], query, found]


def named(source: Mapping[str, Any], root: str) -> SourceFile:
    """The rows of a source of SQL as what is read, by what ``version`` says. Raises what that does."""
    found = text_hash(json.dumps(version(source, root)), 16)
    return SourceFile(label=f"SQL of {source['connection']['name']}", digest=f"query:{found}")


@contextmanager
def _told(name: str, file: bool) -> Iterator[None]:
    """What drivers raise, in the words of this module; a message may quote an address. A ``file`` drops no connection,
    though its driver has the same name for whatever goes wrong."""
    try:
        yield
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        told = installed.advice([package]) if package in installed.EXTRAS else str(error)
        raise TerminalError("DriverMissing", f"connection {name}: {told}") from error
    except ConfigurationError as error:
        raise TerminalError("SecretMissing", f"connection {name}: {error}") from error
    except (OSError, ValueError) as error:  # what comes of reading batches
        _raise(name, error, _is_locked(error) if file else isinstance(error, OSError))
    except Exception as error:
        if not type(error).__module__.startswith("adbc_driver_manager"):
            raise
        _raise(name, error, _is_locked(error) if file else type(error).__name__ == "OperationalError")


def _is_locked(error: Exception) -> bool:
    return "database is locked" in str(error)


def _raise(name: str, error: Exception, transient: bool) -> None:
    told = redacted(f"connection {name}: {_message(error)}")
    if transient:
        raise TransientError(told) from error
    raise TerminalError("QueryFailed", told) from error


def _message(error: Exception) -> str:
    """What the database says, without how the driver got there."""
    text = str(error).strip()
    said = _SAID.search(text)
    message = said["message"] if said else _SIGNED.sub("", text.partition("\n")[0])
    return f"{message}; CAST it to one type in the SQL" if message.startswith("Type mismatch") else message


def _postgres(connection: Mapping[str, Any], root: str) -> Any:
    import adbc_driver_postgresql.dbapi as driver
    from sqlalchemy import make_url

    url = make_url(connection["url"]).set(drivername="postgresql")
    reference = connection.get("passwordFrom")
    if reference is not None:
        url = url.set(password=secret(reference.get("env"), reference.get("file"), Premises(root=root)))
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(_CONNECT_SECONDS)})
    return driver.connect(url.render_as_string(hide_password=False))


def _sqlite(connection: Mapping[str, Any], root: str) -> Any:
    import adbc_driver_sqlite.dbapi as driver

    path = Path(root) / (database_path(connection["url"]) or "")
    if not path.is_file():
        raise TerminalError("SourceMissing", f"connection {connection['name']}: no SQLite database at {path}")
    return driver.connect(f"{path.resolve().as_uri()}?mode=ro")
