"""Who builds on whom, and who makes use of what, as the records say: kept, for nobody can read them all each time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from controllers.loop.seen import Seen
from framework.api.meta import Ref
from framework.ports import Record, StateStore


def upstream(record: Record) -> Iterable[Ref]:
    """What it builds on: removal goes in the reverse order."""
    return record.upstream


class Dependents:
    """Kept up to date by whoever reads or saves a record: nobody else writes while the lease is held. What nobody came
    by yet is read once somebody asks. ``needs`` says whom a record depends on."""

    def __init__(self, needs: Callable[[Record], Iterable[Ref]] = upstream) -> None:
        self._needs = needs
        self._lock = threading.Lock()
        self._links = _Links()

    def on(self, ref: Ref, state: StateStore) -> bool:
        """Whether anything else on record depends on ``ref``."""
        with self._lock:
            return self._known(state).on(ref)

    def of(self, ref: Ref, state: StateStore) -> tuple[Ref, ...]:
        """Who depends on ``ref``, sorted; among them everybody of whom nobody knows, because the record cannot be
        read."""
        with self._lock:
            return self._known(state).of(ref)

    def saw(self, ref: Ref, record: Record | None) -> None:
        """``record`` is that of ``ref`` now; None: there is none any more."""
        with self._lock:
            self._links.link(ref, () if record is None else self._needs(record))

    def lost(self, ref: Ref) -> None:
        """The record of ``ref`` cannot be read."""
        with self._lock:
            self._links.lose(ref)

    def doubt(self) -> None:
        """Nobody knows what became of a write: read the records again when it matters."""
        with self._lock:
            self._links = _Links()

    def _known(self, state: StateStore) -> _Links:
        links = self._links
        if links.seen.lacks(state):
            readable = set[Ref]()
            for record in state.scan():
                links.link(record.ref, self._needs(record))
                readable.add(record.ref)
            for ref in state.refs():
                if ref not in readable:
                    links.lose(ref)
        return links


class _Links:
    def __init__(self) -> None:
        self._below: dict[Ref, set[Ref]] = {}
        self._above: dict[Ref, frozenset[Ref]] = {}
        self._unknown: set[Ref] = set()
        self.seen = Seen()

    def on(self, ref: Ref) -> bool:
        return bool(self._below.get(ref, set()) - {ref})

    def of(self, ref: Ref) -> tuple[Ref, ...]:
        return tuple(sorted((self._below.get(ref, set()) | self._unknown) - {ref}))

    def lose(self, ref: Ref) -> None:
        self.link(ref, ())
        self._unknown.add(ref)

    def link(self, ref: Ref, needs: Iterable[Ref]) -> None:
        above = frozenset(needs)
        self.seen.add(ref)
        self._unknown.discard(ref)
        before = self._above.get(ref, frozenset())
        if before == above:
            return
        for left in before - above:
            self._below[left].discard(ref)
        for new in above - before:
            self._below.setdefault(new, set()).add(ref)
        if above:
            self._above[ref] = above
        else:
            self._above.pop(ref, None)
