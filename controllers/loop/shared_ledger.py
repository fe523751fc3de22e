"""Who holds how much of the cluster, as the one active controller knows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from controllers.loop.seen import Seen
from framework.api.meta import Ref
from framework.planning.admission.ledger import Ledger
from framework.ports import Record, StateStore


class SharedLedger:
    """A ledger shared by workers, kept by whoever reads or saves a record: nobody else writes while the lease is held.
    What nobody came by yet is read once somebody asks. Whoever takes the lease over starts with another."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ledger, self._seen = Ledger(), Seen()

    @contextmanager
    def of(self, state: StateStore) -> Iterator[Ledger]:
        """The ledger, for one worker at a time: what is let in must be in it before the next one asks."""
        with self._lock:
            if self._seen.lacks(state):
                for record in state.scan():
                    self.hold(record)
            yield self._ledger

    def hold(self, record: Record) -> None:
        with self._lock:
            self._ledger.hold(record)
            self._seen.add(record.ref)

    def forget(self, ref: Ref) -> None:
        with self._lock:
            self._ledger.forget(ref)

    def doubt(self) -> None:
        """Nobody knows what became of a write: read the records again when it matters."""
        with self._lock:
            self._ledger, self._seen = Ledger(), Seen()

    def waits_no_more(self, ref: Ref) -> None:
        with self._lock:
            self._ledger.waits_no_more(ref)

    def waiting_for(self, rollout: Ref) -> tuple[Ref, ...]:
        """Who would have room if a rollout were over."""
        with self._lock:
            return self._ledger.waiting_for(rollout)
