"""Stored values as canonical JSON, and the hash chain that makes the audit log tamper-evident. Pure; no database.

Each event is hashed together with the hash before it, so editing, removing or reordering one breaks every later link.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from framework.api.errors import ConfigurationError
from framework.api.meta import Stored
from framework.ports import Event

GENESIS = "0" * 64
"""What stands in for the hash before the first event."""

StoredT = TypeVar("StoredT", bound=Stored)


@dataclass(frozen=True)
class Link:
    """One stored event: its canonical JSON, the hash before it and its own, both as 64 hex characters."""

    sequence: int
    body: str
    previous: str
    hash: str


def dump(value: Stored) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII only, so that any database stores it byte for byte."""
    return dump_json(value.model_dump(mode="json"))


def dump_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def load(model: type[StoredT], body: str) -> StoredT:
    """The value that :func:`dump` wrote; keys of a newer version are ignored.

    Raises:
        ConfigurationError: the stored text is not such a value, so the store is damaged.
    """
    try:
        return model.model_validate(json.loads(body))
    except ValueError as error:
        raise ConfigurationError(f"the state store holds an unreadable {model.__name__}: {error}") from error


def link(event: Event, sequence: int, previous: str) -> Link:
    """``event`` as number ``sequence`` of the chain whose last hash is ``previous``."""
    body = dump(event.model_copy(update={"sequence": sequence}))
    return Link(sequence, body, previous, _hash(previous, body))


def time_of(body: str) -> datetime | None:
    """When the event of a link happened; None where its text is no longer one."""
    try:
        return Event.model_validate(json.loads(body)).time
    except ValueError:
        return None


def problems(links: Iterable[Link], count: int, head: str) -> tuple[str, ...]:
    """What is wrong with a chain, in order; empty when it is whole.

    ``count`` and ``head`` are the number of events ever appended and the last hash, kept apart from the events, so that
    events cut off the end are missed too.
    """
    found: list[str] = []
    expected, previous = 1, GENESIS
    for item in links:
        if item.sequence != expected:
            found.append(f"events {expected} to {item.sequence - 1} are missing")
        elif item.previous != previous:
            found.append(f"event {item.sequence} does not follow event {item.sequence - 1}")
        if item.hash != _hash(item.previous, item.body):
            found.append(f"event {item.sequence} was changed")
        elif _sequence_of(item.body) != item.sequence:
            found.append(f"event {item.sequence} was moved")
        expected, previous = item.sequence + 1, item.hash
    if expected <= count:
        found.append(f"events {expected} to {count} are missing")
    elif expected > count + 1:
        found.append(f"events {count + 1} to {expected - 1} were added outside the log")
    elif previous != head:
        found.append("the last event is not the one that was appended last")
    return tuple(found)


def _hash(previous: str, body: str) -> str:
    return hashlib.sha256((previous + body).encode()).hexdigest()


def _sequence_of(body: str) -> int | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value.get("sequence") if isinstance(value, dict) else None
