"""A world in memory that starts where another one stands: reads fall through to it, writes stay here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from framework.backends.memory.alerts import MemoryNotifier, MemoryReports
from framework.backends.memory.calls import Calls
from framework.backends.memory.data import MemoryProfiles, MemoryTables
from framework.backends.memory.online import MemoryOnline
from framework.backends.memory.runs import Clock, MemoryRuns
from framework.backends.memory.serving import MemoryServing
from framework.backends.memory.source import NoWriter
from framework.backends.memory.state import MemoryRegistry, MemoryStateStore
from framework.online.store import Batch
from framework.ports import (
    AppState,
    Capacity,
    CheckedRun,
    CodeRef,
    ModelRegistry,
    ModelVersion,
    OnlineCatalog,
    OnlineVersion,
    Ports,
    ProfileStore,
    ReferenceProfile,
    RouteState,
    ServingBackend,
    SourceCatalog,
    SourceFile,
    TableCatalog,
    TableState,
)


@dataclass(frozen=True)
class DryRunPorts(Ports):
    """Ports with the types whose hands a data plane needs."""

    state: MemoryStateStore
    runs: MemoryRuns
    serving: DryRunServing
    tables: DryRunTables
    online: DryRunOnline


def dry_run(live: Ports, clock: Clock) -> DryRunPorts:
    """``live`` as it stands now, to be changed without consequence. Runs under way there have not begun here."""
    calls = Calls()
    state = MemoryStateStore(calls)
    state.adopt(live.state.records(), live.state.revisions())
    runs = MemoryRuns(calls, clock)
    runs.cluster = _without_others(live.runs.capacity())
    return DryRunPorts(
        state=state,
        registry=DryRunRegistry(live.registry, state, calls),
        source=live.source,
        writer=NoWriter(),
        code=DryRunCode(),
        runs=runs,
        serving=DryRunServing(live.serving, calls, clock),
        tables=DryRunTables(live.tables, calls),
        online=DryRunOnline(live.online, calls, clock),
        sources=DryRunSources(live.sources),
        profiles=DryRunProfiles(live.profiles),
        notifier=MemoryNotifier(calls),
        reports=MemoryReports(calls),
        storage=live.storage,
    )


def _without_others(capacity: Capacity | None) -> Capacity | None:
    """What is there for what is begun here: all that nobody else holds."""
    if capacity is None:
        return None
    ours = [*(capacity.held or {}).values(), capacity.free]
    total = {name: sum(part.get(name, 0.0) for part in ours) for name in capacity.total}
    return Capacity(total, total) if capacity.held is not None else Capacity(capacity.total, capacity.total)


class DryRunCode:
    """Names archives without making them."""

    def ensure(self, code: CodeRef) -> str:
        return f"memory://code/{code.digest}.zip"


class DryRunRegistry(MemoryRegistry):
    def __init__(self, live: ModelRegistry, state: MemoryStateStore, calls: Calls) -> None:
        super().__init__(state, calls)
        self._live = live
        self._forgotten: set[str] = set()

    def get(self, training: str, version: str) -> ModelVersion | None:
        found = super().get(training, version)
        if found is None and training not in self._forgotten:
            return self._live.get(training, version)
        return found

    def versions(self, training: str) -> Sequence[ModelVersion]:
        below = () if training in self._forgotten else self._live.versions(training)
        return sorted((*super().versions(training), *below), key=lambda item: item.created, reverse=True)

    def builds(self, training: str, identity: str) -> Sequence[ModelVersion]:
        found = {version.version: version for version in super().builds(training, identity)}
        below = () if training in self._forgotten else self._live.builds(training, identity)
        return [*found.values(), *(version for version in below if version.version not in found)]

    def forget(self, training: str, token: int) -> None:
        super().forget(training, token)
        self._forgotten.add(training)


class DryRunTables(MemoryTables):
    def __init__(self, live: TableCatalog, calls: Calls) -> None:
        super().__init__(calls)
        self._live = live
        self._deleted: set[str] = set()

    def describe(self, uri: str) -> TableState | None:
        found = next(iter(super().versions(uri)), None)
        return self._live.describe(uri) if found is None and uri not in self._deleted else found

    def versions(self, uri: str) -> Sequence[TableState]:
        below = () if uri in self._deleted else self._live.versions(uri)
        return (*super().versions(uri), *below)

    def checked(self, uri: str) -> CheckedRun | None:
        return self._live.checked(uri)

    def delete(self, uri: str) -> None:
        super().delete(uri)
        self._deleted.add(uri)

    def publish(self, table: TableState) -> None:
        super().publish(table)
        self._deleted.discard(table.uri)


class DryRunOnline(MemoryOnline):
    """Of what is online there only the descriptions are seen here."""

    def __init__(self, live: OnlineCatalog, calls: Calls, clock: Clock) -> None:
        super().__init__(calls, live.place(), clock)
        self._live = live
        self._changed: set[str] = set()

    def describe(self, view: str) -> OnlineVersion | None:
        return super().describe(view) if view in self._changed else self._live.describe(view)

    def write(
        self, view: str, version: OnlineVersion, batches: Iterable[Batch], onto: OnlineVersion | None = None
    ) -> OnlineVersion:
        self._changed.add(view)
        return super().write(view, version, batches, onto)

    def lose(self, view: str) -> None:
        self._changed.add(view)
        super().lose(view)


class DryRunSources:
    """What there is to read, of which nothing is exported."""

    def __init__(self, live: SourceCatalog) -> None:
        self.held, self.located = live.held, live.located

    def export(self, files: Iterable[SourceFile]) -> None: ...


class DryRunServing(MemoryServing):
    def __init__(self, live: ServingBackend, calls: Calls, clock: Clock) -> None:
        super().__init__(calls, clock, observations=None)
        self._live = live
        self._known: set[str] = set()

    def apps(self, deployment: str) -> Mapping[str, AppState]:
        self._take_over(deployment)
        return super().apps(deployment)

    def route(self, deployment: str, traffic: str) -> RouteState | None:
        self._take_over(deployment, traffic)
        return super().route(deployment, traffic)

    def routed(self, path: str) -> RouteState | None:
        there = self._live.routed(path)
        if there is not None:
            self._take_over(there.spec.deployment, there.spec.traffic)
        return super().routed(path)

    def _take_over(self, deployment: str, traffic: str = "") -> None:
        """What runs there is read once, before anything here changes it."""
        if deployment not in self._known:
            self._known.add(deployment)
            self.adopt(deployment, self._live.apps(deployment), self._live.route(deployment, traffic))


class DryRunProfiles(MemoryProfiles):
    """What serves here has been asked nothing yet. A model that was not trained has an empty reference."""

    def __init__(self, live: ProfileStore) -> None:
        super().__init__()
        self._live = live

    def reference(self, profile: str) -> ReferenceProfile | None:
        return self._live.reference(profile) or ReferenceProfile({}, ())
