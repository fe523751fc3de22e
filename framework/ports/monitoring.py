"""Profiles, alerts and reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from framework.ports.data import TableState
from framework.ports.json import Json
from framework.ports.verbs import changes

ITEM_CHARACTERS = 128
"""A category is named by at most so many of its first characters, as whylogs does."""


@dataclass(frozen=True)
class ColumnSummary:
    """A neutral summary of one column over ``count`` rows, of which ``nulls`` are missing (NaN is).

    Numeric: ``edges`` (k+1 bin edges, the outer ones may be infinite) with ``counts`` (k). Categorical: ``categories``
    -> count, at least; where they are too many to name, they add up to fewer than there are values."""

    name: str
    count: int
    nulls: int
    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    categories: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ReferenceProfile:
    """The profile of the training data: whole, and in equal periods (weeks) so that natural movement can be learned.
    ``damaged`` names files of periods that could not be read."""

    whole: Mapping[str, ColumnSummary]
    periods: tuple[Mapping[str, ColumnSummary], ...]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ProfileWindow(Mapping[str, ColumnSummary]):
    """Columns by name, equal to any other mapping with the same. ``damaged`` names files whose rows are not in it."""

    columns: Mapping[str, ColumnSummary]
    damaged: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ColumnSummary:
        return self.columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)


@dataclass(frozen=True)
class Unusable:
    """So many labels that arrived, or predictions, that nothing can be measured by, and one of them."""

    why: str
    count: int
    example: str


@dataclass(frozen=True)
class LabelledWindow:
    """Performance of one version over rows whose labels have arrived."""

    app: str
    predictions: int
    labelled: int
    metric: str
    value: float | None
    """None while one class is missing, or nothing is labelled."""
    low: float | None = None
    high: float | None = None
    classes: Mapping[str, int] = field(default_factory=dict)
    """Labelled rows by class, as the label table writes it."""
    keyless: int = 0
    """Of the predictions: without a key, so that no label will ever be theirs."""
    unusable: tuple[Unusable, ...] = ()
    """Not among ``labelled``."""
    apart: tuple[str, str] | None = None
    """A logged key and one of the label table, where none meets."""
    damaged: tuple[str, ...] = ()
    """Files of the prediction log that could not be read."""
    problem: str = ""
    """Why nothing could be measured at all."""


@dataclass(frozen=True)
class LabelTable:
    """Where true outcomes arrive: rows of ``table`` with the same ``key`` as a prediction, whose label is in
    ``column``."""

    table: TableState
    key: str
    column: str


class ProfileStore(Protocol):
    """whylogs profiles and prediction logs, as neutral values. Each verb raises TransientError while the storage does
    not answer; a damaged file of a window is left out and named in what is found."""

    def reference(self, profile: str) -> ReferenceProfile | None:
        """The training profile in the folder ``profile``; None where there is none. Raises TerminalError
        ("ProfileDamaged") where it cannot be read."""
        ...

    def window(self, folder: str, since: datetime, until: datetime, reference: ReferenceProfile) -> ProfileWindow:
        """Profiles merged over replicas for [since, until), numeric columns on the reference's own bin edges; empty
        where there are none."""
        ...

    def performance(
        self, folder: str, labels: LabelTable, metric: str, output: Mapping[str, Json], since: datetime, until: datetime
    ) -> LabelledWindow:
        """How well the predictions logged in ``folder`` in [since, until) agree with the labels that have arrived.
        ``output`` is that of the signature of the model that made them. Nothing logged is a window without predictions.

        Raises TerminalError: "UnknownMetric", "ColumnMissing", "LabelsUnreadable".
        """
        ...


@dataclass(frozen=True)
class Alert:
    """``episode`` dedups: one alert when it begins, one when it is over."""

    monitor: str
    episode: str
    state: str
    title: str
    evidence: Mapping[str, Json]
    report: str
    time: datetime


class Notifier(Protocol):
    """Where alerts go."""

    @changes
    def send(self, alert: Alert, target: Mapping[str, Json]) -> None:
        """Deliver once per (target, episode, state). Raises TransientError where the target is out of reach now, and
        TerminalError where it is wrong, its secret is missing, or it refuses the alert."""
        ...


class ReportStore(Protocol):
    """Pages for people."""

    @changes
    def write(self, uri: str, html: str) -> None:
        """Publish the page in place of the one before, whole or not at all. Raises TransientError where the storage
        cannot be written now, ConfigurationError where nothing is installed that could."""
        ...
