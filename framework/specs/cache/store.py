"""What was read before, on disk: one SQLite file in the user's own folder for caches, safe to delete at any time.

Nothing here is an error for anybody. A file that is damaged, locked, of another form or not writable is as good as
none. Only data is read from it, JSON, and a digest beside each piece tells whether it is as it was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from framework.planning.grammar.kind import Kind
from framework.ports import Blob
from framework.specs.cache import engine

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE = "specs.db"
_APPLICATION, _FORM = 0x6D6C6F70, 2
_WAIT_SECONDS = 0.5
_MOST_FILES = 100_000
_KEPT_FILES = 50_000
"""Rows of files are dropped, oldest first, down to this many when there are more than the above."""
_MOST_OF_SCOPE, _MOST = 3, 48
"""States kept of one environment of a project, and in all."""
_MOST_BYTES = 1 << 30
_BATCH = 500
_DIGEST_BYTES = 16

_TABLES = """
CREATE TABLE files (name BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE states (folders BLOB NOT NULL, scope BLOB NOT NULL, head BLOB NOT NULL, body BLOB NOT NULL);
"""


@dataclass(frozen=True)
class CachedState:
    """A state as it is kept: a short ``head`` to choose by, and where its body is."""

    row: int
    scope: bytes
    head: bytes


class Store:
    """What was read of ``project``, in the file ``specs.db`` of ``folder``, which is made where it is missing. Other
    projects keep theirs in the same file."""

    def __init__(self, folder: Path, project: str = "") -> None:
        self._file = folder / FILE
        self._project = project
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._broken = False
        self._reader: tuple[Mapping[str, Kind], str] | None = None

    # -- files -------------------------------------------------------------------------------------------------------

    def files(self, blobs: Sequence[Blob], kinds: Mapping[str, Kind]) -> dict[Blob, bytes]:
        """Rows of those of ``blobs`` that are kept."""

        def read(database: sqlite3.Connection) -> dict[Blob, bytes]:
            found = {}
            names = {self._name(reader, blob.path, blob.sha): blob for blob in blobs}
            for part in _parts(list(names), _BATCH):
                marks = ",".join("?" * len(part))
                query = f"SELECT name, body FROM files WHERE name IN ({marks})"  # noqa: S608 (question marks)
                for name, body in database.execute(query, part):
                    if name in names:
                        found[names[name]] = _unsealed(name, body)
            return found

        reader = self._reader_of(kinds)
        return self._do(read) or {}

    def add_files(self, found: Mapping[Blob, bytes], kinds: Mapping[str, Kind]) -> None:
        def write(database: sqlite3.Connection) -> bool:
            named = ((self._name(reader, blob.path, blob.sha), body) for blob, body in found.items())
            with database:
                rows = ((name, _sealed(name, body)) for name, body in named)
                database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", rows)
                (count,) = database.execute("SELECT count(*) FROM files").fetchone()
                if count > max(_MOST_FILES, 2 * len(found)):
                    most = max(_KEPT_FILES, len(found))
                    oldest = "SELECT rowid FROM files ORDER BY rowid DESC LIMIT 1 OFFSET ?"
                    database.execute(f"DELETE FROM files WHERE rowid <= ({oldest})", (most,))  # noqa: S608 (constant)
            return True

        reader = self._reader_of(kinds)
        self._write(write)

    # -- states ------------------------------------------------------------------------------------------------------

    def states(
        self, folders: Sequence[str], kinds: Mapping[str, Kind], environment: str | None
    ) -> tuple[CachedState, ...]:
        """Heads of the states of one environment, or (None) of any in these folders, the newest first."""

        def read(database: sqlite3.Connection) -> tuple[CachedState, ...]:
            column, name = "folders", self._name(reader, folders)
            if environment is not None:
                column, name = "scope", self._name(reader, folders, environment)
            query = f"SELECT rowid, scope, head FROM states WHERE {column} = ? ORDER BY rowid DESC"  # noqa: S608
            rows = database.execute(query, (name,))
            return tuple(CachedState(row, scope, _unsealed(scope, head)) for row, scope, head in rows)

        reader = self._reader_of(kinds)
        return self._do(read) or ()

    def state(self, kept: CachedState) -> bytes | None:
        """The body of a state; None where it is gone or damaged."""

        def read(database: sqlite3.Connection) -> bytes | None:
            row = database.execute("SELECT body FROM states WHERE rowid = ?", (kept.row,)).fetchone()
            return None if row is None else _unsealed(kept.scope + kept.head, row[0])

        return self._do(read)

    def add_state(
        self, folders: Sequence[str], environment: str, head: bytes, body: bytes, kinds: Mapping[str, Kind]
    ) -> None:
        def write(database: sqlite3.Connection) -> bool:
            scope = self._name(reader, folders, environment)
            named = _sealed(scope, head)
            with database:
                database.execute("DELETE FROM states WHERE scope = ? AND head = ?", (scope, named))
                values = (self._name(reader, folders), scope, named, _sealed(scope + head, body))
                database.execute("INSERT INTO states VALUES (?, ?, ?, ?)", values)
                for condition, most, arguments in (("WHERE scope = ?", _MOST_OF_SCOPE, (scope,)), ("", _MOST, ())):
                    older = f"SELECT rowid FROM states {condition} ORDER BY rowid DESC LIMIT -1 OFFSET {most}"  # noqa: S608
                    database.execute(f"DELETE FROM states WHERE rowid IN ({older})", arguments)  # noqa: S608
            return True

        reader = self._reader_of(kinds)
        self._write(write)

    def _reader_of(self, kinds: Mapping[str, Kind]) -> str:
        """Who reads them: asked for each file, and always the same."""
        if self._reader is None or self._reader[0] is not kinds:
            self._reader = kinds, engine.name(kinds)
        return self._reader[1]

    def _name(self, *parts: str | Sequence[str]) -> bytes:
        return _digest(json.dumps([self._project, *parts]).encode())

    # -- the file ----------------------------------------------------------------------------------------------------

    def _write(self, work: Callable[[sqlite3.Connection], bool]) -> None:
        with self._lock:
            if not self._do(work, makes=True):
                self._do(work, makes=True)  # into a new file, where the old one was damaged

    def _do(self, work: Callable[[sqlite3.Connection], T], *, makes: bool = False) -> T | None:
        """None where that did not work. Only what ``makes`` may makes a file."""
        with self._lock:
            try:
                database = self._open(makes)
                return None if database is None else work(database)
            except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: bytes that seem text and are none
                log.debug("the cache %s is not used: %s", self._file, error)
                self._close()
                if "locked" not in str(error):
                    self._discard()
                return None

    def _open(self, makes: bool) -> sqlite3.Connection | None:
        if self._database is None and not self._broken and (makes or self._file.is_file()):
            self._prepare()
            database = sqlite3.connect(self._file, timeout=_WAIT_SECONDS, check_same_thread=False)
            self._database, self._inode = database, self._file.stat().st_ino
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA synchronous = OFF")  # what a power cut damages does not match its digest any more
            (form,) = database.execute("PRAGMA user_version").fetchone()
            (application,) = database.execute("PRAGMA application_id").fetchone()
            if (application, form) == (0, 0):
                with contextlib.suppress(sqlite3.OperationalError), database:  # another process was faster
                    database.executescript(
                        f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {_APPLICATION}; "
                        f"PRAGMA user_version = {_FORM}; COMMIT;"
                    )
            elif (application, form) != (_APPLICATION, _FORM):
                raise sqlite3.DatabaseError("written by another version")
            (page,) = database.execute("PRAGMA page_size").fetchone()
            database.execute(f"PRAGMA max_page_count = {_MOST_BYTES // page}")
        return self._database

    def _prepare(self) -> None:
        """The folder, if nobody else may write into it: what lies there is believed."""
        try:
            folder = self._file.parent
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            state = folder.stat()
            if state.st_uid != os.getuid() or state.st_mode & 0o022:
                raise PermissionError(f"others may write into {folder}")
        except OSError:
            self._broken = True
            raise

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _discard(self) -> None:
        """Start anew the next time, unless another process did; where that is not possible either, do without."""
        if self._broken:
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                if self._file.stat().st_ino == self._inode:
                    self._file.unlink()
                    self._file.with_name(f"{FILE}-journal").unlink()
        except OSError:
            self._broken = True


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _sealed(name: bytes, data: bytes) -> bytes:
    """``data`` behind a digest of it and of what it is kept under."""
    return _digest(name + data) + data


def _unsealed(name: object, kept: object) -> bytes:
    """Raises sqlite3.DatabaseError where it is not as it was written."""
    if isinstance(name, bytes) and isinstance(kept, bytes):
        digest, data = kept[:_DIGEST_BYTES], kept[_DIGEST_BYTES:]
        if digest == _digest(name + data):
            return data
    raise sqlite3.DatabaseError("what it holds was changed")


def _parts(names: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def own_folder(root: Path) -> Path | None:
    """The user's folder for what is kept of all projects. None where there is none, or where it lies in the repository
    of the project at ``root``: then a commit could bring what is believed."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        folder = (Path(given) if os.path.isabs(given) else Path.home() / ".cache") / "mlopsctl"
        top = next((one for one in (root, *root.parents) if (one / ".git").exists()), root)
        return None if folder.resolve().is_relative_to(top.resolve()) else folder
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
        return None
