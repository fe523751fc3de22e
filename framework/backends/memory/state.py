"""StateStore and ModelRegistry in memory: the SQL ones, on a database that is gone with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import insert, update

from framework.api.meta import Ref
from framework.backends.memory.calls import Calls
from framework.backends.state import tables
from framework.backends.state.counters import fresh
from framework.backends.state.damage import Check
from framework.backends.state.database import MemoryDatabase
from framework.backends.state.project_paths import ProjectPaths
from framework.backends.state.registry import SqlModelRegistry
from framework.backends.state.store import SqlStateStore
from framework.backends.state.stored import dump
from framework.ports import ClockMark, Event, MirrorMark, ModelVersion, Pin, Record, Revision, Word

_HERE = {"environment": "memory"}


class MemoryStateStore(SqlStateStore):
    def __init__(self, calls: Calls | None = None, check: Check | None = None) -> None:
        self.database = MemoryDatabase("memory", ProjectPaths("/"))
        super().__init__(self.database, **_HERE, check=check)
        self._calls = Calls() if calls is None else calls

    def adopt(self, records: Iterable[Record], revisions: Sequence[Revision]) -> None:
        """Start from what another store remembers. ``revisions`` newest first, as stores give them."""
        kept = [
            {"kind": record.ref.kind, "name": record.ref.name, "version": record.version, "body": self._body(record)}
            for record in records
        ]
        known = [
            {"sha": revision.commit, "position": position, "body": dump(revision)}
            for position, revision in enumerate(reversed(revisions), 1)
        ]
        with self.database.write() as connection:
            here = {**fresh(**_HERE), "token": 0, "revisions": len(known)}
            connection.execute(insert(tables.environments).values(**here))
            for table, rows in ((tables.records, kept), (tables.revisions, known)):
                if rows:
                    connection.execute(insert(table).values(**_HERE), rows)

    def damage_record(self, ref: Ref, body: str) -> None:
        """Somebody wrote ``body`` over what was kept of ``ref``."""
        with self.database.write() as connection:
            connection.execute(update(tables.records).where(self._is(ref, tables.records)).values(body=body))

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        self._calls.record("state.save", record.ref)
        return super().save(record, token, events)

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.delete", record.ref)
        super().delete(record, token, events)

    def forget(self, ref: Ref, events: Sequence[Event], left: Record | None = None) -> None:
        self._calls.record("state.forget", ref)
        super().forget(ref, events, left)

    def append_events(self, events: Sequence[Event], token: int) -> None:
        if events:
            self._calls.record("state.append_events", ", ".join(event.reason for event in events))
        super().append_events(events, token)

    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.save_revision", revision.commit)
        super().save_revision(revision, token, events)

    def set_pin(self, pin: Pin | None, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.set_pin", pin.commit if pin else None)
        super().set_pin(pin, events)

    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        self._calls.record("state.end_pin", pin.commit)
        super().end_pin(pin, token, events)

    def say(self, word: Word) -> None:
        self._calls.record("state.say", word.subject)
        super().say(word)

    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.take_back", word.subject)
        super().take_back(word, token, events)

    def set_clock(
        self, mark: ClockMark, token: int, records: Sequence[Record] = (), events: Sequence[Event] = ()
    ) -> None:
        self._calls.record("state.set_clock", mark.wall)
        super().set_clock(mark, token, records, events)

    def set_mirror_mark(self, mark: MirrorMark, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.set_mirror_mark", mark.address)
        super().set_mirror_mark(mark, token, events)


class MemoryRegistry(SqlModelRegistry):
    """Fenced by the lease of ``state``."""

    def __init__(self, state: MemoryStateStore, calls: Calls | None = None) -> None:
        super().__init__(state.database, **_HERE)
        self._calls = Calls() if calls is None else calls

    def register(self, version: ModelVersion, token: int) -> None:
        self._calls.record("registry.register", f"{version.training}@{version.version}")
        super().register(version, token)

    def adopt(self, version: ModelVersion) -> None:
        self._calls.record("registry.adopt", f"{version.training}@{version.version}")
        super().adopt(version)

    def forget(self, training: str, token: int) -> None:
        self._calls.record("registry.forget", training)
        super().forget(training, token)
