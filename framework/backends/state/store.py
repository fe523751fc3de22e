"""The state store of one environment on SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, insert, select, tuple_, update

from framework.api.errors import ConflictError, DamagedError
from framework.api.meta import Ref
from framework.backends.state import leases, owners, tables
from framework.backends.state.counters import ROW, counters, fence, fresh, lease_of, locked, newest_token, next_position
from framework.backends.state.damage import (
    CLOCK,
    HEARTBEAT,
    MIRROR,
    OWNER,
    WORD,
    Check,
    Damages,
    Records,
    clock_of,
    damage,
    heartbeat_of,
    mirror_mark_of,
    pin_of,
    ref_of,
    revision_of,
    word_of,
)
from framework.backends.state.database import StateDatabase
from framework.backends.state.events import EventLog
from framework.backends.state.notes import Notes
from framework.backends.state.stored import dump
from framework.ports import ClockMark, Event, Heartbeat, Lease, MirrorMark, Pin, Record, Recorded, Revision, Seal, Word

_KEPT = tables.records.c
_ONE = select(_KEPT.kind, _KEPT.name, _KEPT.version, _KEPT.body).where(
    _KEPT.environment == bindparam("environment"),
    _KEPT.kind == bindparam("kind"),
    _KEPT.name == bindparam("name"),
)
"""Put together once, as what every write asks for: putting a query together takes as long as asking."""
_ALL = (
    select(_KEPT.kind, _KEPT.name, _KEPT.version, _KEPT.body)
    .where(_KEPT.environment == bindparam("here"))
    .order_by(_KEPT.kind, _KEPT.name)
)
_PART = _ALL.where(tuple_(_KEPT.kind, _KEPT.name) > tuple_(bindparam("kind"), bindparam("name"))).limit(500)
_REFS = _ALL.with_only_columns(_KEPT.kind, _KEPT.name)
_PIN = select(tables.pins.c.body).where(tables.pins.c.environment == bindparam("here"))
_KNOWN = (
    select(tables.revisions.c.sha, tables.revisions.c.body)
    .where(tables.revisions.c.environment == bindparam("here"))
    .order_by(tables.revisions.c.position.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skip"))
)
_HERE = (
    _KEPT.environment == bindparam("of_environment"),
    _KEPT.kind == bindparam("of_kind"),
    _KEPT.name == bindparam("of_name"),
)
_VERSION = select(_KEPT.version).where(*_HERE)
_FIRST = insert(tables.records)
_NEXT = update(tables.records).where(*_HERE).values(version=bindparam("saved"), body=bindparam("kept"))


class SqlStateStore:
    """StateStore of one environment; several environments and the registry may share a database.

    A lease that shows no sign of life still fences until another holder takes it: nothing was lost by then.
    """

    def __init__(self, database: StateDatabase, environment: str, check: Check | None = None) -> None:
        """``check`` raises DamagedError for a record whose status makes no sense to who uses it."""
        self._database = database
        self._places = database.places
        self._environment = environment
        self._events = EventLog(environment)
        self._notes = Notes(database, environment)
        self._damages = Damages()
        self._records = Records(check)

    def load(self, ref: Ref) -> Record | None:
        named = {"environment": self._environment, "kind": ref.kind, "name": ref.name}
        rows = self._database.rows(_ONE, named)
        return self._read(*rows[0]) if rows else None

    def _read(self, kind: Any, name: Any, version: Any, body: Any) -> Record:
        return self._records.read(kind, name, version, self._places.found(body))

    def recorded(self) -> Recorded:
        """Sorted by kind and name."""
        return self._all(_ALL)

    def naming(self, names: Collection[str]) -> Recorded:
        return self._all(_ALL.where(tables.holds_one_of(_KEPT.body, names)))

    def _all(self, query: Select[Any]) -> Recorded:
        return self._understood(self._database.rows(query, {"here": self._environment}))

    def _understood(self, rows: Iterable[Any]) -> Recorded:
        found = ((kind, name, version, self._places.found(body)) for kind, name, version, body in rows)
        return self._records.all(found, self._damages.tell)

    def refs(self) -> Sequence[Ref]:
        return tuple(ref_of(kind, name) for kind, name in self._database.rows(_REFS, {"here": self._environment}))

    def records(self) -> Sequence[Record]:
        return self.recorded().readable

    def scan(self) -> Iterator[Record]:
        kind = name = ""
        while rows := self._database.rows(_PART, {"here": self._environment, "kind": kind, "name": name}):
            yield from self._understood(rows).readable
            kind, name, *_ = rows[-1]

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        with self._database.write() as connection:
            row = fence(connection, self._environment, token)
            saved = self._put(connection, record)
            self._events.append(connection, row, events)
        return saved

    def _put(self, connection: Connection, record: Record) -> Record:
        """Compare-and-set; it at its new version."""
        found = self._version(connection, record.ref)
        if found != record.version:
            raise ConflictError(_moved(record, found))
        saved = record.model_copy(update={"version": record.version + 1})
        if record.version == 0:
            self._insert(connection, saved)
        else:
            values = {"saved": saved.version, "kept": self._body(saved)}
            connection.execute(_NEXT, {**self._named(record.ref), **values})
        return saved

    def _insert(self, connection: Connection, record: Record) -> None:
        key = {"environment": self._environment, "kind": record.ref.kind, "name": record.ref.name}
        connection.execute(_FIRST, {**key, "version": record.version, "body": self._body(record)})

    def _body(self, record: Record) -> str:
        return self._places.kept(dump(record))

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        with self._database.write() as connection:
            row = fence(connection, self._environment, token)
            found = self._version(connection, record.ref)
            if found not in (0, record.version):
                raise ConflictError(_moved(record, found))
            self._events.append(connection, row, events)
            connection.execute(delete(tables.records).where(self._is(record.ref, tables.records)))

    def forget(self, ref: Ref, events: Sequence[Event], left: Record | None = None) -> None:
        """Not fenced: it is an operator's word, whoever leads."""
        table = tables.records
        here = table.c.environment == self._environment
        with self._database.write() as connection:
            row = counters(connection, self._environment)
            for kind, name in connection.execute(select(table.c.kind, table.c.name).where(here)).all():
                if ref_of(kind, name) == ref:
                    connection.execute(delete(table).where(here, table.c.kind == kind, table.c.name == name))
            if left is not None:
                self._insert(connection, left.model_copy(update={"version": 1}))
            self._events.append(connection, row, events)

    def append_events(self, events: Sequence[Event], token: int) -> None:
        """All of them or none; their ``sequence`` is given here."""
        if not events:
            return
        with self._database.write() as connection:
            self._events.append(connection, fence(connection, self._environment, token), events)

    def events(
        self,
        ref: Ref | None = None,
        limit: int = 100,
        *,
        kinds: Collection[str] = (),
        reasons: Collection[str] = (),
        since: datetime | None = None,
    ) -> Sequence[Event]:
        with self._database.read() as connection:
            return self._events.newest(connection, ref, limit, kinds, reasons, since)

    def log(self, after: int = 0, limit: int = 1_000, *, kinds: Collection[str] = ()) -> Sequence[Event]:
        with self._database.read() as connection:
            return self._events.following(connection, after, limit, kinds)

    def verify_events(self) -> tuple[str, ...]:
        """What is wrong with the audit log, in order; empty when no event was changed, moved or removed."""
        with self._database.read() as connection:
            return self._events.verify(connection)

    def seal(self) -> Seal:
        with self._database.read() as connection:
            return self._events.seal(connection)

    def damage(self) -> Sequence[str]:
        with self._database.read() as connection:
            return tuple(damage(connection, self._environment, self._records))

    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None:
        """A commit that is known already becomes the newest again, with what is known now."""
        table = tables.revisions
        body = dump(revision)
        here = (table.c.environment == self._environment) & (table.c.sha == revision.commit)
        with self._database.write() as connection:
            environment = fence(connection, self._environment, token)
            self._events.append(connection, environment, events)
            position = next_position(connection, table, self._environment, environment["revisions"])
            found = connection.execute(select(table.c.sha).where(here)).scalar_one_or_none()
            if found is None:
                row = {"environment": self._environment, "sha": revision.commit, "position": position, "body": body}
                connection.execute(insert(table).values(**row))
            else:
                connection.execute(update(table).where(here).values(position=position, body=body))
            self._advance(connection, revisions=position)

    def revisions(self, limit: int = 50, skip: int = 0) -> Sequence[Revision]:
        rows = self._database.rows(_KNOWN, {"here": self._environment, "limit": limit, "skip": skip})
        return tuple(self._revision(*row) for row in rows)

    def _revision(self, sha: Any, body: Any) -> Revision:
        try:
            return revision_of(sha, body)
        except DamagedError as error:
            self._damages.tell(error)
            return Revision(
                commit=str(sha), digest="", accepted=False, time=_UNKNOWN, problems=(str(error),), damaged=True
            )

    def pin(self) -> Pin | None:
        rows = self._database.rows(_PIN, {"here": self._environment})
        return next(self._damages.readable(pin_of, rows), None)

    def set_pin(self, pin: Pin | None, events: Sequence[Event] = ()) -> None:
        """Not fenced: it is an operator's word, whoever leads. The last word counts."""
        table = tables.pins
        with self._database.write() as connection:
            if events:
                self._events.append(connection, counters(connection, self._environment), events)
            connection.execute(delete(table).where(table.c.environment == self._environment))
            if pin is not None:
                connection.execute(insert(table).values(environment=self._environment, body=dump(pin)))

    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        table = tables.pins
        here = (table.c.environment == self._environment) & (table.c.body == dump(pin))
        with self._database.write() as connection:
            self._events.append(connection, fence(connection, self._environment, token), events)
            connection.execute(delete(table).where(here))

    def words(self) -> Sequence[Word]:
        return tuple(self._damages.readable(word_of, self._notes.words()))

    def say(self, word: Word) -> None:
        """Not fenced: it is an operator's, whoever leads. The last word counts."""
        with self._database.write() as connection:
            self._notes.put(connection, WORD + word.subject, dump(word))

    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        with self._database.write() as connection:
            self._events.append(connection, fence(connection, self._environment, token), events)
            self._notes.remove(connection, WORD + word.subject, dump(word))

    def clock(self) -> ClockMark | None:
        return next(self._damages.readable(clock_of, self._notes.rows(CLOCK)), None)

    def set_clock(
        self, mark: ClockMark, token: int, records: Sequence[Record] = (), events: Sequence[Event] = ()
    ) -> None:
        with self._database.write() as connection:
            self._events.append(connection, fence(connection, self._environment, token), events)
            self._notes.put(connection, CLOCK, dump(mark))
            for record in records:
                self._put(connection, record)

    def mirror_mark(self) -> MirrorMark | None:
        return next(self._damages.readable(mirror_mark_of, self._notes.rows(MIRROR)), None)

    def set_mirror_mark(self, mark: MirrorMark, token: int, events: Sequence[Event] = ()) -> None:
        with self._database.write() as connection:
            self._events.append(connection, fence(connection, self._environment, token), events)
            self._notes.put(connection, MIRROR, dump(mark))

    def owner(self, claim: str | None = None) -> str:
        """Made here where there is none.

        Raises:
            ConfigurationError: what was kept is damaged.
        """
        for (known,) in self._notes.rows(OWNER):
            if claim in (None, known):
                return owners.checked(known, self._environment)
        try:
            with self._database.write() as connection:
                chosen = claim or self._notes.found(connection, OWNER) or owners.fresh()
                self._notes.put(connection, OWNER, chosen)
                return chosen
        except ConflictError:
            return self.owner(claim)  # another process was first

    def acquire(
        self,
        holder: str,
        ttl_seconds: float,
        now: datetime,
        note: Mapping[str, Any] | None = None,
        over: Lease | None = None,
    ) -> Lease | None:
        try:
            with self._database.write() as connection:
                row = locked(connection, self._environment)
                newest = newest_token(connection, self._environment, row)
                lease = leases.taken(self._lease(row), newest, holder, ttl_seconds, now, note, over)
                if lease is None:
                    return None
                values = {"token": lease.token, "lease": dump(lease)}
                if row is None:
                    connection.execute(insert(tables.environments).values(**fresh(self._environment), **values))
                else:
                    self._advance(connection, **values)
                return lease
        except ConflictError:
            return None  # another process made the environment's row at the same moment

    def renew(self, lease: Lease, now: datetime) -> Lease | None:
        with self._database.write() as connection:
            found = leases.renewed(self._lease(locked(connection, self._environment)), lease, now)
            if found is not None:
                self._advance(connection, lease=dump(found))
            return found

    def release(self, lease: Lease) -> None:
        """Give the lease back at once instead of letting it run out; the token is never given again."""
        with self._database.write() as connection:
            row = locked(connection, self._environment)
            if row is not None and row["lease"] is not None and row["token"] == lease.token:
                self._advance(connection, lease=None)

    def lease(self) -> Lease | None:
        """The lease as last taken or renewed, however long ago; None where nobody took it, it was released, or it
        cannot be read."""
        rows = self._database.rows(ROW, {"here": self._environment})
        return self._lease(rows[0]._mapping if rows else None)

    def _lease(self, row: RowMapping | None) -> Lease | None:
        try:
            return lease_of(row)
        except DamagedError as error:
            self._damages.tell(error)
            return None

    def beat(self, heartbeat: Heartbeat, token: int) -> None:
        with self._database.write() as connection:
            fence(connection, self._environment, token)
            self._notes.put(connection, HEARTBEAT, dump(heartbeat))

    def heartbeat(self) -> Heartbeat | None:
        return next(self._damages.readable(heartbeat_of, self._notes.rows(HEARTBEAT)), None)

    def _is(self, ref: Ref, table: Any) -> Any:
        return (table.c.environment == self._environment) & (table.c.kind == ref.kind) & (table.c.name == ref.name)

    def _version(self, connection: Connection, ref: Ref) -> Any:
        """0 where there is none."""
        found = connection.execute(_VERSION, self._named(ref)).scalar_one_or_none()
        return 0 if found is None else found

    def _named(self, ref: Ref) -> dict[str, str]:
        return {"of_environment": self._environment, "of_kind": ref.kind, "of_name": ref.name}

    def _advance(self, connection: Connection, **values: Any) -> None:
        table = tables.environments
        connection.execute(update(table).where(table.c.environment == self._environment).values(**values))


_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)


def _moved(record: Record, found: Any) -> str:
    state = f"is at version {found}" if found else "does not exist"
    return f"{record.ref} {state}, not at version {record.version}: read it again"
