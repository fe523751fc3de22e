"""What was in force and what served when, put together again from the log alone. Pure.

The log is append-only and hash-chained, so what it says of a moment does not change afterwards: nothing here looks at
what runs now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from framework.api.meta import Ref
from framework.planning.grammar import reasons
from framework.planning.grammar.kind import Kind, Says, Versions
from framework.ports import Event

_KEPT_WEIGHTS = 1_000
"""Of one trial: far more than a rollout has steps."""


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
class Candidacy(Period):
    """A candidate's time beside the stable version. ``weights`` are (since when, percent of the traffic)."""

    weights: tuple[tuple[datetime, int], ...] = ()

    def weight(self, moment: datetime) -> int:
        """Percent of the traffic that it got at ``moment``."""
        return next((weight for since, weight in reversed(self.weights) if since <= moment), 0)


PeriodT = TypeVar("PeriodT", bound=Period)


@dataclass(frozen=True)
class Life:
    """The versions of one resource, oldest first. Only those that ``serve``, which answer requests, are tried."""

    ref: Ref
    serve: bool = False
    services: tuple[Service, ...] = ()
    trials: tuple[Candidacy, ...] = ()


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


def history(
    events: Iterable[Event],
    kinds: Mapping[str, Kind],
    newest: int | None = None,
    at: tuple[datetime, datetime] | None = None,
) -> History:
    """``events`` oldest first, as the state store gives them; those that change no version are passed over.

    ``newest`` keeps so many of each kind of row, ``at`` what :meth:`History.between` would: however long the log is, no
    more than that is held.
    """
    turns = _Turns(newest, at)
    lives: dict[Ref, _Life] = {}
    for event in events:
        if event.ref is None:
            turns.add(_turn(event))
        elif (kind := kinds.get(event.ref.kind)) is not None and kind.versions is not None:
            if event.ref not in lives:
                lives[event.ref] = _Life(event.ref, kind.versions, newest, at, serve=kind.serving is not None)
            lives[event.ref].add(event)
    found = History(turns.kept(), tuple(lives[ref].life() for ref in sorted(lives)))
    return found if at is None else found.between(*at)


def _turn(event: Event) -> Turn:
    after = event.data.get("after")
    in_force = after if isinstance(after, str) and after else None
    if in_force is None and event.reason in reasons.TAKES_EFFECT:
        in_force = event.commit
    return Turn(event.time, event.commit, event.reason, event.message, event.actor, in_force)


class _Turns:
    def __init__(self, newest: int | None, at: tuple[datetime, datetime] | None) -> None:
        self._at = at
        self._turns: deque[Turn] = deque(maxlen=None if at else newest)

    def add(self, turn: Turn) -> None:
        if self._at is not None and turn.in_force and turn.time <= self._at[0]:
            # What was in force before is no more: it says nothing of the time that is asked about.
            self._turns = deque(item for item in self._turns if item.time >= self._at[0])
        if self._at is None or turn.in_force or turn.time >= self._at[0]:
            self._turns.append(turn)

    def kept(self) -> tuple[Turn, ...]:
        return tuple(self._turns)


class _Life:
    """A life while it is put together. Only the last service and the last trial still change."""

    def __init__(
        self, ref: Ref, versions: Versions, newest: int | None, at: tuple[datetime, datetime] | None, *, serve: bool
    ) -> None:
        self._ref, self._versions, self._serve, self._since = ref, versions, serve, at[0] if at else None
        self._services: deque[Service] = deque(maxlen=None if at else newest)
        self._trials: deque[Candidacy] = deque(maxlen=None if at else newest)
        self._weights: deque[tuple[datetime, int]] = deque(maxlen=_KEPT_WEIGHTS)

    def life(self) -> Life:
        self._weigh()
        return Life(self._ref, self._serve, tuple(self._services), tuple(self._trials))

    def add(self, event: Event) -> None:
        data = event.data
        if event.reason == reasons.DELETED:
            self._end_service(event)
            self._end_trial(event)
        match self._versions.says.get(event.reason):
            case Says.TRIED if self._services and self._services[-1].until is None:
                self._end_trial(event)
                commit = _text(data, "commit") or event.commit
                self._trials.append(Candidacy(self._label(event), _text(data, "app"), commit, event.time))
            case Says.WEIGHED:
                weight = data.get("after")
                if self._trials and self._trials[-1].app == _text(data, "app") and isinstance(weight, int):
                    self._weights.append((event.time, weight))
            case Says.GIVEN_UP:
                self._end_trial(event)
            case Says.COUNTS:
                self._take_over(self._label(event), event)

    def _label(self, event: Event) -> str:
        return self._versions.label(self._ref, event.data)

    def _take_over(self, version: str, event: Event) -> None:
        last = self._services[-1] if self._services and self._services[-1].until is None else None
        app = _text(event.data, "app")
        if last is not None and (last.version, last.app) == (version, app):
            return
        self._end_service(event)
        self._end_trial(event)
        self._services.append(
            Service(
                version=version,
                app=app,
                commit=_text(event.data, "commit") or event.commit,
                since=event.time,
                before=last.version if last else None,
                message=event.message,
            )
        )

    def _end_service(self, event: Event) -> None:
        self._end(self._services, event)

    def _end_trial(self, event: Event) -> None:
        self._weigh()
        self._end(self._trials, event)

    def _end(self, periods: deque[PeriodT], event: Event) -> None:
        """The last period ends with ``event``, if it has not ended before. One that was over before the time that is
        asked about is not kept."""
        if not periods or periods[-1].until is not None:
            return
        if self._since is not None and event.time <= self._since:
            periods.pop()
        else:
            periods[-1] = replace(periods[-1], until=event.time, outcome=event.reason)

    def _weigh(self) -> None:
        if self._trials and self._weights:
            trial = self._trials[-1]
            self._trials[-1] = replace(trial, weights=(*trial.weights, *self._weights)[-_KEPT_WEIGHTS:])
        self._weights.clear()


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
