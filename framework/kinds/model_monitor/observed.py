"""What is looked at before a ModelMonitor is planned, what is remembered of it, and which window is due."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from framework.api.meta import Ref, Stored
from framework.drift.performance import PerformanceVerdict
from framework.drift.quality import QualityFinding
from framework.drift.verdict import DriftVerdict
from framework.ports import ColumnSummary, LabelledWindow, ModelVersion, ReferenceProfile

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Episode(Stored):
    """Something is wrong, from ``since`` on. ``id`` dedups its alerts."""

    id: str
    since: datetime
    title: str


class JudgedWindow(Stored):
    """One judged window, as short as the history needs it."""

    until: datetime
    rows: int
    judged: int
    drifted: int
    value: float | None = None
    """Of the performance metric, between ``low`` and ``high``, on ``labelled`` rows."""
    low: float | None = None
    high: float | None = None
    labelled: int = 0


class Judging(Stored):
    """A window whose findings are being told. Until all of them were, it is judged again, whatever time it is."""

    app: str
    until: datetime


class MonitorState(Stored):
    app: str = ""
    """The app that the rest of the state is about; another one starts afresh."""
    judged_until: datetime | None = None
    """End of the newest window that was judged."""
    blind: str = ""
    """Why drift, which the spec asks for, cannot be judged for this version at all."""
    drift: DriftVerdict | None = None
    performance: PerformanceVerdict | None = None
    quality: tuple[QualityFinding, ...] = ()
    remarks: tuple[str, ...] = ()
    """What could not be judged in the newest window, or was left out of it."""
    history: tuple[JudgedWindow, ...] = ()
    episodes: dict[str, Episode] = {}  # noqa: RUF012 (pydantic copies it)
    """Open ones by subject: drift, performance, quality."""
    judging: Judging | None = None


@dataclass(frozen=True)
class ObservedWindow:
    """Profiles of the rows in [since, until), merged over replicas, but for the files ``damaged``."""

    since: datetime
    until: datetime
    columns: Mapping[str, ColumnSummary]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class MonitorObserved:
    """``live`` is the deployment's stable version, ``app`` its app, ``live_since`` when it took over; None and empty
    while nothing serves. ``reference``, ``window`` and ``performance`` are read only for a window that is due (see
    ``due``). ``damage``: why the training profile, which is there, could not be read."""

    ref: Ref
    live: ModelVersion | None = None
    app: str = ""
    live_since: datetime | None = None
    reference: ReferenceProfile | None = None
    window: ObservedWindow | None = None
    performance: LabelledWindow | None = None
    flush: timedelta = timedelta(seconds=10)
    """How long a replica may keep rows before it writes their profile."""
    damage: str = ""


def window_end(length: timedelta, flush: timedelta, now: datetime) -> datetime:
    """End of the newest window whose profiles have all been written. Windows follow each other from the epoch on, so
    that the same moment falls into the same window whoever asks."""
    return EPOCH + (now - flush - EPOCH) // length * length


def due(
    length: timedelta, state: MonitorState, app: str, live_since: datetime, flush: timedelta, now: datetime
) -> tuple[datetime, datetime] | None:
    """The window [since, until) to judge now; None where it was judged already or ended before ``app`` took over."""
    if state.judging is not None and state.judging.app == app:
        return state.judging.until - length, state.judging.until
    until = window_end(length, flush, now)
    judged = state.judged_until if state.app == app else None
    if until <= live_since or (judged is not None and until <= judged):
        return None
    return until - length, until


def performance_since(length: timedelta | None, live_since: datetime, until: datetime) -> datetime:
    """Predictions from here on are judged: those of the last ``length``, or all since the version took over."""
    return live_since if length is None else max(live_since, until - length)
