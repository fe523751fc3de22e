"""Profiles, alerts and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from framework.ports.data import TableState
from framework.ports.json import Json


@dataclass(frozen=True)
class ColumnSummary:
    """A neutral summary of one column. Numeric: ``edges`` (k+1 bin edges, the outer ones may be
    infinite) with ``counts`` (k). Categorical: ``categories`` -> count."""

    name: str
    count: int
    nulls: int
    edges: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    categories: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """The profile of the training data: whole, and in equal periods (weeks) so that natural movement can be learned."""

    whole: Mapping[str, ColumnSummary]
    periods: tuple[Mapping[str, ColumnSummary], ...]


@dataclass(frozen=True)
class LabelledWindow:
    """Performance of one version over rows whose labels have arrived."""

    app: str
    predictions: int
    labelled: int
    metric: str
    value: float | None
    """None while one class is missing or nothing is labelled."""
    low: float | None = None
    high: float | None = None


class ProfileStore(Protocol):
    """whylogs profiles and prediction logs, as neutral values."""

    def reference(self, profile: str) -> Reference | None: ...

    def window(
        self, folder: str, since: datetime, until: datetime, reference: Reference
    ) -> Mapping[str, ColumnSummary]:
        """Profiles merged over replicas for [since, until), numeric columns on the reference's own bin edges."""
        ...

    def performance(
        self, folder: str, labels: TableState, key: str, column: str, metric: str, since: datetime, until: datetime
    ) -> LabelledWindow: ...


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
    def send(self, alert: Alert, target: Mapping[str, Json]) -> None:
        """Deliver once per (target, episode, state)."""
        ...


class ReportStore(Protocol):
    def write(self, uri: str, html: str) -> None: ...
