"""What a run is asked to do: written by the kind that asks, read by the workload that runs."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from framework.api.meta import Stored
from framework.ports.data import ReadTable
from framework.ports.online import OnlinePlace, OnlineVersion
from framework.ports.sources import SourceFile


class Cause(StrEnum):
    """Why something is built. It is told beside a build and is no part of its name."""

    GIT = "git"
    """Git asks for something that there is not."""
    DATA = "data"
    """What it is made of has changed."""


class Request(Stored):
    """What every run is asked: which build it is to make, and why."""

    build: str
    cause: Cause = Cause.GIT


class OnlineTarget(Stored):
    """Where the newest rows of a view go, and by which rules they are found there: see ``OnlineVersion``."""

    place: OnlinePlace
    ttl: float | None = None
    delay: float | None = None


class ReadView(ReadTable):
    """A version of a FeatureView to learn from, with what its columns mean."""

    entities: tuple[str, ...]
    timestamp: str | None = None
    columns: tuple[tuple[str, str], ...]
    available: str | None = None

    @property
    def named_by(self) -> tuple[str, ...]:
        """What names a row: event time, if there is one, and entities."""
        return (*([self.timestamp] if self.timestamp else []), *self.entities)


class OnlineRequest(Request):
    """Bring a published version of a view online, unless it is there, and compare what is there with it."""

    view: str
    table: ReadView
    target: OnlineTarget

    @property
    def version(self) -> OnlineVersion:
        """What the store is to describe then."""
        return online_version(self.table, self.target)


def online_version(table: ReadView, target: OnlineTarget) -> OnlineVersion:
    """A version of a table as a store describes it that keeps its rows by the rules of ``target``."""
    return OnlineVersion(
        uri=table.uri,
        version=table.version,
        entities=table.entities,
        timestamp=table.timestamp,
        columns=table.columns,
        available=table.available,
        ttl=target.ttl,
        delay=target.delay,
    )


MEANING = ("entities", "timestamp", "columns", "available")
"""Of the fields of a ReadView those that say what its columns mean; a version keeps them beside what was read."""


class MaterializeRequest(Request):
    """A version of a FeatureView. ``spec`` is a FeatureViewSpec as JSON by alias; ``upstream`` the versions to read, by
    view, and ``files`` those to read, by source: these and no others. ``source_digest`` names all of them,
    ``committed`` those of which the commit says what they hold. ``table`` is where it is published; ``previous`` what
    readers have now, with which expectations compare; ``online`` where its rows go besides."""

    view: str
    identity: str
    table: str
    root: str
    spec: dict[str, Any]
    source_digest: str
    commit: str
    build: str = ""
    upstream: dict[str, ReadTable] = {}  # noqa: RUF012 (pydantic copies it)
    previous: ReadView | None = None
    online: OnlineTarget | None = None
    files: dict[str, tuple[SourceFile, ...]] = {}  # noqa: RUF012
    committed: str = ""


class TrainRequest(Request):
    """A version of a model. ``spec`` is a TrainingJobSpec as JSON by alias; ``champion`` the fields of the live version
    that it takes to ask it the same rows, where a gate compares with it: those of its file, ``deployment``, and
    ``own``, None or {dataset, views} that it was trained on; ``live_task`` what it learned, empty where
    nothing is live; ``description`` what the model is for, in the words of its spec; ``compare``: say how sure the
    difference to the champion is also where no gate asks."""

    training: str
    identity: str
    spec: dict[str, Any]
    views: dict[str, ReadView]
    model_folder: str
    commit: str
    seed: int
    champion: Mapping[str, Any] | None = None
    live_task: str = ""
    description: str = ""
    compare: bool = False
