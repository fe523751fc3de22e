"""What is looked up in the world about resources of one kind. Nothing of it changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controllers.kinds.trail import LineagePart, Trail
from framework.api.meta import Ref
from framework.planning.admission.restore import Kept
from framework.planning.grammar.changes import Desired, Status
from framework.planning.grammar.reasons import RUN_STARTED
from framework.ports import CheckedRun, Log, Ports, Record

Specs = Mapping[Ref, Desired[Any]]


def _as_it_was(asked: Desired[Any], specs: Specs, ports: Ports) -> Kept:
    return Kept(True, "as it was")


def _run_logs(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    """Of the run that was started last, whatever became of it; nothing where none was."""
    started = ports.state.events(ref, 1, reasons=(RUN_STARTED,))
    if not started:
        return ()
    run = str(started[-1].data.get("run", "")).rpartition("-")[0]
    return ports.runs.logs(ports.storage, run, lines)


def _expects_nothing(ref: Ref, asked: Desired[Any] | None, ports: Ports) -> CheckedRun | None:
    return None


def _leaves_no_trace(record: Record, trail: Trail) -> Iterator[LineagePart]:
    yield from ()


@dataclass(frozen=True)
class Observer:
    """One a kind. One that says no more builds nothing that could be gone or traced, and its processes are runs."""

    observe: Callable[[Ref, Desired[Any] | None, Status | None, Ports, datetime], Any]
    """What the kind's plan function needs to know about one resource."""
    left: Callable[[Desired[Any], Specs, Ports], Kept] = _as_it_was
    """What is left of what a resource built at an earlier commit, which asked for all of ``specs``."""
    logs: Callable[[Ref, Ports, int], Sequence[Log]] = _run_logs
    """The last so many lines of each of its processes. Raises ConfigurationError where there are none, or they cannot
    be had."""
    traces: Callable[[Record, Trail], Iterator[LineagePart]] = _leaves_no_trace
    """By its record: what is in service of it, or on its way there, and what that came from."""
    checked: Callable[[Ref, Desired[Any] | None, Ports], CheckedRun | None] = _expects_nothing
    """What came of its expectations in its newest run; None where it has none. Raises TransientError."""
