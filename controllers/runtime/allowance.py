"""Who holds how much of the cluster, as the one active controller knows it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from framework.api.meta import Ref
from framework.planning.ledger import Ledger
from framework.ports import Record, StateStore


class Allowance:
    """A ledger shared by workers. It is read from the records once and kept by whoever reads or saves one: nobody else
    writes while the lease is held. Whoever takes the lease over starts with another."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None

    @contextmanager
    def of(self, state: StateStore) -> Iterator[Ledger]:
        """The ledger, for one worker at a time: what is let in must be in it before the next one asks."""
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger(state.records())
            yield self._ledger

    def hold(self, record: Record) -> None:
        with self._lock:
            if self._ledger is not None:
                self._ledger.hold(record)

    def forget(self, ref: Ref) -> None:
        with self._lock:
            if self._ledger is not None:
                self._ledger.forget(ref)

    def doubt(self) -> None:
        """Nobody knows what became of a write: read the records again when it matters."""
        with self._lock:
            self._ledger = None

    def waits_no_more(self, ref: Ref) -> None:
        with self._lock:
            if self._ledger is not None:
                self._ledger.waits_no_more(ref)

    def waiting_for(self, rollout: Ref) -> tuple[Ref, ...]:
        """Who would have room if a rollout were over."""
        with self._lock:
            return self._ledger.waiting_for(rollout) if self._ledger is not None else ()
