"""The state store of one environment on SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from framework.api.errors import ConflictError
from framework.api.meta import Ref
from framework.backends.state import chain, owners, tables
from framework.backends.state.database import Database
from framework.backends.state.leases import next_lease
from framework.ports import Event, Lease, Pin, Record, Revision, Seal, Word

_WORD = "word/"
_OWNER = "owner"


def fence(connection: Connection, environment: str, token: int) -> RowMapping:
    """Lock the environment's row and check that ``token`` is the newest ever given and its lease was not released.

    Raises:
        ConflictError: another holder has taken over since, or nobody holds the lease.
    """
    row = _locked(connection, environment)
    if row is None or row["lease"] is None:
        raise ConflictError(f"nobody holds the lease of {environment}: token {token} is not valid")
    if row["token"] != token:
        raise ConflictError(f"the lease of {environment} moved on to token {row['token']}: token {token} is stale")
    return row


def counters(connection: Connection, environment: str) -> RowMapping:
    """Lock the environment's row, made where nobody ever took the lease: for writes that no lease has to cover."""
    row = _locked(connection, environment)
    if row is None:
        connection.execute(insert(tables.environments).values(**_fresh(environment), token=0))
        row = _locked(connection, environment)
    assert row is not None
    return row


class SqlStateStore:
    """StateStore of one environment; several environments and the registry may share a database.

    A lease that has expired still fences until another holder takes it: nothing was lost by then.
    """

    def __init__(self, database: Database, environment: str) -> None:
        self._database = database
        self._places = database.places
        self._environment = environment

    def load(self, ref: Ref) -> Record | None:
        with self._database.read() as connection:
            body = connection.execute(
                select(tables.records.c.body).where(self._is(ref, tables.records))
            ).scalar_one_or_none()
        return None if body is None else chain.load(Record, self._places.found(body))

    def records(self) -> Sequence[Record]:
        """Sorted by kind and name."""
        table = tables.records
        query = select(table.c.body).where(table.c.environment == self._environment)
        query = query.order_by(table.c.kind, table.c.name)
        with self._database.read() as connection:
            bodies = connection.execute(query).scalars().all()
        return tuple(chain.load(Record, self._places.found(body)) for body in bodies)

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        table = tables.records
        saved = record.model_copy(update={"version": record.version + 1})
        body = chain.dump(saved)
        with self._database.write() as connection:
            row = fence(connection, self._environment, token)
            found = self._version(connection, record.ref)
            if found != record.version:
                raise ConflictError(_moved(record, found))
            self._log(connection, row, events)
            if record.version == 0:
                key = {"environment": self._environment, "kind": record.ref.kind, "name": record.ref.name}
                connection.execute(insert(table).values(**key, version=1, body=self._places.kept(body)))
            else:
                values = {"version": saved.version, "body": self._places.kept(body)}
                change = update(table).where(self._is(record.ref, table)).values(**values)
                connection.execute(change)
        return chain.load(Record, body)

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        with self._database.write() as connection:
            row = fence(connection, self._environment, token)
            found = self._version(connection, record.ref)
            if found not in (0, record.version):
                raise ConflictError(_moved(record, found))
            self._log(connection, row, events)
            connection.execute(delete(tables.records).where(self._is(record.ref, tables.records)))

    def append_events(self, events: Sequence[Event], token: int) -> None:
        """All of them or none; their ``sequence`` is given here."""
        if not events:
            return
        with self._database.write() as connection:
            self._log(connection, fence(connection, self._environment, token), events)

    def _log(self, connection: Connection, row: RowMapping, events: Sequence[Event]) -> None:
        """Add to the chain that ends as the environment's locked ``row`` says."""
        if not events:
            return
        sequence, head = row["events"], row["head"]
        rows: list[dict[str, Any]] = []
        for event in events:
            sequence += 1
            item = chain.link(event, sequence, head)
            head = item.hash
            ref = event.ref
            rows.append(
                {
                    "environment": self._environment,
                    "sequence": sequence,
                    "kind": ref.kind if ref else None,
                    "name": ref.name if ref else None,
                    "body": item.body,
                    "previous": item.previous,
                    "hash": item.hash,
                }
            )
        connection.execute(insert(tables.events), rows)
        self._advance(connection, events=sequence, head=head)

    def events(self, ref: Ref | None = None, limit: int = 100) -> Sequence[Event]:
        table = tables.events
        query = select(table.c.body).where(table.c.environment == self._environment)
        if ref is not None:
            query = query.where(table.c.kind == ref.kind, table.c.name == ref.name)
        query = query.order_by(table.c.sequence.desc()).limit(limit)
        with self._database.read() as connection:
            bodies = connection.execute(query).scalars().all()
        return tuple(chain.load(Event, body) for body in reversed(bodies))

    def verify_events(self) -> tuple[str, ...]:
        """What is wrong with the audit log, in order; empty when no event was changed, moved or removed."""
        table = tables.events
        query = (
            select(table.c.sequence, table.c.body, table.c.previous, table.c.hash)
            .where(table.c.environment == self._environment)
            .order_by(table.c.sequence)
        )
        with self._database.read() as connection:
            row = _row(connection, self._environment)
            stream = connection.execute(query)
            links = (chain.Link(*item) for item in stream)
            return chain.problems(links, row["events"] if row else 0, row["head"] if row else chain.GENESIS)

    def seal(self) -> Seal:
        table = tables.events
        query = select(table.c.body).where(table.c.environment == self._environment).limit(1)
        with self._database.read() as connection:
            row = _row(connection, self._environment)
            ends = [
                connection.execute(query.order_by(order)).scalar_one_or_none()
                for order in (table.c.sequence.asc(), table.c.sequence.desc())
            ]
        first, last = (None if body is None else chain.time_of(body) for body in ends)
        return Seal(
            events=row["events"] if row else 0, head=row["head"] if row else chain.GENESIS, first=first, last=last
        )

    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None:
        """A commit that is known already becomes the newest again, with what is known now."""
        table = tables.revisions
        body = chain.dump(revision)
        here = (table.c.environment == self._environment) & (table.c.sha == revision.commit)
        with self._database.write() as connection:
            environment = fence(connection, self._environment, token)
            self._log(connection, environment, events)
            position = environment["revisions"] + 1
            found = connection.execute(select(table.c.position).where(here)).scalar_one_or_none()
            if found is None:
                row = {"environment": self._environment, "sha": revision.commit, "position": position, "body": body}
                connection.execute(insert(table).values(**row))
            else:
                connection.execute(update(table).where(here).values(position=position, body=body))
            self._advance(connection, revisions=position)

    def revisions(self, limit: int = 50) -> Sequence[Revision]:
        table = tables.revisions
        query = select(table.c.body).where(table.c.environment == self._environment)
        query = query.order_by(table.c.position.desc()).limit(limit)
        with self._database.read() as connection:
            bodies = connection.execute(query).scalars().all()
        return tuple(chain.load(Revision, body) for body in bodies)

    def pin(self) -> Pin | None:
        query = select(tables.pins.c.body).where(tables.pins.c.environment == self._environment)
        with self._database.read() as connection:
            body = connection.execute(query).scalar_one_or_none()
        return None if body is None else chain.load(Pin, body)

    def set_pin(self, pin: Pin | None) -> None:
        """Not fenced: it is an operator's word, whoever leads. The last word counts."""
        table = tables.pins
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.environment == self._environment))
            if pin is not None:
                connection.execute(insert(table).values(environment=self._environment, body=chain.dump(pin)))

    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        table = tables.pins
        here = (table.c.environment == self._environment) & (table.c.body == chain.dump(pin))
        with self._database.write() as connection:
            self._log(connection, fence(connection, self._environment, token), events)
            connection.execute(delete(table).where(here))

    def words(self) -> Sequence[Word]:
        table = tables.notes
        here = (table.c.environment == self._environment) & table.c.name.startswith(_WORD, autoescape=True)
        with self._database.read() as connection:
            bodies = connection.execute(select(table.c.body).where(here).order_by(table.c.name)).scalars().all()
        return tuple(chain.load(Word, body) for body in bodies)

    def say(self, word: Word) -> None:
        """Not fenced: it is an operator's, whoever leads. The last word counts."""
        table, key = tables.notes, {"environment": self._environment, "name": _WORD + word.subject}
        with self._database.write() as connection:
            connection.execute(delete(table).filter_by(**key))
            connection.execute(insert(table).values(**key, body=chain.dump(word)))

    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        table, key = tables.notes, {"environment": self._environment, "name": _WORD + word.subject}
        with self._database.write() as connection:
            self._log(connection, fence(connection, self._environment, token), events)
            connection.execute(delete(table).filter_by(**key, body=chain.dump(word)))

    def owner(self, claim: str | None = None) -> str:
        """Made here where there is none.

        Raises:
            ConfigurationError: what was kept is damaged.
        """
        table, key = tables.notes, {"environment": self._environment, "name": _OWNER}
        query = select(table.c.body).filter_by(**key)
        with self._database.read() as connection:
            known = connection.execute(query).scalar_one_or_none()
        if known is not None and claim in (None, known):
            return owners.checked(known, self._environment)
        try:
            with self._database.write() as connection:
                known = connection.execute(query).scalar_one_or_none()
                chosen = claim or known or owners.fresh()
                connection.execute(delete(table).filter_by(**key))
                connection.execute(insert(table).values(**key, body=chosen))
                return chosen
        except ConflictError:
            return self.owner(claim)  # another process was first

    def acquire(
        self, holder: str, ttl_seconds: float, now: datetime, note: Mapping[str, Any] | None = None
    ) -> Lease | None:
        """``holder`` must name one process, not one machine: whoever gives the same name shares the lease.

        A renewal keeps the token, and the note unless a new one is given.
        """
        try:
            with self._database.write() as connection:
                row = _locked(connection, self._environment)
                current = chain.load(Lease, row["lease"]) if row and row["lease"] else None
                lease = next_lease(current, row["token"] if row else 0, holder, ttl_seconds, now, note)
                if lease is None:
                    return None
                values = {"token": lease.token, "lease": chain.dump(lease)}
                if row is None:
                    connection.execute(insert(tables.environments).values(**_fresh(self._environment), **values))
                else:
                    self._advance(connection, **values)
                return lease
        except ConflictError:
            return None  # another process made the environment's row at the same moment

    def release(self, lease: Lease) -> None:
        """Give the lease back at once instead of letting it expire; the token is never given again."""
        with self._database.write() as connection:
            row = _locked(connection, self._environment)
            if row is not None and row["lease"] is not None and row["token"] == lease.token:
                self._advance(connection, lease=None)

    def lease(self) -> Lease | None:
        """The lease as last taken, expired or not; None where nobody took it or it was released."""
        with self._database.read() as connection:
            row = _row(connection, self._environment)
        return chain.load(Lease, row["lease"]) if row and row["lease"] else None

    def _is(self, ref: Ref, table: Any) -> Any:
        return (table.c.environment == self._environment) & (table.c.kind == ref.kind) & (table.c.name == ref.name)

    def _version(self, connection: Connection, ref: Ref) -> int:
        table = tables.records
        found = connection.execute(select(table.c.version).where(self._is(ref, table))).scalar_one_or_none()
        return found or 0

    def _advance(self, connection: Connection, **values: Any) -> None:
        table = tables.environments
        connection.execute(update(table).where(table.c.environment == self._environment).values(**values))


def _fresh(environment: str) -> dict[str, Any]:
    return {"environment": environment, "events": 0, "revisions": 0, "models": 0, "head": chain.GENESIS}


def _row(connection: Connection, environment: str) -> RowMapping | None:
    query = select(tables.environments).where(tables.environments.c.environment == environment)
    return connection.execute(query).mappings().one_or_none()


def _locked(connection: Connection, environment: str) -> RowMapping | None:
    query = select(tables.environments).where(tables.environments.c.environment == environment).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def _moved(record: Record, found: int) -> str:
    state = f"is at version {found}" if found else "does not exist"
    return f"{record.ref} {state}, not at version {record.version}: read it again"
