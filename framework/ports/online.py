"""Feature rows for serving: of every entity the newest, found by its key."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from framework.api.meta import Stored
from framework.ports.verbs import changes


class OnlinePlace(Stored):
    """Where rows are kept: the URL of a store, and the part of it that is one environment's, so that several may share
    a store."""

    store: str
    space: str


class OnlineVersion(Stored):
    """What a store holds of one view: a version of its table, with what is needed to read and to judge it. Rows are
    found for ``ttl`` seconds after their event time; None: however old. Those that become available only ``delay``
    seconds after it are there with what was known before them. ``rows`` counts keys."""

    uri: str
    version: int
    entities: tuple[str, ...]
    timestamp: str | None = None
    columns: tuple[tuple[str, str], ...]
    available: str | None = None
    ttl: float | None = None
    delay: float | None = None
    rows: int = 0
    written: datetime | None = None

    def same(self, other: OnlineVersion | None) -> bool:
        """Whether both hold the same rows by the same rules, whenever they were written."""
        return other is not None and self._content == other._content

    @property
    def _content(self) -> OnlineVersion:
        return self.model_copy(update={"rows": 0, "written": None})


class OnlineCatalog(Protocol):
    """What the control plane asks of an online store; its rows are written and read by runs and replicas."""

    def place(self) -> OnlinePlace | None:
        """Where runs and replicas find it; None where nothing is to be kept online."""
        ...

    def describe(self, view: str) -> OnlineVersion | None:
        """What is found now; None where nothing is. Raises TransientError while the store does not answer."""
        ...

    @changes
    def drop(self, view: str) -> None:
        """Forget every row of a view; one that is not there is fine. Raises TransientError likewise."""
        ...
