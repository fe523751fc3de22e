"""What keeps work beside an environment apart from it: the real loop asks the real ports, and may not do everything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from controllers.loop.reconciler import Reconciler, Result
from controllers.loop.shared_ledger import SharedLedger
from controllers.revision.snapshot import Snapshot
from framework.api.errors import ConfigurationError, TerminalError
from framework.api.meta import Ref
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Desired
from framework.ports import (
    Capacity,
    CheckedRun,
    Log,
    Ports,
    Record,
    RunBackend,
    RunPhase,
    RunSpec,
    RunState,
    StateStore,
    TableCatalog,
    TableState,
)

HELD_SECONDS = 5.0
"""How long what others hold of a quota is taken to be so."""
_UNDER_WAY = (RunPhase.PENDING, RunPhase.RUNNING)


class MakeAside(Protocol):
    def __call__(self, live: Ports, records: Iterable[Record], commit: str) -> Ports:
        """Ports for work beside ``live`` at ``commit``: what is remembered, served, told and sent stays in the process.
        The store begins with ``records``."""
        ...


def nothing_aside(live: Ports, records: Iterable[Record], commit: str) -> Ports:
    """Raises ConfigurationError: for a project that was opened without such ports."""
    raise ConfigurationError("nothing can be built beside this environment here")


class AsideRuns:
    """A RunBackend through which runs are started and waited for, and only those stopped that were started through it:
    a run that a controller waits for goes on. ``prepare`` is called before the first one starts, ``asked`` gives what
    is really asked for. ``waited`` are the names of runs that were seen under way."""

    def __init__(self, live: RunBackend, prepare: Callable[[], None], asked: Callable[[RunSpec], RunSpec]) -> None:
        self._live, self._prepare, self._asked = live, prepare, asked
        self._started: set[str] = set()
        self._prepared = False
        self.waited: set[str] = set()

    def submit(self, run: RunSpec, code_uri: str | None) -> None:
        if not self._prepared:
            self._prepare()
            self._prepared = True
        self._live.submit(self._asked(run), code_uri)
        self._started.add(run.name)
        self.waited.add(run.name)

    def observe(self, storage: str, run: str) -> RunState:
        found = self._live.observe(storage, run)
        if found.phase in _UNDER_WAY:
            self.waited.add(run)
        return found

    def stop(self, storage: str, run: str) -> None:
        if run in self._started:
            self._live.stop(storage, run)

    def logs(self, storage: str, run: str, lines: int) -> Sequence[Log]:
        return self._live.logs(storage, run, lines)

    def runs(self) -> Sequence[str]:
        return self._live.runs()

    def capacity(self) -> Capacity | None:
        return self._live.capacity()


class AsideTables:
    """A TableCatalog that deletes nothing."""

    def __init__(self, live: TableCatalog) -> None:
        self._live = live

    def describe(self, uri: str) -> TableState | None:
        return self._live.describe(uri)

    def versions(self, uri: str) -> Sequence[TableState]:
        return self._live.versions(uri)

    def checked(self, uri: str) -> CheckedRun | None:
        return self._live.checked(uri)

    def delete(self, uri: str) -> None:
        """Raises TerminalError ("NotOurs"): nothing of an environment goes because of a preview."""
        raise TerminalError("NotOurs", f"{uri} belongs to the environment, and a preview deletes nothing")


class AsideSource:
    """A RevisionSource: in force is what it was made with, and looked at is nothing else."""

    problem: None = None
    unreachable = ""

    def __init__(self, loaded: Snapshot, rules: Rules) -> None:
        self.loaded, self.rules = loaded, rules
        self._work: tuple[Ref, ...] | None = tuple(loaded.desired)

    @property
    def desired(self) -> Mapping[Ref, Desired[Any]]:
        return self.loaded.desired

    def poll(self) -> tuple[Ref, ...] | None:
        work, self._work = self._work, None
        return work


@dataclass(frozen=True)
class AsideReconciler(Reconciler):
    """The loop body. What has come to rest is not looked at again: newer data is the environment's matter."""

    def reconcile(self, ref: Ref, desired: Desired[Any] | None) -> Result:
        result = super().reconcile(ref, desired)
        status = result.change.status if result.change is not None else None
        if status is None or not status.conditions.ready.status or status.conditions.reconciling.status:
            return result
        return replace(result, requeue_after=None)


@dataclass
class OthersHold:
    """Keeps in a ledger what an environment holds of its quotas, where it has any: it ends, too. ``own`` are left
    out, because they are counted by who works beside it."""

    live: StateStore
    ledger: SharedLedger
    own: Collection[Ref]
    rules: Rules
    steady: Callable[[], float]
    _next: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def look(self) -> None:
        """Read the records, if that is due. Raises what the store raises."""
        with self._lock:
            if not self.rules.limits or self.steady() < self._next:
                return
            self._next = self.steady() + HELD_SECONDS
        for record in self.live.scan():
            if record.ref not in self.own:
                self.ledger.hold(record)
