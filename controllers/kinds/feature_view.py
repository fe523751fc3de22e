"""What is looked at before a FeatureView is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from controllers.kinds import tables
from controllers.kinds.observer import Observer
from controllers.kinds.tables import published_view
from framework.api import layout
from framework.api.errors import DamagedError, TerminalError, TransientError
from framework.api.meta import Ref
from framework.kinds.feature_view import KIND, build, online
from framework.kinds.feature_view.connections import resolved
from framework.kinds.feature_view.observed import FeatureViewObserved, FeatureViewState, Published
from framework.kinds.feature_view.online import OnlineObserved
from framework.kinds.feature_view.plan import as_published, built_by, run_name
from framework.kinds.feature_view.spec import CATEGORIES
from framework.planning.grammar import fingerprint
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.remembered import state_of
from framework.ports import Ports, ReadTable, RunPhase, RunState, SourceData, Sources, TableState

_Problem = tuple[str, str] | None


def observe(
    ref: Ref, desired: Desired[Any] | None, status: Status | None, ports: Ports, now: datetime
) -> FeatureViewObserved:
    """What the sources hold is looked at only where it matters, which is while there is no table of them or where new
    data is waited for: they may be large, and far away. The run is, while it is not on record what came of it."""
    if desired is None:
        return FeatureViewObserved(ref, ports.storage, None, "", RunState(RunPhase.ABSENT))
    state = state_of(status, FeatureViewState)
    same = status is not None and (status.identity, status.digest) == (desired.identity, desired.digest)
    begun = built_by(ref.name, state.run) if same and state.run else ""
    before = status.spec if status is not None else {}
    found = _Look(desired, state, before, begun, ports, now).observed()
    return replace(found, online=_online(desired, state, found.table, ports))


def _online(desired: Desired[Any], state: FeatureViewState, table: TableState | None, ports: Ports) -> OnlineObserved:
    """The store is asked where the view is to be online, or was when it was last looked at."""
    place, name = ports.online.place(), desired.ref.name
    ever = state.online is not None or state.online_run is not None or state.run is not None
    if place is None or table is None or not (desired.spec.online.enabled or ever):
        return OnlineObserved(place)
    try:
        held = ports.online.describe(name)
    except (TransientError, TerminalError) as error:
        return OnlineObserved(place, problem=(isinstance(error, TransientError), str(error)))
    asked = online.target(desired.spec.online, place)
    if asked is None:
        return OnlineObserved(place, held)
    view = as_published(table, desired, table.identity).as_view()
    return OnlineObserved(place, held, run=ports.runs.observe(ports.storage, online.run_name(name, view, asked)))


@dataclass(frozen=True)
class _Look:
    """``state`` is what is on record, ``before`` the spec that it was published for, and ``begun`` the build that was
    begun for what git still asks for; empty where none was."""

    desired: Desired[Any]
    state: FeatureViewState
    before: Mapping[str, Any]
    begun: str
    ports: Ports
    now: datetime

    def observed(self) -> FeatureViewObserved:
        """What was begun is waited for, and published when it is done, though its sources have moved on: those that
        move faster than it can be computed would keep it from readers for ever."""
        run = self._run(self.begun)
        # After the run: one that ends in between is then seen as running, never as one without a table.
        newest = self._newest()
        published = bool(self.begun) and newest is not None and newest.name == self.begun
        if published or run.phase in (RunPhase.PENDING, RunPhase.RUNNING):
            table = newest if published else self._in_service(newest)
            return FeatureViewObserved(self.desired.ref, self.ports.storage, table, "", run, build=self.begun)
        return self._wanted(newest, run)

    def _run(self, name: str) -> RunState:
        """Of the build of that name; one that never was without a name."""
        if not name:
            return RunState(RunPhase.ABSENT)
        return self.ports.runs.observe(self.ports.storage, run_name(self.desired.ref.name, name))

    def _wanted(self, newest: TableState | None, begun: RunState) -> FeatureViewObserved:
        """What would be made now. ``begun`` is the run of what was begun, where one was."""
        upstream = self._upstream(newest)
        ready = {ref: published for ref, published in upstream.items() if published is not None}
        held, problem = self._sources(newest, ready)
        digest = held.digest
        table = self._found(newest, digest, ready) if problem is None else self._in_service(newest)
        made = table is not None and self._made_of(table, digest, ready)
        if made:
            held = SourceData()
        elif problem is None and len(ready) == len(upstream):
            held, problem = self._located(held)
        name = ""
        if len(ready) == len(upstream) and (problem is None or made):
            name = self._name(table if made else None, digest, ready)
        run = begun if name == self.begun else RunState(RunPhase.ABSENT)
        if name != self.begun and not (table is not None and table.name == name and self._is_known(table)):
            run = self._run(name)
            last = self._newest()
            table = last if last is not None and last.name == name else table
        return FeatureViewObserved(
            self.desired.ref, self.ports.storage, table, digest, run, problem, upstream, build=name, data=held
        )  # fmt: skip

    def _name(self, made: TableState | None, digest: str, ready: build.Upstream) -> str:
        """Of the build that is wanted. ``made``: the version that was made of what the sources hold."""
        if made is None:
            return build.wanted(self.desired, digest, ready)
        again = build.asks_again(self.desired.spec, made.published, self.now)
        return made.name if again is None or again else build.wanted(self.desired, digest, ready, made)

    def _reads(self, ready: build.Upstream) -> Mapping[str, ReadTable]:
        return build.read_of(self.desired.spec, ready)

    def _newest(self) -> TableState | None:
        """The newest version of this recipe. Before builds had names, tables were found by identity."""
        for name in dict.fromkeys((self.desired.recipe, self.desired.identity)):
            table = self.ports.tables.describe(layout.feature_table(self.ports.storage, self.desired.ref.name, name))
            if table is not None:
                return table
        return self.ports.tables.describe(self.known.uri) if self.known is not None and self._is_meant() else None

    def _is_meant(self) -> bool:
        """Whether what is on record was published as git asks, but for where its files lay: another place is no other
        data, which the names of what they hold tell."""
        desired, known = self.desired, self.known
        if known is None or not known.uri.startswith(f"{layout.feature_tables(self.ports.storage)}/"):
            return False
        if known.identity == desired.identity:
            return True
        moved = build.moved(desired.spec, self.before)
        code = [desired.code.digest] if desired.code is not None else []
        workload = KIND.workload_version
        return moved and known.identity == fingerprint.identity(
            self.before, CATEGORIES, code, desired.upstream, workload
        )

    def _found(self, newest: TableState | None, digest: str, ready: build.Upstream) -> TableState | None:
        """The version that was made of what the sources hold; where there is none, the one that readers have."""
        if newest is None or self._made_of(newest, digest, ready):
            return newest
        versions = self.ports.tables.versions(newest.uri)
        made = (table for table in versions if self._made_of(table, digest, ready))
        return next(made, next(filter(self._is_known, versions), newest))

    def _made_of(self, table: TableState, digest: str, ready: build.Upstream) -> bool:
        return build.made_of(table, self.desired.data.digest, digest, self._reads(ready))

    def _in_service(self, newest: TableState | None) -> TableState | None:
        """The version that readers have, where that can be told; else the newest."""
        if newest is None or self._is_known(newest):
            return newest
        return next(filter(self._is_known, self.ports.tables.versions(newest.uri)), newest)

    @property
    def known(self) -> Published | None:
        """The version that is on record as published."""
        return self.state.published

    def _due(self, newest: TableState) -> bool:
        """Whether files are to be looked at that were there before. ``every`` looks at each turn: the plan knows when
        it is time. A schedule means to leave them alone until then."""
        rules = self.desired.spec.materialization
        if rules.schedule is None:
            return rules.every is not None
        return not build.due_in(self.desired.spec, self.state.last_look(newest), self.now)

    def _is_known(self, table: TableState) -> bool:
        return self.known is not None and (self.known.uri, self.known.version) == (table.uri, table.version)

    def _upstream(self, newest: TableState | None) -> Mapping[Ref, Published | None]:
        try:
            return {ref: published_view(ref, name, self.ports) for ref, name in self.desired.upstream.items()}
        except DamagedError:
            if newest is None:
                raise
            return dict.fromkeys(self.desired.upstream)  # what was published from it stays published

    def _sources(self, newest: TableState | None, ready: build.Upstream) -> tuple[SourceData, _Problem]:
        """What the sources hold; or nothing, and why (reason, message). Where no new data is waited for, a version of
        the commit's own files will do, whatever else there is by now."""
        if newest is not None and not self._due(newest):
            table = self._found(newest, "", ready)
            if table is not None and self._made_of(table, "", ready):
                return SourceData(), None
        return self._asked(lambda: self.ports.sources.held(self._spec, self.desired.root, self.desired.commit))

    def _located(self, held: SourceData) -> tuple[SourceData, _Problem]:
        """The same, each file where it can be read: something is to be made of them."""
        desired = self.desired
        return self._asked(lambda: self.ports.sources.located(held, self._spec, desired.root, desired.commit))

    def _asked(self, ask: Callable[[], SourceData]) -> tuple[SourceData, _Problem]:
        try:
            return ask(), None
        except TerminalError as error:
            return SourceData(), (error.reason, str(error))

    @property
    def _spec(self) -> Sources:
        spec = self.desired.spec.model_dump(mode="json", by_alias=True, exclude_none=True, include={"sources"})
        found: Sources = resolved(spec, self.desired.connections)["sources"]
        return found


OBSERVER = Observer(observe, left=tables.left, traces=tables.traces, checked=tables.checked)
