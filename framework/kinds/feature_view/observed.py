"""What is looked at before a FeatureView is planned, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from framework.api.meta import Ref, Stored
from framework.planning.grammar.instants import DatedElsewhere
from framework.ports import RunState, TableState


class Published(Stored):
    """The version that readers use: the last one that passed its expectations."""

    uri: str
    version: int
    rows: int
    identity: str
    source_digest: str
    commit: str
    at: DatedElsewhere
    entities: tuple[str, ...]
    timestamp: str
    columns: tuple[tuple[str, str], ...]


class FeatureViewState(Stored):
    published: Published | None = None
    run: str | None = None
    """The run that is under way, if one is."""
    stale: bool = False
    """It was said that no row has come for longer than the spec allows."""


@dataclass(frozen=True)
class FeatureViewObserved:
    """``source_problem`` is (reason, message) where the sources cannot be named now; ``upstream`` the published views
    it reads, None for one that is not ready at the identity that git asks for."""

    ref: Ref
    storage: str
    table: TableState | None
    source_digest: str
    run: RunState
    source_problem: tuple[str, str] | None = None
    upstream: Mapping[str, Published | None] = field(default_factory=dict)
