"""What was read before, on disk: one SQLite file, safe to delete at any time.

Nothing here is an error for anybody. A file that is damaged, locked, of another form or not writable is as good as
none, and only data is read from it: JSON, and only where it carries a signature by this user's own key, so that a file
that came along with a repository, or was changed behind our back, says nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from framework.planning.grammar.kind import Kind
from framework.ports import Blob
from framework.specs.memo import engine
from framework.storage import make_cache

log = logging.getLogger(__name__)
T = TypeVar("T")

FILE = "specs.db"
_APPLICATION, _FORM = 0x6D6C6F70, 1
_WAIT_SECONDS = 0.5
_MOST_FILES = 100_000
_KEPT_FILES = 50_000
"""Rows of files are dropped, oldest first, down to this many when there are more than the above."""
_MOST_OF_SCOPE, _MOST = 3, 12
"""States kept of one environment, and in all."""
_MOST_BYTES = 1 << 30
_BATCH = 500

_TABLES = """
CREATE TABLE files (name BLOB NOT NULL UNIQUE, body BLOB NOT NULL, mark BLOB NOT NULL);
CREATE TABLE states (
    folders BLOB NOT NULL, scope BLOB NOT NULL, head BLOB NOT NULL, head_mark BLOB NOT NULL,
    body BLOB NOT NULL, mark BLOB NOT NULL
);
"""


@dataclass(frozen=True)
class Kept:
    """A state as it is kept: a short ``head`` to choose by, and where its body is."""

    row: int
    scope: bytes
    head: bytes


class Store:
    """The file ``specs.db`` of ``folder``, which is made where it is missing. ``find_key`` gives what signs all that is
    written, None where there is no such thing; it is asked once there is something to sign."""

    def __init__(self, folder: Path, find_key: Callable[[], bytes | None]) -> None:
        self._file = folder / FILE
        self._find_key = find_key
        self._lock = threading.RLock()
        self._database: sqlite3.Connection | None = None
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
                query = f"SELECT name, body, mark FROM files WHERE name IN ({marks})"  # noqa: S608 (question marks)
                for name, body, mark in database.execute(query, part):
                    self._trust(mark, name, body)
                    if name in names:
                        found[names[name]] = body
            return found

        reader = self._reader_of(kinds)
        return self._read(read, {})

    def add_files(self, found: Mapping[Blob, bytes], kinds: Mapping[str, Kind]) -> None:
        def write(database: sqlite3.Connection) -> bool:
            with database:
                database.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?)",
                    (
                        (name, body, self._sign(name, body))
                        for name, body in (
                            (self._name(reader, blob.path, blob.sha), body) for blob, body in found.items()
                        )
                    ),
                )
                (count,) = database.execute("SELECT count(*) FROM files").fetchone()
                if count > max(_MOST_FILES, 2 * len(found)):
                    most = max(_KEPT_FILES, len(found))
                    oldest = "SELECT rowid FROM files ORDER BY rowid DESC LIMIT 1 OFFSET ?"
                    database.execute(f"DELETE FROM files WHERE rowid <= ({oldest})", (most,))  # noqa: S608 (constant)
            return True

        reader = self._reader_of(kinds)
        self._write(write)

    # -- states ------------------------------------------------------------------------------------------------------

    def states(self, folders: Sequence[str], kinds: Mapping[str, Kind], environment: str | None) -> tuple[Kept, ...]:
        """Heads of the states of one environment, or (None) of any in these folders, the newest first."""

        def read(database: sqlite3.Connection) -> tuple[Kept, ...]:
            column, name = "folders", self._name(reader, folders)
            if environment is not None:
                column, name = "scope", self._name(reader, folders, environment)
            rows = database.execute(
                f"SELECT rowid, scope, head, head_mark FROM states WHERE {column} = ? ORDER BY rowid DESC",  # noqa: S608
                (name,),
            )
            found = []
            for row, scope, head, mark in rows:
                self._trust(mark, scope, head)
                found.append(Kept(row, scope, head))
            return tuple(found)

        reader = self._reader_of(kinds)
        return self._read(read, ())

    def state(self, kept: Kept) -> bytes | None:
        """The body of a state; None where it is gone or not ours."""

        def read(database: sqlite3.Connection) -> bytes | None:
            row = database.execute("SELECT body, mark FROM states WHERE rowid = ?", (kept.row,)).fetchone()
            if row is None:
                return None
            self._trust(row[1], kept.scope, kept.head, row[0])
            return bytes(row[0])

        return self._read(read, None)

    def add_state(
        self, folders: Sequence[str], environment: str, head: bytes, body: bytes, kinds: Mapping[str, Kind]
    ) -> None:
        def write(database: sqlite3.Connection) -> bool:
            scope = self._name(reader, folders, environment)
            with database:
                database.execute("DELETE FROM states WHERE scope = ? AND head = ?", (scope, head))
                marks = self._sign(scope, head), self._sign(scope, head, body)
                values = (self._name(reader, folders), scope, head, marks[0], body, marks[1])
                database.execute("INSERT INTO states VALUES (?, ?, ?, ?, ?, ?)", values)
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

    # -- the file ----------------------------------------------------------------------------------------------------

    def _read(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Reading makes no file."""
        with self._lock:
            if self._database is None and not self._file.is_file():
                return otherwise
            found = self._do(work)
            return otherwise if found is None else found

    def _write(self, work: Callable[[sqlite3.Connection], bool]) -> None:
        with self._lock:
            if not self._do(work):
                self._do(work)  # into a new file, where the old one was damaged

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """None where that did not work."""
        try:
            database = self._open()
            return None if database is None else work(database)
        except (
            sqlite3.Error,
            OSError,
            ValueError,
        ) as error:  # ValueError: bytes that SQLite takes for text and are none
            log.debug("the cache %s is not used: %s", self._file, error)
            self._close()
            if "locked" not in str(error):
                self._discard()
            return None

    def _open(self) -> sqlite3.Connection | None:
        if self._database is None and not self._broken and self._key:
            self._prepare()
            database = sqlite3.connect(self._file, timeout=_WAIT_SECONDS, check_same_thread=False)
            self._database = database
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA synchronous = OFF")  # what a power cut damages is not signed any more
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
        """The folder, if it is to be had without following a link."""
        try:
            if self._file.is_symlink():
                raise OSError("a symbolic link lies on the way")
            make_cache(self._file.parent)
        except OSError:
            self._broken = True
            raise

    def _close(self) -> None:
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def _discard(self) -> None:
        """Start anew the next time; where that is not possible either, do without."""
        if self._broken:
            return
        try:
            self._file.unlink(missing_ok=True)
            self._file.with_name(f"{FILE}-journal").unlink(missing_ok=True)
        except OSError:
            self._broken = True

    # -- signatures --------------------------------------------------------------------------------------------------

    @cached_property
    def _key(self) -> bytes:
        """Raises OSError where there is none."""
        key = self._find_key()
        if key is None:
            self._broken = True
            raise OSError("there is no key to sign it with")
        return key

    def _sign(self, *parts: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=16)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
        return digest.digest()

    def _trust(self, mark: object, *parts: object) -> None:
        """Raises sqlite3.DatabaseError where ``parts``, found under a name that only we could give, are not ours."""
        texts = [part for part in parts if isinstance(part, bytes)]
        if not isinstance(mark, bytes) or len(texts) < len(parts) or not hmac.compare_digest(mark, self._sign(*texts)):
            raise sqlite3.DatabaseError("what it holds was changed")

    def _name(self, *parts: str | Sequence[str]) -> bytes:
        return hashlib.blake2b(json.dumps(parts).encode(), key=self._key, digest_size=16).digest()


def _parts(names: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (names[start : start + size] for start in range(0, len(names), size))


def own_key(folder: Path | None = None) -> bytes | None:
    """This user's key on this machine, made the first time; None where it cannot be kept to oneself. ``folder`` is by
    default the user's own for caches."""
    try:
        folder = folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlopsctl"
        file = folder / "cache.key"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(32))
        state = file.lstat()
        if state.st_mode & 0o177 or state.st_uid != os.getuid() or state.st_size != 32:
            return None
        return file.read_bytes()
    except (OSError, RuntimeError):  # RuntimeError: nobody knows where home is
        return None
