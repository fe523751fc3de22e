"""Who builds on whom, as the records say: removal goes in the reverse order."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from framework.api.meta import Ref
from framework.ports import StateStore


class Dependents:
    """Read from the records once, when something is to be removed, and kept up to date by whoever reads or saves a
    record: nobody else writes while the lease is held."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._links: _Links | None = None

    def on(self, ref: Ref, state: StateStore) -> bool:
        """Whether anything else on record builds on ``ref``."""
        with self._lock:
            if self._links is None:
                self._links = _Links((record.ref, record.upstream) for record in state.records())
            return self._links.on(ref)

    def saw(self, ref: Ref, upstream: tuple[Ref, ...]) -> None:
        """``ref`` builds on ``upstream`` now; on nothing once it is gone."""
        with self._lock:
            if self._links is not None:
                self._links.link(ref, upstream)

    def doubt(self) -> None:
        """Nobody knows what became of a write: read the records again when it matters."""
        with self._lock:
            self._links = None


class _Links:
    def __init__(self, links: Iterable[tuple[Ref, tuple[Ref, ...]]]) -> None:
        self._below: dict[Ref, set[Ref]] = {}
        self._above: dict[Ref, tuple[Ref, ...]] = {}
        for ref, upstream in links:
            self.link(ref, upstream)

    def on(self, ref: Ref) -> bool:
        return bool(self._below.get(ref, set()) - {ref})

    def link(self, ref: Ref, upstream: tuple[Ref, ...]) -> None:
        if self._above.get(ref, ()) == upstream:
            return
        for above in self._above.pop(ref, ()):
            self._below.get(above, set()).discard(ref)
        for above in upstream:
            self._below.setdefault(above, set()).add(ref)
        if upstream:
            self._above[ref] = upstream
