"""Whether the rows of a view are found while serving, and what to do until they are. Pure.

What is online is described by the store itself and compared with what is published at each look. So it does not matter
how they came apart: a run that was killed between the two, a store that was down, emptied, or is another one now.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.meta import Stored
from framework.kinds.feature_view.materialization import Online
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action, DropOnline, StopRun, SubmitRun
from framework.planning.grammar.changes import Desired, NewEvent
from framework.planning.grammar.fingerprint import short_hash
from framework.planning.grammar.instants import DatedElsewhere
from framework.planning.plan import runs
from framework.ports import (
    FailureKind,
    OnlinePlace,
    OnlineRequest,
    OnlineTarget,
    OnlineVersion,
    ReadView,
    RunPhase,
    RunState,
    online_version,
)

WORKLOAD = "framework.workloads.online.sync:run"
CHECKED_EVERY = timedelta(hours=1)
"""How often what is online is compared with the table."""
RETRY = timedelta(seconds=30)
"""How long after a write that failed, or a look that the store did not answer, it is tried again."""
_CHECKING = timedelta(seconds=2)
"""How soon to look again at a run of which nothing but a comparison is awaited."""
_ACTIVE = (RunPhase.PENDING, RunPhase.RUNNING)


class OnlineState(Stored):
    """What was last known to be online: the ``version`` of the table at ``uri``, with so many ``rows``. ``checked`` is
    when some were last compared with the table; ``differing`` of ``sampled`` keys were found to be otherwise then, and
    ``left`` after all was written anew. ``looked`` is when that was last asked for, or it was first seen to be there:
    of these times the only one by our own clock."""

    place: OnlinePlace
    uri: str
    version: int
    rows: int
    written: DatedElsewhere
    looked: datetime
    checked: DatedElsewhere | None = None
    sampled: int = 0
    differing: int = 0
    left: int = 0


@dataclass(frozen=True)
class OnlineObserved:
    """``held`` is what the store describes, ``problem`` (may it pass?, message) why it could not be asked; ``run`` the
    newest attempt of the run that brings the published version online. ``place`` None: nothing is kept online here."""

    place: OnlinePlace | None = None
    held: OnlineVersion | None = None
    problem: tuple[bool, str] | None = None
    run: RunState = field(default_factory=lambda: RunState(RunPhase.ABSENT))


@dataclass(frozen=True)
class OnlineStep:
    """What is to be done about it now, and what is told. ``stalled``: nothing is tried before something changes. Where
    ``message`` is empty all is as it should be."""

    state: OnlineState | None = None
    message: str = ""
    reason: reasons.Reason = reasons.ONLINE_BEHIND
    stalled: bool = False
    actions: tuple[Action, ...] = ()
    events: tuple[NewEvent, ...] = ()
    look: timedelta | None = None
    run: str | None = None
    """That writes it."""


def target(online: Online, place: OnlinePlace | None) -> OnlineTarget | None:
    """Where the rows go; None where they are not to be online."""
    if not online.enabled or place is None:
        return None
    ttl, delay = online.ttl, online.delay
    return OnlineTarget(
        place=place,
        ttl=None if ttl is None else ttl.total_seconds(),
        delay=None if delay is None else delay.total_seconds(),
    )


def run_name(view: str, table: ReadView, asked: OnlineTarget) -> str:
    """One run per version, store and rules: its attempts write it and look it through."""
    content = [
        asked.model_dump(mode="json"),
        table.uri,
        table.version,
        [list(column) for column in table.columns],
        list(table.named_by),
        table.available,
    ]
    return f"online-{view}-{short_hash(content)}"


@dataclass(frozen=True)
class Bringing:
    """A published version of a view on its way online. ``publishing`` is the run that published it, which writes it
    online at its end; ``known`` what was online at the look before, and ``running`` the run that was at it then."""

    desired: Desired[Any]
    table: ReadView
    build: str
    asked: OnlineTarget | None
    observed: OnlineObserved
    publishing: RunState
    known: OnlineState | None
    running: str | None
    now: datetime

    def step(self) -> OnlineStep:
        """A run for another version or other rules is ended: it would put back what it was begun for."""
        step = self._step()
        if self.running is None or (self.asked is not None and self.running == self._run):
            return step
        stop = StopRun(self.desired.storage, self.running)
        return replace(
            step, message=step.message or "ends what brought another version online", actions=(stop, *step.actions),
            look=runs.POLL,
        )  # fmt: skip

    def _step(self) -> OnlineStep:
        view, observed = self.desired.ref.name, self.observed
        if observed.place is None:
            return OnlineStep()
        if self.asked is None:
            return self._dropped()
        if observed.problem is not None:
            passes, told = observed.problem
            return OnlineStep(
                self.known, f"whether {view} is online cannot be told: {told}", stalled=not passes, look=RETRY
            )
        version = online_version(self.table, self.asked)
        if self.publishing.phase in _ACTIVE and not version.same(observed.held):
            return self._waits("it is written with the table", None)
        return self._current(observed.held) if version.same(observed.held) and observed.held else self._behind()

    def _dropped(self) -> OnlineStep:
        held, problem = self.observed.held, self.observed.problem
        if problem is not None and self.known is not None:
            return OnlineStep(self.known, f"its rows are still online: {problem[1]}", look=RETRY)
        if held is None:
            told = NewEvent(reasons.ONLINE_DROPPED, "its rows are not online any more")
            return OnlineStep(events=(told,) if self.known is not None else ())
        message = "is not to be online any more"
        drop = DropOnline(self.desired.ref.name)
        return OnlineStep(self.known or self._state(held), message, actions=(drop,), look=timedelta(0))

    def _current(self, held: OnlineVersion) -> OnlineStep:
        """It is there. What the run found that compared it last is taken down; where that is long ago it is compared
        again."""
        assert self.asked is not None
        state = self._state(held)
        events = self._told(state)
        run = self.observed.run
        if run.phase in _ACTIVE:
            return OnlineStep(state, events=events, look=_CHECKING, run=self._run)
        due = CHECKED_EVERY - abs(self.now - state.looked)
        if due <= timedelta(0):
            state = state.model_copy(update={"looked": self.now})
            return OnlineStep(state, events=events, actions=(self._submit(),), look=_CHECKING, run=self._run)
        if state.left:
            told = f"{state.left:,} of {state.sampled:,} rows that were compared are otherwise online than in version"
            return OnlineStep(
                state, f"{told} {held.version}", reasons.ONLINE_DIFFERS, stalled=True, events=events, look=due
            )  # fmt: skip
        return OnlineStep(state, events=events, look=due)

    def _behind(self) -> OnlineStep:
        run, now = self.observed.run, self.now
        message = f"version {self.table.version} is not online yet{self._meanwhile}"
        if run.phase in _ACTIVE:
            return self._waits(run.message or run.phase.lower(), self._run)
        if run.phase is RunPhase.FAILED and run.failure is FailureKind.USER:
            return OnlineStep(self.known, f"{message}: {run.message}", stalled=True)
        if run.finished is not None and abs(now - run.finished) < RETRY:
            due = RETRY - abs(now - run.finished)
            why = f": {run.message}" if run.message else ""
            return OnlineStep(self.known, f"{message}{why}; it is tried again at {now + due:%H:%M:%S}", look=due)
        submitted = self._submit()
        return OnlineStep(
            self.known, message, actions=(submitted,), events=(runs.started(submitted.run),), look=runs.POLL,
            run=self._run,
        )  # fmt: skip

    def _waits(self, how: str, run: str | None) -> OnlineStep:
        message = f"version {self.table.version} is not online yet{self._meanwhile}: {how}"
        return OnlineStep(self.known, message, look=runs.POLL, run=run)

    @property
    def _meanwhile(self) -> str:
        held = self.observed.held
        return "" if held is None else f", and version {held.version} is"

    @property
    def _run(self) -> str:
        assert self.asked is not None
        return run_name(self.desired.ref.name, self.table, self.asked)

    def _submit(self) -> SubmitRun:
        assert self.asked is not None
        asked = OnlineRequest(
            build=self.build, view=self.desired.ref.name, table=self.table, target=self.asked
        )  # fmt: skip
        return SubmitRun(runs.request(self.desired, self._run, self.observed.run.attempt + 1, WORKLOAD, asked))

    def _state(self, held: OnlineVersion) -> OnlineState:
        """With what the newest run found that has compared it."""
        assert self.observed.place is not None
        state = OnlineState(
            place=self.observed.place,
            uri=held.uri,
            version=held.version,
            rows=held.rows,
            written=held.written or self.now,
            looked=self.now,
        )
        if self.known is not None and self.known.written == state.written:
            state = state.model_copy(update={"looked": self.known.looked})
        found, at = self._found
        if found:
            told = {"checked": at, "sampled": found["checked"], "differing": found["differing"], "left": found["left"]}
            return state.model_copy(update=told)
        if self.known is None or self.known.written != state.written:
            return state
        return state.model_copy(update=self.known.model_dump(include={"checked", "sampled", "differing", "left"}))

    @property
    def _found(self) -> tuple[Mapping[str, Any], datetime | None]:
        """What the newest run that compared this version found, and when; nothing where none did."""
        looked = [
            (found, run.finished)
            for run in (self.observed.run, self.publishing)
            if (found := _compared(run, self.table.version)) and run.finished is not None
        ]
        return max(looked, key=lambda pair: pair[1], default=({}, None))

    def _told(self, state: OnlineState) -> tuple[NewEvent, ...]:
        known, events = self.known, []
        if known is None or (known.uri, known.version, known.place) != (state.uri, state.version, state.place):
            told = f"{state.rows:,} rows of version {state.version} are online"
            events.append(NewEvent(reasons.ONLINE_WRITTEN, told, {"version": state.version, "rows": state.rows}))
        if state.differing and (known is None or known.checked != state.checked):
            examples = "; ".join(map(str, self._found[0].get("examples", ())))
            mended = "all of it was written again" if not state.left else f"{state.left:,} are so still"
            message = (
                f"{state.differing:,} of {state.sampled:,} rows that were compared were otherwise online than in "
                f"version {state.version}{f', such as {examples}' if examples else ''}; {mended}"
            )
            data = {"differing": state.differing, "compared": state.sampled, "left": state.left}
            events.append(NewEvent(reasons.ONLINE_DIFFERS, message, data))
        return tuple(events)


def _compared(run: RunState, version: int) -> Mapping[str, Any]:
    """What a run that ended well found online of ``version``; nothing where it did not look."""
    found = (run.result or {}).get("online", run.result)
    right = isinstance(found, Mapping) and found.get("version") == version and "checked" in found
    return found if right and isinstance(found, Mapping) else {}


def summary(state: OnlineState | None, published: datetime | None, version: int | None) -> str:
    """``; online: version 3, 120 rows, after 2 s``; empty where nothing is online."""
    if state is None:
        return ""
    told = f"; online: version {state.version}, {state.rows:,} rows"
    if version is not None and version != state.version:
        return f"{told}, behind"
    lag = (state.written - published).total_seconds() if published is not None else 0.0
    return f"{told}, {lag:,.0f} s after it was published" if lag >= 1 else told
