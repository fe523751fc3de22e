"""What was asked of the in-memory backends, so that a test can say "and nothing else was changed"."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """One changing call: ``verb`` as ``port.verb`` (``serving.deploy``), ``subject`` what it was about."""

    verb: str
    subject: str


class Calls:
    """Changing calls in order, shared by all backends of one :class:`MemoryPorts`.

    Every call of a changing verb counts, whether or not it made a difference: a converged system must not even ask.
    Reads do not count, nor do taking and renewing the lease, which a leader does all the time.
    """

    def __init__(self) -> None:
        self._made: list[Call] = []
        self._lock = threading.Lock()

    def record(self, verb: str, subject: object) -> None:
        with self._lock:
            self._made.append(Call(verb, str(subject)))

    @property
    def made(self) -> tuple[Call, ...]:
        with self._lock:
            return tuple(self._made)

    def subjects(self, verb: str) -> tuple[str, ...]:
        """What ``verb`` was called for, in order."""
        return tuple(call.subject for call in self.made if call.verb == verb)

    def clear(self) -> None:
        with self._lock:
            self._made.clear()

    def __len__(self) -> int:
        return len(self.made)

    def __repr__(self) -> str:
        return f"Calls({', '.join(f'{call.verb} {call.subject}' for call in self.made)})"
