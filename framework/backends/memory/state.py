"""StateStore and ModelRegistry in memory. Values pass through JSON, as in a real store, so that nothing is shared."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.errors import ConflictError
from framework.api.meta import Ref
from framework.backends.memory.calls import Calls
from framework.backends.state import chain, leases, owners
from framework.backends.state.damage import Check, Records
from framework.backends.state.stored import StoredT, dump, load
from framework.ports import (
    MOST_NAMED,
    ClockMark,
    Event,
    Heartbeat,
    Lease,
    ModelVersion,
    Pin,
    Record,
    Recorded,
    Revision,
    Seal,
    Word,
    is_asked_for,
)


class MemoryStateStore:
    """One environment. Holds to the same contract suite as the SQL store."""

    def __init__(self, calls: Calls | None = None, check: Check | None = None) -> None:
        self._calls = Calls() if calls is None else calls
        self._reader = Records(check)
        self._lock = threading.RLock()
        self._records: dict[Ref, tuple[int, str]] = {}
        """Version and body, as a row has them."""
        self._links: list[chain.Link] = []
        self._revisions: dict[str, str] = {}
        self._lease: Lease | None = None
        self._token = 0
        self._pin: Pin | None = None
        self._words: dict[str, Word] = {}
        self._clock: ClockMark | None = None
        self._heartbeat: Heartbeat | None = None
        self._owner: str | None = None

    def adopt(self, records: Iterable[Record], revisions: Sequence[Revision]) -> None:
        """Start from what another store remembers. ``revisions`` newest first, as stores give them."""
        with self._lock:
            self._records = {record.ref: (record.version, dump(record)) for record in records}
            self._revisions = {item.commit: dump(item) for item in reversed(revisions)}

    def damage_record(self, ref: Ref, body: str) -> None:
        """Somebody wrote ``body`` over what was kept of ``ref``."""
        with self._lock:
            self._records[ref] = (self._records[ref][0], body)

    def load(self, ref: Ref) -> Record | None:
        with self._lock:
            row = self._records.get(ref)
        return None if row is None else self._reader.read(*ref, *row)

    def recorded(self) -> Recorded:
        """Sorted by kind and name."""
        return self._all(lambda body: True)

    def naming(self, names: Collection[str]) -> Recorded:
        return self._all(lambda body: holds_one_of(body, names))

    def _all(self, wanted: Callable[[str], bool]) -> Recorded:
        with self._lock:
            rows = sorted((*ref, *row) for ref, row in self._records.items() if wanted(row[1]))
        return self._reader.all(rows, lambda error: None)

    def refs(self) -> Sequence[Ref]:
        with self._lock:
            return tuple(sorted(self._records))

    def records(self) -> Sequence[Record]:
        return self.recorded().readable

    def scan(self) -> Iterator[Record]:
        yield from self._all(lambda body: True).readable

    def save(self, record: Record, token: int, events: Sequence[Event] = ()) -> Record:
        self._calls.record("state.save", record.ref)
        with self._lock:
            self.fence(token)
            self._ensure_version(record, self._version(record.ref))
            self._log(events)
            body = self._put(record)
        return load(Record, body, f"the record of {record.ref}")

    def _put(self, record: Record) -> str:
        version = record.version + 1
        body = dump(record.model_copy(update={"version": version}))
        self._records[record.ref] = version, body
        return body

    def delete(self, record: Record, token: int, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.delete", record.ref)
        with self._lock:
            self.fence(token)
            found = self._version(record.ref)
            if found:
                self._ensure_version(record, found)
            self._log(events)
            self._records.pop(record.ref, None)

    def forget(self, ref: Ref, events: Sequence[Event], left: Record | None = None) -> None:
        self._calls.record("state.forget", ref)
        with self._lock:
            self._log(events)
            self._records.pop(ref, None)
            if left is not None:
                self._records[ref] = (1, dump(left.model_copy(update={"version": 1})))

    def append_events(self, events: Sequence[Event], token: int) -> None:
        if not events:
            return
        self._calls.record("state.append_events", ", ".join(event.reason for event in events))
        with self._lock:
            self.fence(token)
            self._log(events)

    def _log(self, events: Sequence[Event]) -> None:
        new: list[chain.Link] = []
        for event in events:
            last = new[-1] if new else self._links[-1] if self._links else None
            new.append(chain.link(event, len(self._links) + len(new) + 1, last.hash if last else chain.GENESIS))
        self._links += new

    def events(
        self,
        ref: Ref | None = None,
        limit: int = 100,
        *,
        kinds: Collection[str] = (),
        reasons: Collection[str] = (),
        since: datetime | None = None,
    ) -> Sequence[Event]:
        found = [event for event in self._told(0, kinds, reasons, since) if ref is None or event.ref == ref]
        return tuple(found[-limit:] if limit else ())

    def log(self, after: int = 0, limit: int = 1_000, *, kinds: Collection[str] = ()) -> Sequence[Event]:
        return tuple(self._told(after, kinds, (), None))[:limit]

    def _told(
        self, after: int, kinds: Collection[str], reasons: Collection[str], since: datetime | None
    ) -> Iterator[Event]:
        with self._lock:
            links = self._links[after:]
        for item in links:
            event = chain.entry(item.sequence, item.body, item.filed or chain.Filed())
            of_kind = not kinds or (event.ref.kind if event.ref else "") in kinds
            if of_kind and is_asked_for(event, reasons, since):
                yield event

    def verify_events(self) -> tuple[str, ...]:
        """What is wrong with the audit log, in order; empty when no event was changed, moved or removed."""
        with self._lock:
            links = tuple(self._links)
        return tuple(chain.problems(links, len(links), links[-1].hash if links else chain.GENESIS))

    def damage(self) -> Sequence[str]:
        return tuple(f"the record of {ref} cannot be read: {why}" for ref, why in self.recorded().unreadable.items())

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
            self._revisions[revision.commit] = dump(revision)

    def revisions(self, limit: int = 50, skip: int = 0) -> Sequence[Revision]:
        with self._lock:
            bodies = tuple(reversed(self._revisions.values()))
        return tuple(load(Revision, body, "a revision") for body in bodies[skip : skip + limit])

    def pin(self) -> Pin | None:
        with self._lock:
            return None if self._pin is None else _copy(self._pin)

    def set_pin(self, pin: Pin | None, events: Sequence[Event] = ()) -> None:
        self._calls.record("state.set_pin", pin.commit if pin else None)
        with self._lock:
            self._log(events)
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

    def clock(self) -> ClockMark | None:
        with self._lock:
            return None if self._clock is None else _copy(self._clock)

    def set_clock(
        self, mark: ClockMark, token: int, records: Sequence[Record] = (), events: Sequence[Event] = ()
    ) -> None:
        self._calls.record("state.set_clock", mark.wall)
        with self._lock:
            self.fence(token)
            for record in records:
                self._ensure_version(record, self._version(record.ref))
            self._log(events)
            self._clock = _copy(mark)
            for record in records:
                self._put(record)

    def owner(self, claim: str | None = None) -> str:
        with self._lock:
            self._owner = owner = claim or self._owner or owners.fresh()
            return owner

    def acquire(
        self,
        holder: str,
        ttl_seconds: float,
        now: datetime,
        note: Mapping[str, Any] | None = None,
        over: Lease | None = None,
    ) -> Lease | None:
        with self._lock:
            lease = leases.taken(self._lease, self._token, holder, ttl_seconds, now, note, over)
            if lease is not None:
                self._lease, self._token = _copy(lease), lease.token
            return lease

    def renew(self, lease: Lease, now: datetime) -> Lease | None:
        with self._lock:
            found = leases.renewed(self._lease, lease, now)
            if found is not None:
                self._lease = _copy(found)
            return found

    def release(self, lease: Lease) -> None:
        with self._lock:
            if self._lease is not None and self._lease.token == lease.token:
                self._lease = None

    def lease(self) -> Lease | None:
        with self._lock:
            return None if self._lease is None else _copy(self._lease)

    def beat(self, heartbeat: Heartbeat, token: int) -> None:
        with self._lock:
            self.fence(token)
            self._heartbeat = _copy(heartbeat)

    def heartbeat(self) -> Heartbeat | None:
        with self._lock:
            return None if self._heartbeat is None else _copy(self._heartbeat)

    def fence(self, token: int) -> None:
        """Raise ConflictError unless ``token`` is the newest and its lease was not released. The registry asks too."""
        with self._lock:
            if self._lease is None or self._token != token:
                raise ConflictError(
                    f"token {token} is stale: the newest is {self._token}, held: {self._lease is not None}"
                )

    def _version(self, ref: Ref) -> int:
        return self._records[ref][0] if ref in self._records else 0

    def _ensure_version(self, record: Record, found: int) -> None:
        if found != record.version:
            raise ConflictError(f"{record.ref} is at version {found}, not {record.version}: read it again")


def holds_one_of(body: str, texts: Collection[str]) -> bool:
    return len(texts) > MOST_NAMED or any(f'"{text}"' in body for text in texts)


class MemoryRegistry:
    """Fenced by the lease of ``state``."""

    def __init__(self, state: MemoryStateStore, calls: Calls | None = None) -> None:
        self._state = state
        self._calls = Calls() if calls is None else calls
        self._versions: dict[tuple[str, str], ModelVersion] = {}
        self._builds: dict[tuple[str, str], list[str]] = {}

    def get(self, training: str, version: str) -> ModelVersion | None:
        found = self._versions.get((training, version))
        return None if found is None else _copy(found)

    def versions(self, training: str) -> Sequence[ModelVersion]:
        """By when they were created, newest first; registered later comes first where that is equal."""
        found = [_copy(item) for item in reversed(self._versions.values()) if item.training == training]
        return sorted(found, key=lambda item: item.created, reverse=True)

    def builds(self, training: str, identity: str) -> Sequence[ModelVersion]:
        found = (self.get(training, version) for version in reversed(self._builds.get((training, identity), [])))
        return [version for version in found if version is not None]

    def naming(self, names: Collection[str]) -> Sequence[tuple[str, str]]:
        return sorted(key for key, version in self._versions.items() if holds_one_of(dump(version), names))

    def register(self, version: ModelVersion, token: int) -> None:
        self._calls.record("registry.register", f"{version.training}@{version.version}")
        self._state.fence(token)
        self._keep(version)

    def adopt(self, version: ModelVersion) -> None:
        self._calls.record("registry.adopt", f"{version.training}@{version.version}")
        self._keep(version)

    def _keep(self, version: ModelVersion) -> None:
        self._versions.setdefault((version.training, version.version), _copy(version))
        builds = self._builds.setdefault((version.training, version.asked_for), [])
        if version.version not in builds:
            builds.append(version.version)

    def forget(self, training: str, token: int) -> None:
        self._calls.record("registry.forget", training)
        self._state.fence(token)
        self._versions = {key: found for key, found in self._versions.items() if key[0] != training}
        self._builds = {key: found for key, found in self._builds.items() if key[0] != training}


def _copy(value: StoredT) -> StoredT:
    return load(type(value), dump(value), "")
