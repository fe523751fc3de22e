"""Who builds on whom, as the records say: removal goes in the reverse order."""

from __future__ import annotations

import threading

from framework.api.meta import Ref
from framework.ports import StateStore


class Dependents:
    """Read from the records once, when something is to be removed, and kept up to date by whoever saves a record:
    nobody else writes while the lease is held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._below: dict[Ref, set[Ref]] | None = None
        self._above: dict[Ref, tuple[Ref, ...]] = {}

    def on(self, ref: Ref, state: StateStore) -> bool:
        """Whether anything else on record builds on ``ref``."""
        with self._lock:
            if self._below is None:
                self._below = {}
                for record in state.records():
                    self._link(record.ref, record.upstream)
            return bool(self._below.get(ref, set()) - {ref})

    def saw(self, ref: Ref, upstream: tuple[Ref, ...]) -> None:
        """``ref`` builds on ``upstream`` now; on nothing once it is gone."""
        with self._lock:
            if self._below is not None:
                self._link(ref, upstream)

    def _link(self, ref: Ref, upstream: tuple[Ref, ...]) -> None:
        assert self._below is not None
        for above in self._above.pop(ref, ()):
            self._below.get(above, set()).discard(ref)
        for above in upstream:
            self._below.setdefault(above, set()).add(ref)
        if upstream:
            self._above[ref] = upstream
