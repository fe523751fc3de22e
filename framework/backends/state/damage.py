"""Rows that cannot be read: each is told of once, and all of them can be listed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from framework.api.errors import DamagedError
from framework.api.meta import Ref, Stored
from framework.backends.state import chain, tables
from framework.backends.state.counters import lease_of, row_of
from framework.backends.state.stored import is_count, load
from framework.ports import ClockMark, Heartbeat, MirrorMark, ModelVersion, Pin, Record, Recorded, Revision, Word

log = logging.getLogger(__name__)

StoredT = TypeVar("StoredT", bound=Stored)
WORD, CLOCK, HEARTBEAT, MIRROR, OWNER = "word/", "clock", "heartbeat", "mirror", "owner"
"""Among the notes: how the names of an operator's words begin, and the names of the others."""


class Damages:
    """What one process has come upon: it says so once, and goes on with the rest."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._lock = threading.Lock()

    def tell(self, error: DamagedError) -> None:
        with self._lock:
            new = str(error) not in self._told
            self._told.add(str(error))
        if new:
            log.warning("%s", error)

    def readable(self, read: Callable[..., StoredT], rows: Iterable[Any]) -> Iterator[StoredT]:
        """What ``read`` makes of each row, without those that cannot be read."""
        for row in rows:
            try:
                yield read(*row)
            except DamagedError as error:
                self.tell(error)


Check = Callable[[Record], None]


class Records:
    """Reads records, and has each looked at by who knows what it means. One that is as it was when it was last found
    sound is not looked at again."""

    def __init__(self, check: Check | None) -> None:
        self._check = check
        self._sound: dict[Ref, int] = {}

    def read(self, kind: Any, name: Any, version: Any, body: Any) -> Record:
        """
        Raises:
            DamagedError: it cannot be read, or is not the one that it is kept as.
        """
        ref = ref_of(kind, name)
        where = f"the record of {ref}"
        found = load(Record, body, where)
        if (found.ref.kind, found.ref.name) != (kind, name):
            raise DamagedError(where, f"it is one of {found.ref}")
        if found.version != version:
            raise DamagedError(where, f"it is kept as version {version!r}, and is version {found.version}")
        seen = hash(body)
        if self._check is not None and self._sound.get(ref) != seen:
            self._check(found)
            self._sound[ref] = seen
        return found

    def all(self, rows: Iterable[tuple[Any, Any, Any, Any]], tell: Callable[[DamagedError], None]) -> Recorded:
        found: list[Record] = []
        unreadable: dict[Ref, str] = {}
        for kind, name, version, body in rows:
            try:
                found.append(self.read(kind, name, version, body))
            except DamagedError as error:
                tell(error)
                unreadable[ref_of(kind, name)] = error.problem
        return Recorded(tuple(found), unreadable)


def ref_of(kind: Any, name: Any) -> Ref:
    """As it can be shown and named, whatever the columns hold."""
    return Ref(_text(kind), _text(name))


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def revision_of(sha: Any, body: Any) -> Revision:
    found = load(Revision, body, f"the revision of commit {_text(sha)[:10]}")
    if found.commit != sha:
        raise DamagedError(f"the revision of commit {_text(sha)[:10]}", f"it is one of commit {found.commit[:10]}")
    return found


def pin_of(body: Any) -> Pin:
    return load(Pin, body, "the pin")


def word_of(name: Any, body: Any) -> Word:
    subject = _text(name).removeprefix(WORD)
    found = load(Word, body, f"the word on {subject}")
    if found.subject != subject:
        raise DamagedError(f"the word on {subject}", f"it is one on {found.subject}")
    return found


def clock_of(body: Any) -> ClockMark:
    return load(ClockMark, body, "how the clock stood")


def heartbeat_of(body: Any) -> Heartbeat:
    return load(Heartbeat, body, "the last heartbeat")


def mirror_mark_of(body: Any) -> MirrorMark:
    return load(MirrorMark, body, "how far the mirror is")


def model_of(training: Any, version: Any, body: Any) -> ModelVersion:
    where = f"model version {_text(training)}@{_text(version)}"
    found = load(ModelVersion, body, where)
    if (found.training, found.version) != (training, version):
        raise DamagedError(where, f"it is {found.training}@{found.version}")
    return found


_NOTES: Mapping[Callable[..., Stored], str] = {clock_of: CLOCK, heartbeat_of: HEARTBEAT, mirror_mark_of: MIRROR}


def damage(connection: Connection, environment: str, records: Records) -> Iterator[str]:
    """Everything beside the log that cannot be read, and where it stands."""
    yield from _of_environment(connection, environment)
    kept = tables.records.c
    for columns, read in (
        ((kept.kind, kept.name, kept.version, kept.body), records.read),
        ((tables.revisions.c.sha, tables.revisions.c.body), revision_of),
        ((tables.pins.c.body,), pin_of),
        ((tables.notes.c.name, tables.notes.c.body), word_of),
        ((tables.notes.c.body,), clock_of),
        ((tables.notes.c.body,), heartbeat_of),
        ((tables.notes.c.body,), mirror_mark_of),
        ((tables.models.c.training, tables.models.c.version, tables.models.c.body), model_of),
    ):
        table = columns[0].table
        query = select(*columns).where(table.c.environment == environment)
        if read is word_of:
            query = query.where(tables.notes.c.name.startswith(WORD, autoescape=True))
        if read in _NOTES:
            query = query.where(tables.notes.c.name == _NOTES[read])
        for row in connection.execute(query):
            try:
                read(*row)
            except DamagedError as error:
                yield str(error)


def _of_environment(connection: Connection, environment: str) -> Iterator[str]:
    row = row_of(connection, environment)
    if row is None:
        return
    for name in ("token", "events", "revisions", "models"):
        if not is_count(row[name]):
            yield f"the counter {name!r} cannot be read: it is {row[name]!r}"
    if not chain.is_hash(row["head"]):
        yield f"the last hash of the log cannot be read: it is {row['head']!r}"
    try:
        lease_of(row)
    except DamagedError as error:
        yield str(error)
