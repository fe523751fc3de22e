"""The hash chain that makes the audit log tamper-evident. Pure; no database.

Each event is hashed together with the hash before it, so editing, removing or reordering one breaks every later link.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeGuard

from framework.api.errors import DamagedError
from framework.api.meta import Ref
from framework.backends.state.stored import dump, is_count, load
from framework.ports import UNREADABLE_EVENT, Event

GENESIS = "0" * 64
"""What stands in for the hash before the first event."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Filed:
    """What a log can be asked for by, beside the events themselves. None: a log that was begun by an older version does
    not know; anything: the column was damaged."""

    kind: Any = None
    name: Any = None
    reason: Any = None
    time: Any = None
    """Microseconds since 1970."""

    @property
    def ref(self) -> Ref | None:
        return Ref(self.kind, self.name) if isinstance(self.kind, str) and isinstance(self.name, str) else None

    @property
    def moment(self) -> datetime | None:
        return EPOCH + timedelta(microseconds=self.time) if is_count(self.time) else None

    def is_of(self, event: Event) -> bool:
        right = filed(event)
        if (self.kind, self.name) != (right.kind, right.name):
            return False
        return self.reason in (None, right.reason) and self.time in (None, right.time)


@dataclass(frozen=True)
class Link:
    """One stored event: its canonical JSON, the hash before it and its own, both as 64 hex characters."""

    sequence: int
    body: str
    previous: str
    hash: str
    filed: Filed


def link(event: Event, sequence: int, previous: str) -> Link:
    """``event`` as number ``sequence`` of the chain whose last hash is ``previous``."""
    body = dump(event.model_copy(update={"sequence": sequence}))
    return Link(sequence, body, previous, _hash(previous, body), filed(event))


def entry(sequence: Any, body: Any, filed: Filed) -> Event:
    """The event of a link. One that cannot be read is told of in its place, as far as it is filed somewhere."""
    try:
        found = load(Event, body, f"event {sequence}")
        return found if found.sequence == sequence else found.model_copy(update={"sequence": sequence})
    except DamagedError as error:
        return Event(
            sequence=sequence if is_count(sequence) else 0,
            time=filed.moment or EPOCH,
            commit="",
            ref=filed.ref,
            reason=UNREADABLE_EVENT,
            message=str(error),
        )


def filed(event: Event) -> Filed:
    """Where ``event`` is filed."""
    ref = event.ref
    return Filed(ref.kind if ref else None, ref.name if ref else None, event.reason, micros(event.time))


def micros(moment: datetime) -> int:
    """Since 1970."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // timedelta(microseconds=1)


def is_hash(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def time_of(body: Any) -> datetime | None:
    """When the event of a link happened; None where its text is no longer one."""
    try:
        return load(Event, body, "").time
    except DamagedError:
        return None


def problems(links: Iterable[Link], count: Any, head: Any) -> Iterator[str]:
    """What is wrong with a chain, in order; nothing when it is whole.

    ``count`` and ``head`` are the number of events ever appended and the last hash, kept apart from the events, so that
    events cut off the end are missed too.
    """
    expected, previous = 1, GENESIS
    for item in links:
        if not is_count(item.sequence):
            yield f"there is an event with the number {item.sequence!r}"
            continue
        if item.sequence != expected:
            yield f"events {expected} to {item.sequence - 1} are missing"
        elif item.previous != previous:
            yield f"event {item.sequence} does not follow event {item.sequence - 1}"
        if item.hash != _hash(item.previous, item.body):
            yield f"event {item.sequence} was changed"
        else:
            yield from _misplaced(item, appended=not is_count(count) or item.sequence <= count)
        expected, previous = item.sequence + 1, item.hash
    if not is_count(count) or not is_hash(head):
        yield f"the count and the last hash of the log are damaged: {count!r}, {head!r}"
    elif expected <= count:
        yield f"events {expected} to {count} are missing"
    elif expected > count + 1:
        yield f"events {count + 1} to {expected - 1} were added outside the log"
    elif previous != head:
        yield "the last event is not the one that was appended last"


def _misplaced(item: Link, *, appended: bool) -> Iterator[str]:
    """Where an unchanged event is not the one that it is filed as. How others file what they add is of no interest."""
    try:
        event = load(Event, item.body, "")
    except DamagedError:
        yield f"event {item.sequence} was written by something else"
        return
    if event.sequence != item.sequence:
        yield f"event {item.sequence} was moved"
    elif appended and not item.filed.is_of(event):
        yield f"event {item.sequence} is filed as another"


def _hash(previous: Any, body: Any) -> str:
    return hashlib.sha256(f"{previous}{body}".encode("utf-8", "surrogatepass")).hexdigest()
