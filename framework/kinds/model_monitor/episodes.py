"""When an alert is sent: once when something begins, once when it is over. Pure.

Drift, performance and quality are separate subjects with separate episodes. None of them begins or ends another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from framework.kinds.model_monitor.observed import Episode
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import NewEvent
from framework.planning.reports.oversight import stamp
from framework.ports import Alert, Json

FIRING = "firing"
RESOLVED = "resolved"


@dataclass(frozen=True)
class Sighting:
    """What one look says about a subject: ``wrong`` None where it cannot tell, which begins and ends nothing."""

    wrong: bool | None
    title: str
    evidence: Mapping[str, Json]


@dataclass(frozen=True)
class Told:
    episodes: dict[str, Episode]
    alerts: tuple[Alert, ...]
    events: tuple[NewEvent, ...]


BEGAN = {
    "performance": reasons.PERFORMANCE_DEGRADED,
    "quality": reasons.QUALITY_VIOLATED,
    "drift": reasons.DRIFT_DETECTED,
}
"""By subject, what hurts most first."""
_OVER = {
    "performance": reasons.PERFORMANCE_RECOVERED,
    "quality": reasons.QUALITY_RESTORED,
    "drift": reasons.DRIFT_OVER,
}


def tell(
    monitor: str, open_: Mapping[str, Episode], sightings: Mapping[str, Sighting], report: str, at: datetime
) -> Told:
    """The episodes after these sightings, and the alerts that begin or end one.

    ``at`` is the end of the judged window: a pass that is repeated after a crash names the same episodes.
    """
    episodes, alerts, events = dict(open_), list[Alert](), list[NewEvent]()
    for subject, seen in sightings.items():
        episode = episodes.get(subject)
        if seen.wrong and episode is None:
            begun = Episode(id=f"{monitor}-{subject}-{at:%Y%m%dT%H%M%SZ}", since=at, title=seen.title)
            episodes[subject] = begun
            alerts.append(Alert(monitor, begun.id, FIRING, seen.title, seen.evidence, report, at))
            events.append(NewEvent(BEGAN[subject], seen.title, seen.evidence))
        elif seen.wrong is False and episode is not None:
            del episodes[subject]
            alerts.append(_resolved(monitor, subject, episode, seen.title, seen.evidence, report, at))
            events.append(NewEvent(_OVER[subject], seen.title, {"episode": episode.id}))
    return Told(episodes, tuple(alerts), tuple(events))


def open_words(open_: Mapping[str, Episode]) -> list[str]:
    """``drift since 2026-11-20 15:46 UTC`` for each: a window that cannot tell does not make them go away."""
    return [f"{subject} since {stamp(episode.since)}" for subject, episode in open_.items()]


def close(monitor: str, open_: Mapping[str, Episode], why: str, report: str, at: datetime) -> Told:
    """End every open episode, because what it was about is gone."""
    pairs = list(_closing(monitor, open_, why, report, at))
    return Told({}, tuple(alert for alert, _ in pairs), tuple(new for _, new in pairs))


def _closing(
    monitor: str, open_: Mapping[str, Episode], why: str, report: str, at: datetime
) -> Iterator[tuple[Alert, NewEvent]]:
    for subject, episode in open_.items():
        alert = _resolved(monitor, subject, episode, why, {}, report, at)
        yield alert, NewEvent(_OVER[subject], alert.title, {"episode": episode.id})


def _resolved(
    monitor: str,
    subject: str,
    episode: Episode,
    title: str,
    evidence: Mapping[str, Json],
    report: str,
    at: datetime,
) -> Alert:
    since = {"since": episode.since.isoformat(), "began_with": episode.title}
    return Alert(monitor, episode.id, RESOLVED, f"{subject}: {title}", {**evidence, **since}, report, at)
