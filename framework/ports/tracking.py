"""Where people look at models beside mlopsctl: a tracking server that repeats what the registry says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pydantic import Field

from framework.api.meta import Stored
from framework.ports.heartbeat import Outage
from framework.ports.verbs import changes


@dataclass(frozen=True)
class TrackedVersion:
    """One model version as it is repeated elsewhere. ``files`` are bytes by name."""

    training: str
    version: str
    commit: str
    created: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.training}@{self.version}"


class MirrorMark(Stored):
    """How far a mirror has come, so that what is there is not sent again. Whoever loses it only asks more often."""

    address: str
    """Of the mirror that this is about; at another address everything is sent."""
    versions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Those that are there, by training job."""
    aliases: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Versions by alias, by training job; an empty one where nobody knows what the alias stands for."""
    outage: Outage | None = None
    """Since when it lags behind, and why."""


class TrackingMirror(Protocol):
    """Repeats what it is told for one environment. It is never asked for anything, and nothing waits for it.

    Both verbs raise TransientError while it does not answer or cannot be used: everything may have been written then,
    or a part, and saying it again completes that and doubles nothing.
    """

    @changes
    def put(self, version: TrackedVersion) -> None:
        """A run and a model version with all that is known of it, unless it is there. Raises TerminalError where the
        mirror cannot hold it."""
        ...

    @changes
    def name(self, training: str, aliases: Mapping[str, str | None]) -> None:
        """Let each alias stand for that version, or for none. An alias that the mirror cannot hold, and one of a
        version that is not there, is left out."""
        ...
