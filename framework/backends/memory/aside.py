"""Ports for work beside an environment: runs, tables and files are real, and what is remembered, served, told or sent
stays in the process; nothing is kept online."""

from __future__ import annotations

from collections.abc import Iterable

from framework.backends.memory.alerts import MemoryNotifier, MemoryReports
from framework.backends.memory.calls import Calls
from framework.backends.memory.dry_run import DryRunRegistry
from framework.backends.memory.online import MemoryOnline
from framework.backends.memory.runs import Clock
from framework.backends.memory.serving import MemoryServing
from framework.backends.memory.source import NoWriter
from framework.backends.memory.state import MemoryStateStore
from framework.ports import CodeStore, Ports, Record


def aside(live: Ports, records: Iterable[Record], code: CodeStore, clock: Clock) -> Ports:
    """A store of our own that begins with ``records``, and a registry that reads through to the live one and keeps what
    is registered to itself. ``code`` publishes what runs are to execute."""
    calls = Calls()
    state = MemoryStateStore(calls)
    state.adopt(records, ())
    return Ports(
        state=state,
        registry=DryRunRegistry(live.registry, state, calls),
        source=live.source,
        writer=NoWriter(),
        code=code,
        runs=live.runs,
        serving=MemoryServing(calls, clock),
        tables=live.tables,
        online=MemoryOnline(calls, place=None),
        sources=live.sources,
        profiles=live.profiles,
        notifier=MemoryNotifier(calls),
        reports=MemoryReports(calls),
        storage=live.storage,
    )
