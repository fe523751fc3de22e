"""Of whom something is known because a look came by: what is kept of records need not be read from all of them."""

from __future__ import annotations

from framework.api.meta import Ref
from framework.ports import StateStore


class Seen:
    """``lacks`` asks the store until it once has nothing else: nobody else writes while the lease is held."""

    def __init__(self) -> None:
        self._refs: set[Ref] = set()
        self._whole = False

    def add(self, ref: Ref) -> None:
        self._refs.add(ref)

    def lacks(self, state: StateStore) -> bool:
        """Whether something is on record that nobody came by."""
        self._whole = self._whole or self._refs.issuperset(state.refs())
        return not self._whole
