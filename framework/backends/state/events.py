"""The log of one environment in SQL: added to under the lock of its row, and read a part at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, or_, select, update

from framework.api.meta import Ref
from framework.backends.state import chain, tables
from framework.backends.state.counters import BIGGEST, row_of, tail
from framework.backends.state.stored import is_count
from framework.ports import Event, Seal, is_asked_for

AT_A_TIME = 500
"""Rows that are fetched together."""
REPAIRED = "LogRepaired"

# Put together once: every write that says something makes them.
_ADD = insert(tables.events)
_GO_ON = (
    update(tables.environments)
    .where(tables.environments.c.environment == bindparam("here"))
    .values(events=bindparam("count"), head=bindparam("link"))
)


class EventLog:
    """Everything is asked for on the connection of a transaction that somebody else began."""

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def append(self, connection: Connection, row: RowMapping, events: Sequence[Event]) -> None:
        """Add to the chain that ends as the environment's locked ``row`` says. Where that is damaged, the log says so
        itself before it goes on."""
        if not events:
            return
        end = tail(connection, self._environment, row)
        sequence, head = end.count, end.head
        if end.damage:
            events = (_repaired(events[0], end.damage), *events)
        rows: list[dict[str, Any]] = []
        for event in events:
            sequence += 1
            item = chain.link(event, sequence, head)
            head = item.hash
            link = {"body": item.body, "previous": item.previous, "hash": item.hash}
            rows.append({"environment": self._environment, "sequence": sequence, **vars(item.filed), **link})
        connection.execute(_ADD, rows)
        connection.execute(_GO_ON, {"here": self._environment, "count": sequence, "link": head})

    def newest(
        self,
        connection: Connection,
        ref: Ref | None,
        limit: int,
        kinds: Collection[str],
        reasons: Collection[str],
        since: datetime | None,
    ) -> tuple[Event, ...]:
        """Oldest first."""
        column = tables.events.c.sequence
        found = self._read(connection, column <= BIGGEST, column.desc(), ref, kinds, reasons, since)
        return tuple(reversed(list(islice(found, min(limit, BIGGEST)))))

    def following(self, connection: Connection, after: int, limit: int, kinds: Collection[str]) -> tuple[Event, ...]:
        column = tables.events.c.sequence
        found = self._read(connection, column.between(after + 1, BIGGEST), column.asc(), None, kinds, (), None)
        return tuple(islice(found, min(limit, BIGGEST)))

    def _read(
        self,
        connection: Connection,
        part: ColumnElement[bool],
        order: Any,
        ref: Ref | None,
        kinds: Collection[str],
        reasons: Collection[str],
        since: datetime | None,
    ) -> Iterator[Event]:
        table = tables.events
        query = select(table.c.sequence, table.c.body, table.c.kind, table.c.name, table.c.reason, table.c.time)
        query = query.where(table.c.environment == self._environment, part)
        if ref is not None:
            query = query.where(table.c.kind == ref.kind, table.c.name == ref.name)
        if kinds:
            about = table.c.kind.in_([kind for kind in kinds if kind])
            query = query.where(or_(about, table.c.kind.is_(None)) if "" in kinds else about)
        if reasons:
            query = query.where(or_(table.c.reason.in_(list(reasons)), table.c.reason.is_(None)))
        if since is not None:
            query = query.where(or_(table.c.time >= chain.micros(since), table.c.time.is_(None)))
        query = query.order_by(order).execution_options(yield_per=AT_A_TIME)
        with connection.execute(query) as result:
            for row in result:
                sequence, body, *filed = row
                if is_count(sequence):
                    event = chain.entry(sequence, body, chain.Filed(*filed))
                    if is_asked_for(event, reasons, since):
                        yield event

    def verify(self, connection: Connection) -> tuple[str, ...]:
        table = tables.events
        query = (
            select(
                table.c.sequence, table.c.body, table.c.previous, table.c.hash,
                table.c.kind, table.c.name, table.c.reason, table.c.time,
            )
            .where(table.c.environment == self._environment)
            .order_by(table.c.sequence)
            .execution_options(yield_per=AT_A_TIME)
        )  # fmt: skip
        row = row_of(connection, self._environment)
        count, head = (row["events"], row["head"]) if row is not None else (0, chain.GENESIS)
        links = (
            chain.Link(sequence, body, previous, link, chain.Filed(*filed))
            for sequence, body, previous, link, *filed in connection.execute(query)
        )
        return tuple(chain.problems(links, count, head))

    def seal(self, connection: Connection) -> Seal:
        table = tables.events
        query = select(table.c.body).where(table.c.environment == self._environment, table.c.sequence <= BIGGEST)
        ends = [
            connection.execute(query.order_by(order).limit(1)).scalar_one_or_none()
            for order in (table.c.sequence.asc(), table.c.sequence.desc())
        ]
        row = row_of(connection, self._environment)
        end = tail(connection, self._environment, row) if row is not None else None
        first, last = (None if body is None else chain.time_of(body) for body in ends)
        return Seal(events=end.count if end else 0, head=end.head if end else chain.GENESIS, first=first, last=last)


def _repaired(next_one: Event, damage: str) -> Event:
    return next_one.model_copy(update={"ref": None, "reason": REPAIRED, "message": damage, "data": {}})
