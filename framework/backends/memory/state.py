"""StateStore and ModelRegistry in memory. Values pass through JSON, as in a real store, so that nothing is shared."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.errors import ConflictError
from framework.api.meta import Ref
from framework.backends.memory.calls import Calls
from framework.backends.state import chain, owners
from framework.backends.state.leases import next_lease
from framework.ports import Event, Lease, ModelVersion, Pin, Record, Revision, Seal, Word


class MemoryStateStore:
    """One environment. Holds to the same contract suite as the SQL store."""

    def __init__(self, calls: Calls | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self._lock = threading.RLock()
        self._records: dict[Ref, Record] = {}
        self._links: list[chain.Link] = []
        self._revisions: dict[str, str] = {}
        self._lease: Lease | None = None
        self._token = 0
        self._pin: Pin | None = None
        self._words: dict[str, Word] = {}
        self._owner: str | None = None

    def adopt(self, records: Iterable[Record], revisions: Sequence[Revision]) -> None:
        """Start from what another store remembers. ``revisions`` newest first, as stores give them."""
        with self._lock:
            self._records = {record.ref: _copy(record) for record in records}
            self._revisions = {item.commit: chain.dump(item) for item in reversed(revisions)}

    def load(self, ref: Ref) -> Record | None:
        with self._lock:
            record = self._records.get(ref)
        return None if record is None else _copy(record)

    def records(self) -> Sequence[Record]:
        """Sorted by kind and name."""
        with self._lock:
            return tuple(_copy(self._records[ref]) for ref in sorted(self._records))

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        self._calls.record("state.save", record.ref)
        with self._lock:
            self.fence(token)
            self._ensure_version(record, self._version(record.ref))
            self._log(events)
            self._records[record.ref] = _copy(record.model_copy(update={"version": record.version + 1}))
            return _copy(self._records[record.ref])

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.delete", record.ref)
        with self._lock:
            self.fence(token)
            found = self._version(record.ref)
            if found:
                self._ensure_version(record, found)
            self._log(events)
            self._records.pop(record.ref, None)

    def append_events(self, events: Sequence[Event], token: int) -> None:
        if not events:
            return
        self._calls.record("state.append_events", ", ".join(event.reason for event in events))
        with self._lock:
            self.fence(token)
            self._log(events)

    def _log(self, events: Sequence[Event]) -> None:
        links = list(self._links)
        for event in events:
            links.append(chain.link(event, len(links) + 1, links[-1].hash if links else chain.GENESIS))
        self._links = links

    def events(self, ref: Ref | None = None, limit: int = 100) -> Sequence[Event]:
        with self._lock:
            found = [chain.load(Event, item.body) for item in self._links]
        matching = [event for event in found if ref is None or event.ref == ref]
        return tuple(matching[-limit:] if limit else ())

    def verify_events(self) -> tuple[str, ...]:
        """What is wrong with the audit log, in order; empty when no event was changed, moved or removed."""
        with self._lock:
            links = tuple(self._links)
        return chain.problems(links, len(links), links[-1].hash if links else chain.GENESIS)

    def seal(self) -> Seal:
        with self._lock:
            links = tuple(self._links)
        if not links:
            return Seal(events=0, head=chain.GENESIS)
        first, last = chain.time_of(links[0].body), chain.time_of(links[-1].body)
        return Seal(events=len(links), head=links[-1].hash, first=first, last=last)

    def save_revision(self, revision: Revision, token: int, events: Sequence[Event] = ()) -> None:
        """A commit that is known already becomes the newest again, with what is known now."""
        self._calls.record("state.save_revision", revision.commit)
        with self._lock:
            self.fence(token)
            self._log(events)
            self._revisions.pop(revision.commit, None)
            self._revisions[revision.commit] = chain.dump(revision)

    def revisions(self, limit: int = 50) -> Sequence[Revision]:
        with self._lock:
            bodies = tuple(reversed(self._revisions.values()))
        return tuple(chain.load(Revision, body) for body in bodies[:limit])

    def pin(self) -> Pin | None:
        with self._lock:
            return None if self._pin is None else _copy(self._pin)

    def set_pin(self, pin: Pin | None) -> None:
        self._calls.record("state.set_pin", pin.commit if pin else None)
        with self._lock:
            self._pin = None if pin is None else _copy(pin)

    def end_pin(self, pin: Pin, token: int, events: Sequence[Event]) -> None:
        self._calls.record("state.end_pin", pin.commit)
        with self._lock:
            self.fence(token)
            self._log(events)
            if self._pin == pin:
                self._pin = None

    def words(self) -> Sequence[Word]:
        with self._lock:
            return tuple(_copy(self._words[subject]) for subject in sorted(self._words))

    def say(self, word: Word) -> None:
        self._calls.record("state.say", word.subject)
        with self._lock:
            self._words[word.subject] = _copy(word)

    def take_back(self, word: Word, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.take_back", word.subject)
        with self._lock:
            self.fence(token)
            self._log(events)
            if self._words.get(word.subject) == word:
                del self._words[word.subject]

    def owner(self, claim: str | None = None) -> str:
        with self._lock:
            self._owner = owner = claim or self._owner or owners.fresh()
            return owner

    def acquire(
        self, holder: str, ttl_seconds: float, now: datetime, note: Mapping[str, Any] | None = None
    ) -> Lease | None:
        with self._lock:
            lease = next_lease(self._lease, self._token, holder, ttl_seconds, now, note)
            if lease is not None:
                self._lease, self._token = _copy(lease), lease.token
            return lease

    def release(self, lease: Lease) -> None:
        with self._lock:
            if self._lease is not None and self._lease.token == lease.token:
                self._lease = None

    def lease(self) -> Lease | None:
        with self._lock:
            return None if self._lease is None else _copy(self._lease)

    def fence(self, token: int) -> None:
        """Raise ConflictError unless ``token`` is the newest and its lease was not released. The registry asks too."""
        with self._lock:
            if self._lease is None or self._token != token:
                raise ConflictError(
                    f"token {token} is stale: the newest is {self._token}, held: {self._lease is not None}"
                )

    def _version(self, ref: Ref) -> int:
        return self._records[ref].version if ref in self._records else 0

    def _ensure_version(self, record: Record, found: int) -> None:
        if found != record.version:
            raise ConflictError(f"{record.ref} is at version {found}, not {record.version}: read it again")


class MemoryRegistry:
    """Fenced by the lease of ``state``."""

    def __init__(self, state: MemoryStateStore, calls: Calls | None = None) -> None:
        self._state = state
        self._calls = Calls() if calls is None else calls
        self._versions: dict[tuple[str, str], ModelVersion] = {}

    def get(self, training: str, version: str) -> ModelVersion | None:
        found = self._versions.get((training, version))
        return None if found is None else _copy(found)

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """By when they were created, newest first; registered later comes first where that is equal."""
        found = [_copy(item) for item in reversed(self._versions.values()) if item.training == training]
        return sorted(found, key=lambda item: item.created, reverse=True)

    def register(self, version: ModelVersion, token: int) -> None:
        self._calls.record("registry.register", f"{version.training}@{version.version}")
        self._state.fence(token)
        self._versions.setdefault((version.training, version.version), _copy(version))

    def adopt(self, version: ModelVersion) -> None:
        self._calls.record("registry.adopt", f"{version.training}@{version.version}")
        self._versions.setdefault((version.training, version.version), _copy(version))

    def forget(self, training: str, token: int) -> None:
        self._calls.record("registry.forget", training)
        self._state.fence(token)
        self._versions = {key: found for key, found in self._versions.items() if key[0] != training}


def _copy(value: chain.StoredT) -> chain.StoredT:
    return chain.load(type(value), chain.dump(value))
