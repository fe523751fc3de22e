"""The row of an environment, which every writer locks first: who may write, and where the next thing goes.

SQLite keeps anything in any column, so a counter may hold what is none. What can be told from the rows themselves is
taken from them then: one damaged value must not stop everything.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, bindparam, insert, select

from framework.api.errors import ConflictError, DamagedError
from framework.backends.state import chain, tables
from framework.backends.state.stored import is_count, load
from framework.ports import Lease

log = logging.getLogger(__name__)

BIGGEST = 2**62
"""Texts and blobs are beyond every number to SQLite, so what is at most this is a number."""
LEAP = 1_000_000
"""How far a new token is from nothing, where nobody knows which was given last."""

# Put together once: every write asks for them, and putting a query together takes as long as asking.
ROW = select(tables.environments).where(tables.environments.c.environment == bindparam("here"))
_LOCKED = ROW.with_for_update()
_LOG = tables.events.c
_LAST = (
    select(_LOG.sequence, _LOG.hash)
    .where(_LOG.environment == bindparam("here"), _LOG.sequence <= BIGGEST)
    .order_by(_LOG.sequence.desc())
    .limit(1)
)


def fence(connection: Connection, environment: str, token: int) -> RowMapping:
    """Lock the environment's row and check that ``token`` is the newest ever given and its lease was not released.

    Raises:
        ConflictError: another holder has taken over since, or nobody holds the lease.
    """
    row = locked(connection, environment)
    if row is None or row["lease"] is None:
        raise ConflictError(f"nobody holds the lease of {environment}: token {token} is not valid")
    if row["token"] != token:
        raise ConflictError(f"the lease of {environment} moved on to token {row['token']}: token {token} is stale")
    return row


def counters(connection: Connection, environment: str) -> RowMapping:
    """Lock the environment's row, made where nobody ever took the lease: for writes that no lease has to cover."""
    row = locked(connection, environment)
    if row is None:
        connection.execute(insert(tables.environments).values(**fresh(environment), token=0))
        row = locked(connection, environment)
    assert row is not None
    return row


def fresh(environment: str) -> dict[str, Any]:
    return {"environment": environment, "events": 0, "revisions": 0, "models": 0, "head": chain.GENESIS}


def row_of(connection: Connection, environment: str) -> RowMapping | None:
    return connection.execute(ROW, {"here": environment}).mappings().one_or_none()


def locked(connection: Connection, environment: str) -> RowMapping | None:
    return connection.execute(_LOCKED, {"here": environment}).mappings().one_or_none()


def lease_of(row: RowMapping | None) -> Lease | None:
    """None where nobody holds it.

    Raises:
        DamagedError: the lease is unreadable, or another one than the row's token was given with.
    """
    if row is None or row["lease"] is None:
        return None
    lease = load(Lease, row["lease"], "the lease")
    if is_count(row["token"]) and lease.token != row["token"]:
        raise DamagedError("the lease", f"it has token {lease.token}, and the newest is {row['token']}")
    return lease


def newest_token(connection: Connection, environment: str, row: RowMapping | None) -> int:
    """The newest token that was given, or one that is beyond it. A lease knows its own."""
    known: list[int] = []
    if row is not None:
        known += [row["token"]] if is_count(row["token"]) else []
        try:
            known += [load(Lease, row["lease"], "the lease").token] if row["lease"] is not None else []
        except DamagedError:
            log.warning("the lease of %s cannot be read, nor whom it was given to", environment)
    if known:
        return max(known)
    here = select(tables.events.c.sequence).where(tables.events.c.environment == environment).limit(1)
    began = row is not None or connection.execute(here).first() is not None
    return LEAP if began else 0


@dataclass(frozen=True)
class Tail:
    """How many events there are, the hash that the next one follows, and what of that was damaged."""

    count: int
    head: str
    damage: str = ""


def tail(connection: Connection, environment: str, row: RowMapping) -> Tail:
    """Where the log goes on. Events that the row does not know of are counted too, or nothing could be added after
    them; a row that knows of more than there are is right, and the audit says which are missing."""
    last = connection.execute(_LAST, {"here": environment}).first()
    newest, link = (last[0], last[1]) if last is not None and is_count(last[0]) else (0, chain.GENESIS)
    count, head = row["events"], row["head"]
    if is_count(count) and chain.is_hash(head) and newest <= count:
        return Tail(count, head)
    goes_on = max(newest, count) if is_count(count) else newest
    ends = (head, link) if goes_on > newest else (link, head)
    follows = next((found for found in ends if chain.is_hash(found)), chain.GENESIS)
    damage = f"the log was said to have {count!r} events that end in {head!r}; event {newest} is the last that is there"
    return Tail(goes_on, follows, damage)


def next_position(connection: Connection, table: Table, environment: str, counter: object) -> int:
    """The place of a new row, after all that are there."""
    query = select(table.c.position).where(table.c.environment == environment, table.c.position <= BIGGEST)
    newest = connection.execute(query.order_by(table.c.position.desc()).limit(1)).scalar_one_or_none()
    if not is_count(counter):
        log.warning("the counter of %s in %s was damaged: %r", table.name, environment, counter)
    return max(counter if is_count(counter) else 0, newest if is_count(newest) else 0) + 1
