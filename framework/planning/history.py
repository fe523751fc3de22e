"""What was in force and what served when, put together again from the log alone. Pure.

The log is append-only and hash-chained, so what it says of a moment does not change afterwards: nothing here looks at
what runs now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from framework.api.meta import Ref
from framework.ports import Event

KINDS = ("FeatureView", "TrainingJob", "ModelDeployment")
"""What has versions that take over from one another: tables, models, and the models in service."""


@dataclass(frozen=True)
class Turn:
    """Something that happened to the environment as a whole. ``commit`` is the one that it was about; ``in_force`` the
    one in force from then on, None where nothing changed about that (a refused commit)."""

    time: datetime
    commit: str
    reason: str
    message: str
    actor: str
    in_force: str | None = None


@dataclass(frozen=True)
class Period:
    """The time of one version. ``outcome`` is the reason that ended it, empty while it goes on. ``app`` is a
    deployment's; empty for models and tables."""

    version: str
    app: str
    commit: str
    since: datetime
    until: datetime | None = None
    outcome: str = ""


@dataclass(frozen=True)
class Service(Period):
    """A version's time as the one that counts: a deployment's stable model, a job's model, a view's table.

    ``before`` is the version that it took over from, None for the first."""

    before: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Trial(Period):
    """A candidate's time beside the stable version. ``weights`` are (since when, percent of the traffic)."""

    weights: tuple[tuple[datetime, int], ...] = ()

    def weight(self, moment: datetime) -> int:
        """Percent of the traffic that it got at ``moment``."""
        return next((weight for since, weight in reversed(self.weights) if since <= moment), 0)


PeriodT = TypeVar("PeriodT", bound=Period)


@dataclass(frozen=True)
class Life:
    """The versions of one resource, oldest first. Only deployments have trials."""

    ref: Ref
    services: tuple[Service, ...] = ()
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class History:
    """``turns`` oldest first, ``lives`` by name."""

    turns: tuple[Turn, ...]
    lives: tuple[Life, ...]

    def in_force(self, moment: datetime) -> Turn | None:
        """The turn that put the commit in force that was in force at ``moment``."""
        return next((turn for turn in reversed(self.turns) if turn.in_force and turn.time <= moment), None)

    def between(self, since: datetime, until: datetime) -> History:
        """What was the case at any time from ``since`` until just before ``until``, or, where they are equal, at that
        moment. Of the turns, the one in force at the start and those that came after it."""
        first = self.in_force(since)
        turns = tuple(
            turn for turn in self.turns if turn is first or (turn.time >= since and _starts(turn.time, since, until))
        )
        lives = tuple(
            replace(
                life,
                services=tuple(one for one in life.services if _overlaps(one.since, one.until, since, until)),
                trials=tuple(one for one in life.trials if _overlaps(one.since, one.until, since, until)),
            )
            for life in self.lives
        )
        return History(turns, lives)


def _starts(start: datetime, since: datetime, until: datetime) -> bool:
    return start < until or start <= since == until


def _overlaps(start: datetime, end: datetime | None, since: datetime, until: datetime) -> bool:
    """Whether [start, end) has a moment in common with [since, until), or holds the moment where both are one."""
    return _starts(start, since, until) and (end is None or end > since)


def history(events: Iterable[Event]) -> History:
    """``events`` oldest first, as the state store gives them; those that change no version are passed over."""
    turns: list[Turn] = []
    lives: dict[Ref, Life] = {}
    for event in events:
        if event.ref is None:
            turns.append(_turn(event))
        elif event.ref.kind in KINDS:
            lives[event.ref] = _next(lives.get(event.ref, Life(event.ref)), event)
    return History(tuple(turns), tuple(lives[ref] for ref in sorted(lives)))


_TAKES_EFFECT = frozenset({"RevisionAccepted", "PinInForce"})
"""Reasons after which the commit of the event is in force."""


def _turn(event: Event) -> Turn:
    after = event.data.get("after")
    in_force = after if isinstance(after, str) and after else None
    if in_force is None and event.reason in _TAKES_EFFECT:
        in_force = event.commit
    return Turn(event.time, event.commit, event.reason, event.message, event.actor, in_force)


def _next(life: Life, event: Event) -> Life:
    data = event.data
    match event.reason:
        case "RolloutStarted" if life.services and life.services[-1].until is None:
            trial = Trial(_text(data, "version"), _text(data, "app"), _text(data, "commit") or event.commit, event.time)
            return replace(life, trials=(*_ended(life.trials, event), trial))
        case "WeightChanged":
            return _weighed(life, _text(data, "app"), event.time, data.get("after"))
        case "CandidateRejected" | "Superseded" | "Withdrawn":
            return replace(life, trials=_ended(life.trials, event))
        case "Promoted":
            return _taken_over(life, _text(data, "version"), event)
        case "ModelReady":
            return _taken_over(life, f"{life.ref.name}@{_text(data, 'version')}", event)
        case "Published":
            table = f"{life.ref.name}@{_text(data, 'uri').rpartition('/')[2]} v{data.get('version')}"
            return _taken_over(life, table, event)
        case "Deleted":
            return replace(life, services=_ended(life.services, event), trials=_ended(life.trials, event))
        case _:
            return life


def _taken_over(life: Life, version: str, event: Event) -> Life:
    last = life.services[-1] if life.services and life.services[-1].until is None else None
    if last is not None and last.version == version and last.app == _text(event.data, "app"):
        return life
    service = Service(
        version=version,
        app=_text(event.data, "app"),
        commit=_text(event.data, "commit") or event.commit,
        since=event.time,
        before=last.version if last else None,
        message=event.message,
    )
    return replace(life, services=(*_ended(life.services, event), service), trials=_ended(life.trials, event))


def _weighed(life: Life, app: str, time: datetime, weight: Any) -> Life:
    if not life.trials or life.trials[-1].app != app or not isinstance(weight, int):
        return life
    trial = life.trials[-1]
    return replace(life, trials=(*life.trials[:-1], replace(trial, weights=(*trial.weights, (time, weight)))))


def _ended(periods: tuple[PeriodT, ...], event: Event) -> tuple[PeriodT, ...]:
    """The last period ends with ``event``, if it has not ended before."""
    if not periods or periods[-1].until is not None:
        return periods
    return (*periods[:-1], replace(periods[-1], until=event.time, outcome=event.reason))


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
