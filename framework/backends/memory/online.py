"""An online store in the memory of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence

from framework.api.errors import TransientError
from framework.backends.memory.calls import Calls
from framework.backends.memory.runs import Clock, utc_now
from framework.online.store import STAMP, Batch, FoundRows
from framework.ports import OnlinePlace, OnlineVersion

HERE = OnlinePlace(store="memory://", space="here")


class MemoryOnline:
    """``place`` None: nothing is to be kept online, as beside an environment."""

    def __init__(self, calls: Calls | None = None, place: OnlinePlace | None = HERE, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._calls = Calls() if calls is None else calls
        self._place = place
        self._lock = threading.RLock()
        self._views: dict[str, tuple[OnlineVersion, dict[bytes, bytes]]] = {}

    def place(self) -> OnlinePlace | None:
        return self._place

    def describe(self, view: str) -> OnlineVersion | None:
        with self._lock:
            return self._views[view][0] if view in self._views else None

    def read(self, keys: Mapping[str, Sequence[bytes]]) -> Mapping[str, FoundRows | None]:
        with self._lock:
            return {view: self._found(view, asked) for view, asked in keys.items()}

    def _found(self, view: str, keys: Sequence[bytes]) -> FoundRows | None:
        if view not in self._views:
            return None
        version, rows = self._views[view]
        return FoundRows(version, [rows.get(key) for key in keys])

    def write(
        self, view: str, version: OnlineVersion, batches: Iterable[Batch], onto: OnlineVersion | None = None
    ) -> OnlineVersion:
        before = self.describe(view)
        staged = dict(pair for batch in batches for pair in batch)
        with self._lock:
            there, rows = self._views.get(view, (None, {}))
            if there != (before if onto is None else onto):
                raise TransientError(f"another write of {view} came between: it is not what was to be added to")
            if onto is not None:
                newer = {key: old for key, old in rows.items() if old[:STAMP] > staged.get(key, old)[:STAMP]}
                staged = {**rows, **staged, **newer}
            written = version.model_copy(update={"rows": len(staged), "written": self._clock()})
            self._views[view] = (written, staged)
        return written

    def drop(self, view: str) -> None:
        self._calls.record("online.drop", view)
        self.lose(view)

    def lose(self, view: str) -> None:
        """The rows are gone, and nobody asked for that."""
        with self._lock:
            self._views.pop(view, None)
