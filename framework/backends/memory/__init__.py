"""Every port in memory: for tests, demonstrations, and to try a plan without a cluster.

They hold to the same contract suites as the real backends and differ in one thing: time passes only when told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from framework.backends.memory.alerts import MemoryNotifier, MemoryReports
from framework.backends.memory.calls import Call, Calls
from framework.backends.memory.data import MemoryProfiles, MemorySources, MemoryTables
from framework.backends.memory.online import MemoryOnline
from framework.backends.memory.runs import Clock, MemoryRuns, utc_now
from framework.backends.memory.serving import MemoryServing, Served
from framework.backends.memory.source import MemoryCode, MemorySource, SymbolicLink
from framework.backends.memory.state import MemoryRegistry, MemoryStateStore
from framework.backends.memory.tracking import MemoryMirror
from framework.backends.state.damage import Check
from framework.ports import Ports

__all__ = [
    "Call",
    "Calls",
    "MemoryCode",
    "MemoryMirror",
    "MemoryNotifier",
    "MemoryOnline",
    "MemoryPorts",
    "MemoryProfiles",
    "MemoryRegistry",
    "MemoryReports",
    "MemoryRuns",
    "MemoryServing",
    "MemorySource",
    "MemorySources",
    "MemoryStateStore",
    "MemoryTables",
    "Served",
    "SymbolicLink",
    "memory_ports",
]


@dataclass(frozen=True)
class MemoryPorts(Ports):
    """Ports with the types of the in-memory backends, so that a test reaches their own methods. ``calls`` has every
    changing call that was made through any of them."""

    state: MemoryStateStore
    registry: MemoryRegistry
    source: MemorySource
    writer: MemorySource
    code: MemoryCode
    runs: MemoryRuns
    serving: MemoryServing
    tables: MemoryTables
    online: MemoryOnline
    sources: MemorySources
    profiles: MemoryProfiles
    notifier: MemoryNotifier
    reports: MemoryReports
    calls: Calls = field(default_factory=Calls)


def memory_ports(
    clock: Clock = utc_now,
    *,
    storage: str = "memory://store",
    observations: int | None = 1,
    check: Check | None = None,
) -> MemoryPorts:
    """A whole world in memory. ``observations``: see :class:`MemoryServing`; ``check``: see :class:`SqlStateStore`."""
    calls = Calls()
    state = MemoryStateStore(calls, check)
    source = MemorySource()
    return MemoryPorts(
        state=state,
        registry=MemoryRegistry(state, calls),
        source=source,
        writer=source,
        code=MemoryCode(source, calls),
        runs=MemoryRuns(calls, clock),
        serving=MemoryServing(calls, clock, observations=observations),
        tables=MemoryTables(calls),
        online=MemoryOnline(calls, clock=clock),
        sources=MemorySources(source, calls, storage),
        profiles=MemoryProfiles(),
        notifier=MemoryNotifier(calls),
        reports=MemoryReports(calls),
        storage=storage,
        calls=calls,
    )
