"""How long things took, read from the log of what happened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from framework.api.meta import Ref
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.reasons import RUN_STARTED
from framework.ports import Event

KEPT = 20
"""Past runs of one resource that count: older ones tell of other data."""


@dataclass(frozen=True)
class Durations:
    """Seconds of past runs by resource, oldest first."""

    runs: Mapping[Ref, tuple[float, ...]] = field(default_factory=dict)

    def of(self, ref: Ref) -> tuple[float | None, str]:
        """The seconds that a run of this resource takes, and where that is from.

        The median of its own runs, else of all runs of its kind, else None.
        """
        own = self.runs.get(ref, ())
        if own:
            return median(own), "its only run" if len(own) == 1 else f"median of {len(own)} runs"
        kin = [seconds for other, taken in self.runs.items() if other.kind == ref.kind for seconds in taken]
        if kin:
            count = f"median of {len(kin)} runs" if len(kin) > 1 else "one run"
            return median(kin), f"{count} of other {ref.kind}s"
        return None, "never ran"


def durations(events: Iterable[Event], kinds: Mapping[str, Kind]) -> Durations:
    """What the events (oldest first) tell. Runs that failed tell nothing of how long one takes that works.

    An event that ends a run says under ``seconds`` how long it took; where it does not, the time since its start
    counts, which includes what passed until somebody looked.
    """
    done = {(name, reason) for name, kind in kinds.items() if kind.runs for reason in kind.runs.done}
    runs: dict[Ref, list[float]] = {}
    began: dict[Ref, datetime] = {}
    for event in events:
        if event.ref is None:
            continue
        if event.reason == RUN_STARTED:
            began[event.ref] = event.time
        elif (event.ref.kind, event.reason) in done:
            start = began.pop(event.ref, None)
            seconds = event.data.get("seconds")
            if start is not None:
                taken = float(seconds) if isinstance(seconds, int | float) else (event.time - start).total_seconds()
                runs.setdefault(event.ref, []).append(max(taken, 0.0))
        elif "run" in event.data:
            began.pop(event.ref, None)
    return Durations({ref: tuple(taken[-KEPT:]) for ref, taken in runs.items()})
