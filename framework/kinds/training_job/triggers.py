"""Whether a trigger asks now to train a model again, though git asks for nothing else. Pure.

A trigger trains nothing itself: it asks for a commit that raises ``dataset.refresh``, and only where a view holds other
rows than the model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from framework.api import layout
from framework.api.cron import next_after
from framework.api.fields import format_duration
from framework.kinds.training_job.asked import Retraining, Triggers, affordable_at, cools_until, spent
from framework.kinds.training_job.build import RENEWS, newer_data, read_of
from framework.kinds.training_job.observed import OpenEpisode, Surroundings
from framework.kinds.training_job.retrain import NewData, Retrain
from framework.kinds.training_job.spec import TrainingJobSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.changes import Desired, NewEvent
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.reports.oversight import stamp
from framework.ports import Json, ModelVersion, ReadTable

CLOCK_WENT_BACK = timedelta(days=1)
"""A time that is dealt with and lies further ahead than this was so by a clock that was wrong: schedules start over."""
COMMIT_TAKES = timedelta(days=1)
"""A commit that is not in force after so long is asked for again: it may be gone."""
LONGEST_WAIT = timedelta(days=1)
"""Until the next look at the latest, whatever is due when."""


@dataclass(frozen=True)
class Outlook:
    """``asks`` is to be asked for now, after which ``state`` holds; ``meanwhile`` holds until that is known. ``words``
    say what comes next, and why nothing was trained last. ``refused``: the spec asks for what cannot be done here."""

    state: Triggers | None
    words: str
    asks: Retraining | None = None
    meanwhile: Triggers | None = None
    events: tuple[NewEvent, ...] = ()
    again: timedelta | None = None
    refused: str = ""


def decide(
    desired: Desired[TrainingJobSpec],
    retrain: Retrain,
    state: Triggers,
    version: ModelVersion,
    told: str,
    seen: Surroundings,
    now: datetime,
) -> Outlook:
    """``version`` is the one that git asks for, ``told`` says in words how good it is."""
    return _Look(desired, retrain, version, told, seen, now).decide(state)


@dataclass(frozen=True)
class _Causes:
    """Triggers that ask now: the time that is ``due``, and what else there is to say of them."""

    due: datetime | None
    drift: Mapping[str, OpenEpisode]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class _Look:
    desired: Desired[TrainingJobSpec]
    retrain: Retrain
    version: ModelVersion
    told: str
    seen: Surroundings
    now: datetime

    # -- what is asked for ----------------------------------------------------------------------------------------

    def decide(self, state: Triggers) -> Outlook:
        events: tuple[NewEvent, ...] = ()
        state = self._anchored(state)
        if state.asking is not None and state.asking.refresh <= state.highest:
            # It was asked for, and whoever did so did not live to tell.
            events = (self._asked_for(state.asking),)
            state = state.after(state.asking, self.retrain)
        if self.retrain.mode == "direct" and self.seen.unwritable:
            why = f"retrain.mode: direct cannot commit: {self.seen.unwritable}"
            return Outlook(state, why, events=events, refused=why)
        if state.asking is not None and not self.seen.pinned:
            return self._ask(state, state.asking)
        causes = self._causes(state)
        if not causes.sentences or self.seen.waits_for or self.seen.pinned:
            return self._rest(state, causes, events)
        if not self.differing:
            return self._nothing_differs(state, causes, events)
        if self._asked_before(state):
            return self._rest(self._dealt_with(state, causes, answered=True), _NONE, events)
        return self._within_bounds(state, causes, events)

    def _asked_before(self, state: Triggers) -> bool:
        """Of these rows a retraining was asked for, whatever became of it: it may be proposed, or was reverted. A
        commit that does not take effect yet is given its time."""
        newest, standing = state.newest, state.standing
        waits = standing is not None and not standing.branch and self.now < standing.at + COMMIT_TAKES
        return newest is not None and (newest.data == self.data or waits)

    def _within_bounds(self, state: Triggers, causes: _Causes, events: tuple[NewEvent, ...]) -> Outlook:
        budget = self.retrain.budget
        if cools_until(self.retrain, state, self.now) is not None:
            return self._rest(state, causes, events)
        until = affordable_at(budget, state, self.now) if budget is not None else None
        if until is None:
            return self._ask(state, self._retraining(state, causes))
        if not state.over_budget:
            message = f"{causes.sentences[0]}; its budget is used up until {stamp(until)}: {self._spent(state)}"
            events = (*events, NewEvent(reasons.RETRAINING_WAITS, message, {"until": until.isoformat()}))
        return self._rest(state.model_copy(update={"over_budget": True}), causes, events)

    def _ask(self, state: Triggers, asks: Retraining) -> Outlook:
        after = state.after(asks, self.retrain)
        return Outlook(
            after,
            self._words(after, _NONE),
            asks,
            meanwhile=state.model_copy(update={"asking": asks}),
            events=(self._asked_for(asks),),
            again=self._again(after, _NONE),
        )

    def _asked_for(self, asks: Retraining) -> NewEvent:
        where = f"proposed on branch {asks.branch}" if asks.branch else "committed"
        data: dict[str, Json] = {"item": item_of(asks, self.desired), "refresh": asks.refresh, "branch": asks.branch}
        return NewEvent(reasons.RETRAINING_ASKED, f"{where}: {RENEWS} {asks.refresh}, because {asks.why}", data)

    def _nothing_differs(self, state: Triggers, causes: _Causes, events: tuple[NewEvent, ...]) -> Outlook:
        """A time that is due is over with it; an episode is told of once, and answered when its data comes."""
        fresh = {name: one for name, one in causes.drift.items() if state.fruitless.get(name) != one.id}
        if causes.due is not None or fresh:
            why = self._due_words(causes.due) if causes.due is not None else _drift_words(*next(iter(fresh.items())))
            message = (
                f"{why}; nothing differs: version {self.version.version} was trained on the rows that its views hold"
            )
            events = (*events, NewEvent(reasons.NOTHING_DIFFERS, message))
            state = state.model_copy(update={"last": f"{why}: nothing differed, so nothing was trained"})
        return self._rest(self._dealt_with(state, causes, answered=False), _NONE, events)

    def _dealt_with(self, state: Triggers, causes: _Causes, *, answered: bool) -> Triggers:
        ids = {name: one.id for name, one in causes.drift.items()}
        kept = "answered" if answered else "fruitless"
        return state.model_copy(
            update={
                "handled": self.now if causes.due is not None else state.handled,
                kept: {**getattr(state, kept), **ids},
            }
        )

    def _rest(self, state: Triggers, causes: _Causes, events: tuple[NewEvent, ...]) -> Outlook:
        return Outlook(state, self._words(state, causes), events=events, again=self._again(state, causes))

    # -- the triggers ---------------------------------------------------------------------------------------------

    def _anchored(self, state: Triggers) -> Triggers:
        """Another schedule has no past, and of monitors only those count that are named."""
        retrain, named = self.retrain, frozenset(self.retrain.onDrift)
        schedule = f"{retrain.schedule} {self._zone}" if retrain.schedule else ""
        handled = state.handled if state.schedule == schedule else None
        if not schedule:
            handled = None
        elif handled is None or handled > self.now + CLOCK_WENT_BACK:
            handled = self.now
        return state.model_copy(
            update={
                "highest": max(state.highest, self.desired.spec.dataset.refresh),
                "schedule": schedule,
                "handled": handled,
                "answered": {name: one for name, one in state.answered.items() if name in named},
                "fruitless": {name: one for name, one in state.fruitless.items() if name in named},
            }
        )

    def _causes(self, state: Triggers) -> _Causes:
        due = self._next(state)
        due = due if due is not None and due <= self.now else None
        drift = {
            name: self.seen.episodes[name]
            for name in self.retrain.onDrift
            if name in self.seen.episodes and state.answered.get(name) != self.seen.episodes[name].id
        }
        sentences = [
            *([self._due_words(due)] if due is not None else []),
            *([f"newer data: {'; '.join(self.evidence)}"] if self._data_asks() else []),
            *(_drift_words(name, one) for name, one in drift.items()),
        ]
        return _Causes(due, drift, tuple(sentences))

    def _data_asks(self) -> bool:
        asked = self.retrain.onNewData
        if not asked or not self.differing:
            return False
        more = self._more_rows(self.desired.spec.dataset.spine)
        return not isinstance(asked, NewData) or more is None or more >= asked.rows

    def _next(self, state: Triggers) -> datetime | None:
        """The first time that is not dealt with."""
        if self.retrain.schedule is None or state.handled is None:
            return None
        return next_after(self.retrain.schedule, state.handled, self._zone)

    @property
    def _zone(self) -> str:
        return self.retrain.timezone or "UTC"

    # -- what differs ---------------------------------------------------------------------------------------------

    @property
    def _holds(self) -> Mapping[str, ReadTable]:
        return read_of(self.desired.spec, self.seen.views)

    @property
    def differing(self) -> tuple[str, ...]:
        return newer_data(self.desired.spec, self.version.read, self.seen.views)

    @property
    def data(self) -> str:
        """Names what the views hold now."""
        return short_hash({name: one.content or [one.uri, one.version] for name, one in self._holds.items()})

    @property
    def evidence(self) -> tuple[str, ...]:
        """``departures: version 3 -> 5, 12,345 rows more``."""
        return tuple(self._moved(name) for name in self.differing)

    def _moved(self, name: str) -> str:
        before, after, more = self.version.read[name], self._holds[name], self._more_rows(name)
        rows = "" if more is None else f", {abs(more):,} rows {'fewer' if more < 0 else 'more'}"
        return f"{name}: version {before.version} -> {after.version}{rows}"

    def _more_rows(self, name: str) -> int | None:
        """How many rows a view has more than when the model was trained; None where nobody knows."""
        before, after = self.version.read.get(name), self._holds.get(name)
        if before is None or after is None or before.rows is None or after.rows is None:
            return None
        return after.rows - before.rows

    # -- words ----------------------------------------------------------------------------------------------------

    def _retraining(self, state: Triggers, causes: _Causes) -> Retraining:
        job, refresh = self.desired.ref.name, state.highest + 1
        seen = layout.seen(self.desired.storage, self.desired.environment)
        reports = [layout.report_file(seen, name) for name in causes.drift]
        lines = [
            f"Retrain {job} on the data of its day",
            "",
            *(f"Trigger: {sentence}" for sentence in causes.sentences),
            *(f"Report: {report}" for report in reports),
            *(f"Differs: {moved}" for moved in self.evidence),
            f"Now: {self.told}",
            f"Environment: {self.desired.environment}",
            "",
            f"{RENEWS} of {self.desired.ref} becomes {refresh}. A revert of this commit goes back to",
            f"version {self.version.version} and trains nothing.",
        ]
        return Retraining(
            refresh=refresh,
            at=self.now,
            data=self.data,
            branch="" if self.retrain.mode == "direct" else f"mlopsctl/retrain/{job}-{refresh}",
            why="; ".join(causes.sentences),
            message="\n".join(lines),
            episodes={name: one.id for name, one in causes.drift.items()},
        )

    def _due_words(self, due: datetime) -> str:
        return f"due {stamp(due)} by schedule ({self.retrain.schedule} {self._zone})"

    def _words(self, state: Triggers, causes: _Causes) -> str:
        return "; ".join(filter(None, self._parts(state, causes)))

    def _parts(self, state: Triggers, causes: _Causes) -> Iterator[str]:
        standing = state.standing
        if standing is not None:
            done = f"proposed on branch {standing.branch}" if standing.branch else "committed"
            yield f"retraining is {done} since {stamp(standing.at)}, because {standing.why}"
        if causes.sentences:
            yield f"retraining waits ({causes.sentences[0]}): {self._why_waiting(state)}"
        following = self._next(state)
        if following is not None and following > self.now:
            yield f"retrains next {stamp(following)} by schedule ({self.retrain.schedule} {self._zone}) if rows differ"
        if isinstance(self.retrain.onNewData, NewData):
            more = self._more_rows(self.desired.spec.dataset.spine)
            so_far = f", {more:,} so far" if more is not None else ""
            spine = self.desired.spec.dataset.spine
            yield f"retrains once {spine} has {self.retrain.onNewData.rows:,} rows more{so_far}"
        elif self.retrain.onNewData:
            yield "retrains on newer data"
        if self.retrain.onDrift:
            yield f"retrains on drift of {', '.join(self.retrain.onDrift)} if rows differ"
        if self.retrain.budget is not None:
            yield self._spent(state)
        yield state.last

    def _why_waiting(self, state: Triggers) -> str:
        if self.seen.pinned:
            return "a rollback is in force until git agrees or it is ended"
        if self.seen.waits_for:
            return f"for {', '.join(self.seen.waits_for)}"
        cooled = cools_until(self.retrain, state, self.now)
        if cooled is not None:
            return f"cooldown until {stamp(cooled)}"
        budget = self.retrain.budget
        until = affordable_at(budget, state, self.now) if budget is not None else None
        return f"its budget is used up until {stamp(until)}" if until is not None else "for the next look"

    def _spent(self, state: Triggers) -> str:
        budget = self.retrain.budget
        assert budget is not None
        counted = spent(budget, state, self.now)
        hours = sum(one.gpu_hours or 0.0 for one in counted)
        parts = [
            *([f"{len(counted)} of {budget.runs} runs"] if budget.runs is not None else []),
            *([f"{round(hours, 2):g} of {budget.gpuHours:g} GPU-hours"] if budget.gpuHours is not None else []),
        ]
        return f"{' and '.join(parts)} used in {format_duration(budget.per)}"

    def _again(self, state: Triggers, causes: _Causes) -> timedelta | None:
        """How soon to look again: at what is due next, or when what holds a trigger back is over."""
        budget = self.retrain.budget
        soon = [
            self._next(state) if not causes.sentences else None,
            cools_until(self.retrain, state, self.now) if causes.sentences else None,
            affordable_at(budget, state, self.now) if budget is not None and causes.sentences else None,
        ]
        waits = [moment - self.now for moment in soon if moment is not None and moment > self.now]
        return min([*waits, LONGEST_WAIT]) if waits else None


_NONE = _Causes(None, {}, ())


def item_of(asks: Retraining, desired: Desired[TrainingJobSpec]) -> str:
    """As an intent names what is touched."""
    return f"retraining:{desired.ref.name}-{asks.refresh}"


def _drift_words(monitor: str, episode: OpenEpisode) -> str:
    return f"ModelMonitor/{monitor} sees drift: {episode.title}"
