"""What to do about a FeatureView. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api import layout
from framework.api.categories import Category
from framework.kinds.feature_view import online
from framework.kinds.feature_view.build import asks_again, due_in, read_of
from framework.kinds.feature_view.connections import resolved
from framework.kinds.feature_view.observed import FeatureViewObserved, FeatureViewState, Published
from framework.kinds.feature_view.spec import CATEGORIES, FeatureViewSpec
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action, DeleteTable, DropOnline, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status, Verb
from framework.planning.grammar.remembered import state_of
from framework.planning.plan import runs
from framework.planning.plan.files import difference
from framework.planning.plan.outcomes import Outcome
from framework.ports import Cause, Json, MaterializeRequest, RunPhase, TableState

WORKLOAD = "framework.workloads.features.materialize:run"
RETRY_LIMIT = 2
RETRY_BACKOFF = timedelta(seconds=5)
_SOON = timedelta(seconds=5)
_KEPT_FILES = 20
"""Of a source, whose names stay on record; the log of the table has more."""
_AFTER = timedelta(microseconds=1)
"""Beyond the last moment at which data is fresh."""


def run_name(view: str, build: str) -> str:
    """One run per build, so that the same rows are never computed twice."""
    return f"features-{view}-{build}"


def built_by(view: str, run: str) -> str:
    """The build that a run of that name makes."""
    return run.removeprefix(run_name(view, ""))


def plan(
    desired: Desired[FeatureViewSpec] | None, observed: FeatureViewObserved, status: Status | None, now: datetime
) -> Change:
    """Publish a version for this identity if there is none, or if the sources changed and it is time to look."""
    if desired is None:
        return _remove(observed, status)
    previous = state_of(status, FeatureViewState)
    return _View(desired, observed, status, previous, now).decide()


@dataclass(frozen=True)
class _View:
    desired: Desired[FeatureViewSpec]
    observed: FeatureViewObserved
    status: Status | None
    previous: FeatureViewState
    now: datetime

    @property
    def outcome(self) -> Outcome:
        rebuild = self.status is None or self.status.identity != self.desired.identity or self.observed.table is None
        floor = Category.MATERIALIZE if rebuild else Category.NOOP
        return Outcome(self.desired, self.status, CATEGORIES, self.now, floor)

    @property
    def in_service(self) -> Published | None:
        """What readers have meanwhile: the last good version."""
        table, known = self.observed.table, self.previous.published
        return as_published(table, self.desired, table.identity) if known is None and table is not None else known

    def decide(self) -> Change:
        table, observed = self.observed.table, self.observed
        missing = tuple(ref for ref, view in observed.upstream.items() if view is None)
        known = self.previous.published
        stays = known is not None and known.identity == self.desired.identity
        rests = missing or (observed.source_problem is None and not (table is not None and self._due(table)))
        if table is not None and (observed.current or (stays and rests)):
            return self._in_service(table)
        ready, summary = self.in_service is not None, _summary(self.in_service)
        if observed.source_problem is not None:
            reason, message = observed.source_problem
            return self.outcome.stalled(
                self._state(), summary, reasons.Reason(reason), message,
                ready=ready, inventory=self._inventory(None), requeue_after=timedelta(seconds=10),
            )  # fmt: skip
        if missing:
            message = f"waits for {', '.join(map(str, missing))}"
            return self.outcome.waiting(
                self._state(), summary, reasons.UPSTREAM_NOT_READY, message,
                ready=ready, waits_for=missing, inventory=self._inventory(None),
            )  # fmt: skip
        return self._materialize(ready, summary)

    def _in_service(self, table: TableState) -> Change:
        """What git asks for is published. It may have grown old since: where nothing comes no run checks that, so the
        clock is looked at instead, and readers keep what they have."""
        published = as_published(table, self.desired, self.desired.identity)
        step, looked = self._online(published), self._looked(table)
        state = FeatureViewState(
            published=published, looked=looked, run=self._writing, online=step.state, online_run=step.run
        )
        summary = f"{_summary(published)}{online.summary(step.state, published.at, published.version)}"
        warned = [result.told for result in table.expectations if not result.passed]
        new = published != self.previous.published
        events = (*(self._publication(table) if new else ()), *step.events)
        looks, inventory = _sooner(self._next_look(table), step.look), self._inventory(state.run, step)
        if step.message or step.actions:
            marks = {mark: getattr(self.previous, mark) and not new for mark in ("stale", "ageing")}
            state = state.model_copy(update=marks)
            return self._coming_online(step, state, summary, inventory, events, looks)
        for limit, severity in self._fresh_until(table):
            if self.now <= limit:
                looks = _sooner(looks, limit - self.now + _AFTER)
                continue
            message = (
                f"the newest event time is {table.newest:%Y-%m-%d %H:%M}Z, and it was fresh until "
                f"{limit:%Y-%m-%d %H:%M}Z"
            )
            mark = "stale" if severity == "error" else "ageing"
            state = state.model_copy(update={mark: True})
            told = () if getattr(self.previous, mark) and not new else (NewEvent(reasons.DATA_STALE, message),)
            events = (*events, *told)
            if severity == "error":
                return self.outcome.stalled(
                    state, summary, reasons.DATA_STALE, message,
                    ready=True, inventory=inventory, requeue_after=_sooner(self._next_look(table), step.look),
                    events=events,
                )  # fmt: skip
            warned.append(message)
        message = "; ".join(warned)
        summary = f"{summary}, {len(warned)} {'warning' if len(warned) == 1 else 'warnings'}" if warned else summary
        reason = reasons.EXPECTATION_WARNED if warned else reasons.PUBLISHED
        return self.outcome.converged(
            state, summary, reason, message, inventory=inventory, requeue_after=looks, events=events
        )

    def _coming_online(
        self,
        step: online.OnlineStep,
        state: FeatureViewState,
        summary: str,
        inventory: frozenset[str],
        events: tuple[NewEvent, ...],
        looks: timedelta | None,
    ) -> Change:
        """Readers have what was published, and its rows are not, or not for certain, found while serving."""
        more: dict[str, Any] = {"ready": True, "inventory": inventory, "requeue_after": looks, "events": events}
        if step.actions:
            message = step.message or "compares what is online with the table"
            more["requeue_after"] = looks or timedelta(0)
            return self.outcome.acting(state, summary, step.reason, message, step.actions, **more)
        if step.stalled:
            return self.outcome.stalled(state, summary, step.reason, step.message, **more)
        return self.outcome.waiting(state, summary, step.reason, step.message, **more)

    def _online(self, published: Published) -> online.OnlineStep:
        asked = online.target(self.desired.spec.online, self.observed.online.place)
        view, known, running = published.as_view(), self.previous.online, self.previous.online_run
        return online.Bringing(
            self.desired, view, published.name, asked, self.observed.online, self.observed.run, known, running, self.now
        ).step()  # fmt: skip

    @property
    def _writing(self) -> str | None:
        """The run that has published it and is not at its end."""
        active = self.observed.run.phase in (RunPhase.PENDING, RunPhase.RUNNING)
        return self.previous.run if active else None

    def _state(self, **more: Any) -> FeatureViewState:
        """While another version is made: what is online stays so."""
        kept = {"published": self.in_service, "online": self.previous.online, "online_run": self.previous.online_run}
        return FeatureViewState(**{**kept, **more})

    def _materialize(self, ready: bool, summary: str) -> Change:
        name = run_name(self.desired.ref.name, self.observed.build)
        run, inventory = self.observed.run, self._inventory(name)
        state = self._state(run=name)
        superseded = self.previous.run if self.previous.run not in (None, name) else None
        stop: tuple[Action, ...] = (StopRun(self.desired.storage, superseded),) if superseded else ()
        match runs.next_step(run, RETRY_LIMIT, RETRY_BACKOFF, self.now):
            case runs.Start(attempt):
                return self._submit(state, name, attempt, stop, ready, summary)
            case runs.Finished():
                # The run says it published, but the table is not there: somebody dropped it.
                return self._submit(state, name, run.attempt + 1, stop, ready, summary)
            case runs.Await(after, message):
                return self.outcome.waiting(
                    state, summary, reasons.MATERIALIZING, message,
                    ready=ready, requeue_after=after, inventory=inventory,
                )  # fmt: skip
            case runs.GaveUp(reason, message, data):
                again = asks_again(self.desired.spec, run.finished, self.now)
                if again is not None and not again:
                    return self._submit(state, name, run.attempt + 1, stop, ready, summary)
                first = self.previous.run == name
                events = (NewEvent(reason, message, {**_told(reason, data), "run": name}),) if first else ()
                done = self._state()
                return self.outcome.stalled(
                    done, summary, reason, message, ready=ready, inventory=self._inventory(None),
                    events=events, requeue_after=again,
                )  # fmt: skip

    def _submit(
        self, state: FeatureViewState, name: str, attempt: int, stop: tuple[Action, ...], ready: bool, summary: str
    ) -> Change:
        desired, observed, files = self.desired, self.observed, self.observed.data.files
        asked = MaterializeRequest(
            view=desired.ref.name,
            identity=desired.identity,
            build=observed.build,
            cause=self._cause,
            table=self._table,
            root=desired.root,
            spec=resolved(desired.spec.model_dump(mode="json", by_alias=True), desired.connections),
            source_digest=observed.source_digest,
            commit=desired.commit,
            upstream=read_of(desired.spec, {ref: view for ref, view in observed.upstream.items() if view is not None}),
            previous=None if self.in_service is None else self.in_service.as_view(),
            online=online.target(desired.spec.online, observed.online.place),
            files=dict(files),
            committed=desired.data.digest,
        )
        place = f"{layout.exports(desired.storage)}/"
        exported = tuple(file for found in files.values() for file in found if file.uri.startswith(place))
        run = replace(runs.request(desired, name, attempt, WORKLOAD, asked), exported=exported)
        told = difference({} if observed.table is None else observed.table.files, files)
        message = "materialises" if attempt == 1 else f"materialises, attempt {attempt}"
        message = f"{message}: {told}" if told else message
        if desired.spec.timestamp is None:
            message = f"{message}; without event times it is joined by {', '.join(desired.spec.entities)} alone"
        return self.outcome.acting(
            state,
            summary,
            reasons.MATERIALIZING,
            message,
            (*stop, SubmitRun(run)),
            ready=ready,
            inventory=self._inventory(name),
            requeue_after=runs.POLL,
            events=(*self._dropped(name), runs.started(run)),
        )

    def _dropped(self, run: str) -> tuple[NewEvent, ...]:
        """What was published is gone, and not by our doing: told once, with the run that computes it again."""
        published = self.previous.published
        if published is None or self.observed.table is not None or self.previous.run == run:
            return ()
        if published.uri != self._table:
            return ()
        message = f"the table of version {published.version} was gone and is computed again"
        return (NewEvent(reasons.DRIFT_REPAIRED, message, {"item": f"table:{published.uri}"}),)

    @property
    def _cause(self) -> Cause:
        """Why something is made now: git asks for something else than was published, or what it is made of changed."""
        known = self.previous.published
        return Cause.DATA if known is not None and known.identity == self.desired.identity else Cause.GIT

    def _due(self, table: TableState) -> bool:
        """New files are taken up no more often than the spec says, and new versions of views likewise; what a commit
        says of files is taken up with the commit."""
        if not self.observed.build or table.name == self.observed.build:
            return False
        if table.committed != self.desired.data.digest:
            return True
        return not due_in(self.desired.spec, self.previous.last_look(table), self.now)

    def _next_look(self, table: TableState) -> timedelta | None:
        """At the next time of the schedule, whatever was missed: that is looked for now."""
        rules = self.desired.spec.materialization
        if rules.schedule is not None:
            return due_in(self.desired.spec, self.now, self.now)
        return None if rules.every is None else max(table.published + rules.every - self.now, min(rules.every, _SOON))

    def _looked(self, table: TableState) -> datetime | None:
        """A time of the schedule that found nothing new is over: what comes after it waits for the next one."""
        if self.desired.spec.materialization.schedule is None:
            return None
        due = due_in(self.desired.spec, self.previous.last_look(table), self.now) == timedelta(0)
        return self.now if due and self.observed.build else self.previous.looked

    def _fresh_until(self, table: TableState) -> list[tuple[datetime, str]]:
        """Until when what is published meets the spec's ``freshness``, by severity, errors first; none where it asks
        for none."""
        found = []
        for severity in ("error", "warn"):
            asked = (item for item in self.desired.spec.expectations if item.severity == severity)
            ages = [item.freshness for item in asked if item.freshness is not None]
            if ages and table.newest is not None:
                found.append((table.newest + min(ages), severity))
        return found

    def _publication(self, table: TableState) -> tuple[NewEvent, ...]:
        """``seconds`` only where it was made now, and not found to be there."""
        awaited = self.previous.run == run_name(self.desired.ref.name, table.name)
        data = {"uri": table.uri, "version": table.version, "rows": table.rows, "build": table.name}
        told = f"{table.rows:,} rows as version {table.version}"
        event = NewEvent(reasons.PUBLISHED, told, {**data, **(runs.took(self.observed.run) if awaited else {})})
        warned = [result for result in table.expectations if not result.passed]
        if not warned:
            return (event,)
        told = f"version {table.version} is published, though {'; '.join(result.told for result in warned)}"
        failed = [result.model_dump(mode="json") for result in warned]
        return event, NewEvent(reasons.EXPECTATION_WARNED, told, {"version": table.version, "failed": failed})

    @property
    def _table(self) -> str:
        return layout.feature_table(self.desired.storage, self.desired.ref.name, self.desired.recipe)

    def _inventory(self, run: str | None, step: online.OnlineStep | None = None) -> frozenset[str]:
        there = step.state if step is not None else self.previous.online
        found = [f"table:{self._table}"]
        found += [f"run:{name}" for name in (run, step.run if step else self.previous.online_run) if name]
        found += [f"online:{self.desired.ref.name}"] if there is not None else []
        return frozenset(found)


def _remove(observed: FeatureViewObserved, status: Status | None) -> Change:
    """Stop what runs; data stays for ``git revert`` unless the spec said ``deletion: delete``."""
    ref, state = observed.ref, state_of(status, FeatureViewState)
    actions: list[Action] = []
    actions += [StopRun(observed.storage, run) for run in (state.run, state.online_run) if run is not None]
    if state.online is not None or state.online_run is not None or state.run is not None:  # which may have written it
        actions.append(DropOnline(ref.name))
    delete = status is not None and status.spec.get("deletion") == "delete"
    if delete and state.published is not None:
        actions.append(DeleteTable(state.published.uri))
    reason = "removed from git; its data is deleted" if delete else "removed from git; its data stays"
    return Change(
        ref,
        Verb.DELETE,
        Category.METADATA,
        reason,
        None,
        actions=tuple(actions),
        events=(NewEvent(reasons.DELETED, reason),),
    )


def as_published(table: TableState, desired: Desired[FeatureViewSpec], identity: str) -> Published:
    """A version of the table as it is on record once readers use it."""
    return Published(
        uri=table.uri,
        version=table.version,
        rows=table.rows,
        identity=identity,
        source_digest=table.source_digest,
        commit=table.commit,
        at=table.published,
        entities=desired.spec.entities,
        timestamp=desired.spec.timestamp,
        available=desired.spec.available,
        columns=tuple((column.name, column.dtype) for column in desired.spec.columns),
        build=table.build,
        digests=dict(table.digests),
        upstream=dict(table.upstream),
        files={source: held.first(_KEPT_FILES) for source, held in table.files.items()},
    )


def _sooner(one: timedelta | None, other: timedelta | None) -> timedelta | None:
    return min((soon for soon in (one, other) if soon), default=None)


def _summary(published: Published | None) -> str:
    return "nothing published" if published is None else f"{published.rows:,} rows, version {published.version}"


def _told(reason: reasons.Reason, data: Mapping[str, Json]) -> Mapping[str, Json]:
    """What of the numbers behind a failure is worth keeping: which rows broke what."""
    return data if reason == reasons.EXPECTATION_FAILED else {}
