"""What of a change may be done now: an environment may be suspended, have quotas, and keep what git no longer asks for.

Between plan and execute, in a pass and in ``mlopsctl plan`` alike. Pure. Nobody waits in a circle: runs end without
asking for more, and of those that wait the first in dependency order goes first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from framework.api.categories import Category
from framework.api.conditions import Condition, transition
from framework.api.meta import Ref
from framework.planning.actions import (
    Action,
    DeleteApp,
    DeleteModels,
    DeleteRoute,
    DeleteTable,
    DeployApp,
    SetRoute,
    StopRun,
    SubmitRun,
)
from framework.planning.changes import Change, Happening, Status, Verb
from framework.planning.heirs import Claimed
from framework.planning.kind import Needs
from framework.ports import Record

SUSPENDED = "Suspended"
WAITING = "WaitingForQuota"
"""Work that is under way holds what it needs, and will end."""
EXCEEDED = "QuotaExceeded"
"""What stands holds what it needs: nothing ends by itself."""
ORPHANED = "Orphaned"

LOOK_AGAIN = timedelta(seconds=30)
"""At the latest: whoever gives something back wakes those that wait."""
CHANGES_WHAT_RUNS = (SubmitRun, StopRun, DeployApp, DeleteApp, SetRoute, DeleteRoute, DeleteTable, DeleteModels)
"""Recording a model, writing a report and sending an alert do not."""
_TOLD_WHEN_DONE = frozenset({"RunStarted", "DriftRepaired", "StableRestarted"})
"""Happenings that say that something was started, which is not true of what is held back."""
_SHOWN = 3
_TOLERANCE = 1e-9


class Take(NamedTuple):
    """What one item of an inventory takes from the cluster."""

    cpus: float = 0.0
    gpus: float = 0.0
    runs: int = 0

    def plus(self, other: Take) -> Take:
        return Take(self.cpus + other.cpus, self.gpus + other.gpus, self.runs + other.runs)

    def minus(self, other: Take) -> Take:
        return Take(self.cpus - other.cpus, self.gpus - other.gpus, self.runs - other.runs)

    @property
    def pair(self) -> tuple[float, float]:
        """As a record keeps it."""
        return self.cpus, self.gpus

    def beyond(self, other: Take) -> Take:
        """What this takes more than ``other``, dimension by dimension."""
        less = self.minus(other)
        return Take(max(0.0, less.cpus), max(0.0, less.gpus), max(0, less.runs))


_UNITS = {"cpus": "CPUs", "gpus": "GPUs", "runs": "runs"}


@dataclass(frozen=True)
class Rules:
    """What the Environment in force allows; no limit where it is None. ``order`` is each resource's place in dependency
    order: who waits longer up there goes first. ``claimed`` tells who is to have what only one may have."""

    suspend: bool = False
    cpus: float | None = None
    gpus: float | None = None
    runs: int | None = None
    prune: bool = True
    keep_data: bool = False
    order: Mapping[Ref, int] = field(default_factory=dict, compare=False, repr=False)
    claimed: Claimed = field(default=lambda kind, value: None, compare=False, repr=False)

    @property
    def limits(self) -> Mapping[str, float]:
        """By dimension of :class:`Take`, in a fixed order."""
        found = {name: getattr(self, name) for name in _UNITS}
        return {name: limit for name, limit in found.items() if limit is not None}

    def place(self, ref: Ref) -> tuple[int, Ref]:
        return (self.order.get(ref, len(self.order)), ref)


class Ledger:
    """Who holds what, and who waits for how much. Kept by whoever admits, one change after the other."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.held: dict[Ref, Mapping[str, Take]] = {}
        self.waiting: dict[Ref, Take] = {}
        self.total = Take()
        for record in records:
            self.hold(record)

    def hold(self, record: Record) -> None:
        """Take over what the record owns now, and what it may own by what is being done."""
        stops = [intent.item for intent in record.doing if intent.key.startswith("stop/")]
        self._set(record.ref, _changing_places(_items(record.inventory, holdings(record)), stops))

    def let_in(self, ref: Ref, admitted: Admitted, record: Record | None) -> None:
        """Count what a change was let in for, before it is done: the next one must find it here."""
        if admitted.want is None:
            self.waiting.pop(ref, None)
        else:
            self.waiting[ref] = admitted.want
        inventory = {*admitted.change.inventory, *(record.inventory if record else ())}
        before = takes(Admitted(admitted.change), record, inventory)
        new = {item: take.pair for item, take in admitted.takes.items()}
        stops = [action.item for action in admitted.change.actions if isinstance(action, StopRun)]
        self._set(ref, _changing_places(_items(inventory, _larger(before, new)), stops))

    def forget(self, ref: Ref) -> None:
        self.waiting.pop(ref, None)
        for take in self.held.pop(ref, {}).values():
            self.total = self.total.minus(take)

    def _set(self, ref: Ref, items: Mapping[str, Take]) -> None:
        if items == self.held.get(ref, {}):
            return
        for take in self.held.pop(ref, {}).values():
            self.total = self.total.minus(take)
        if items:
            self.held[ref] = items
            self.total = _sum((self.total, *items.values()))


def _items(inventory: Iterable[str], taken: Mapping[str, tuple[float, float]]) -> dict[str, Take]:
    return {
        item: Take(*taken.get(item, (0.0, 0.0)), 1 if item.startswith("run:") else 0)
        for item in sorted(inventory)
        if item.startswith(("run:", "app:"))
    }


def _changing_places(held: dict[str, Take], stops: Collection[str]) -> dict[str, Take]:
    """What a run gives back goes to the one that is there in its place: together they take no more than the larger."""
    room = _sum(take for item, take in held.items() if item.startswith("run:") and item not in stops)
    for item in stops:
        if item in held:
            left = held[item].beyond(room)
            room = room.beyond(held[item])
            held = {**held, item: left}
    return held


@dataclass(frozen=True)
class Admitted:
    """``takes`` is what the items that the change starts take. ``over``: a quota holds something of it back; ``want``
    is what that would take, where others will end and make room. ``withheld`` is why anything is held back."""

    change: Change
    takes: Mapping[str, Take] = field(default_factory=dict)
    over: bool = False
    want: Take | None = None
    withheld: str = ""


def admit(
    change: Change,
    status: Status | None,
    record: Record | None,
    needs: Needs,
    rules: Rules,
    ledger: Ledger,
    now: datetime,
) -> Admitted:
    """``change`` as it may be done now. ``status`` is that of ``record``; ``needs`` are those of one run or version."""
    owned = frozenset(record.inventory if record else ())
    if change.verb is Verb.DELETE and status is not None and not rules.prune:
        return Admitted(_orphaned(change, status, record, owned, now), withheld=ORPHANED)
    if rules.keep_data:
        change = _keeping_data(change)
    held_back = change.status is None or any(isinstance(action, CHANGES_WHAT_RUNS) for action in change.actions)
    if rules.suspend and held_back:
        return Admitted(_suspended(change, status, record, owned, now), withheld=SUSPENDED)
    return _within_quotas(change, status, record, owned, needs, rules, ledger, now)


def admit_all(
    planned: Iterable[tuple[Change, Status | None, Needs]], records: Mapping[Ref, Record], rules: Rules, now: datetime
) -> tuple[Change, ...]:
    """What a pass over all of ``planned``, in this order, would be let do."""
    ledger = Ledger(records.values())
    found = []
    for change, status, needs in planned:
        record = records.get(change.ref)
        admitted = admit(change, status, record, needs, rules, ledger, now)
        ledger.let_in(change.ref, admitted, record)
        found.append(admitted.change)
    return tuple(found)


def takes(admitted: Admitted, record: Record | None, inventory: Iterable[str]) -> dict[str, tuple[float, float]]:
    """What a record remembers beside ``inventory`` once the change is done: what each item of it was let in with, or
    was found to take. Of what an earlier look left open, the larger."""
    known = {
        **(holdings(record) if record else {}),
        **admitted.change.takes,
        **{item: take.pair for item, take in admitted.takes.items()},
    }
    return {item: known[item] for item in sorted(inventory) if item in known}


def holdings(record: Record) -> Mapping[str, tuple[float, float]]:
    """What each item takes at most: a deployment in place that may or may not have been done counts at its larger
    size."""
    return _larger(record.takes, {intent.item: intent.takes for intent in record.doing if intent.takes is not None})


def _larger(
    one: Mapping[str, tuple[float, float]], other: Mapping[str, tuple[float, float]]
) -> Mapping[str, tuple[float, float]]:
    if not other:
        return one
    none = (0.0, 0.0)
    pairs = {item: (one.get(item, none), other.get(item, none)) for item in one.keys() | other.keys()}
    return {item: (max(a[0], b[0]), max(a[1], b[1])) for item, (a, b) in pairs.items()}


def starts_something(action: Action) -> bool:
    """Whether quotas count it."""
    return isinstance(action, (SubmitRun, DeployApp))


# ------------------------------------------------------------------- deletion


def _orphaned(change: Change, status: Status, record: Record | None, owned: frozenset[str], now: datetime) -> Change:
    message = "git no longer has it; it keeps running, because deletion.prune of the Environment is false"
    first = _is_news(ORPHANED, record, status.conditions.stalled)
    conditions = transition(
        status.conditions, now, ready=status.conditions.ready.status, stalled=True, reason=ORPHANED, message=message
    )
    return Change(
        change.ref,
        Verb.NOOP,
        Category.NOOP,
        message,
        status.model_copy(update={"conditions": conditions}),
        inventory=owned,
        happenings=(Happening(ORPHANED, message),) if first else (),
    )


def _is_news(reason: str, record: Record | None, said: Condition | None) -> bool:
    """Whether the last look that got so far did not say so: neither its record does, nor its status."""
    if record is not None and record.withheld == reason:
        return False
    return said is None or not (said.status and said.reason == reason)


def _keeping_data(change: Change) -> Change:
    kept = tuple(action for action in change.actions if not isinstance(action, (DeleteTable, DeleteModels)))
    if len(kept) == len(change.actions):
        return change
    reason = "removed from git; its data stays, because deletion.data of the Environment is keep"
    told = tuple(replace(item, message=reason) if item.reason == "Deleted" else item for item in change.happenings)
    return replace(change, actions=kept, reason=reason, happenings=told)


# ------------------------------------------------------------------- suspension


def _suspended(
    change: Change, status: Status | None, record: Record | None, owned: frozenset[str], now: datetime
) -> Change:
    """Nothing was done, so nothing is remembered as done: only what git asks for, and why nothing comes of it."""
    waits = [action.key for action in change.actions if isinstance(action, CHANGES_WHAT_RUNS)] or ["its removal"]
    message = f"the environment is suspended; {_some(waits)} {'waits' if len(waits) == 1 else 'wait'}"
    new = change.status or status
    assert new is not None  # a change without a status removes something that has one
    previous = status.conditions if status else None
    conditions = transition(
        previous, now, ready=new.conditions.ready.status, reconciling=True, reason=SUSPENDED, message=message
    )
    kept = {"state": status.state, "spec": status.spec, "summary": status.summary} if status else _NOTHING
    first = _is_news(SUSPENDED, record, previous.reconciling if previous else None)
    return replace(
        change,
        verb=Verb.WAIT,
        reason=message,
        status=new.model_copy(update={**kept, "conditions": conditions}),
        actions=(),
        inventory=owned,
        requeue_after=None,
        happenings=(Happening(SUSPENDED, message),) if first else (),
    )


_NOTHING = {"state": {}, "spec": {}, "summary": ""}


# ------------------------------------------------------------------- quotas


def _within_quotas(
    change: Change,
    status: Status | None,
    record: Record | None,
    owned: frozenset[str],
    needs: Needs,
    rules: Rules,
    ledger: Ledger,
    now: datetime,
) -> Admitted:
    released = {f"run:{action.run}" for action in change.actions if isinstance(action, StopRun)}
    mine = {item: take for item, take in ledger.held.get(change.ref, {}).items() if item not in released}
    used = ledger.total.minus(_sum(ledger.held.get(change.ref, {}).values())).plus(_sum(mine.values()))
    kept: list[Action] = []
    let_in: dict[str, Take] = {}
    withheld: dict[str, Take] = {}
    over: list[str] = []
    for action in change.actions:
        asked = _asks(action, needs)
        if asked is None:
            kept.append(action)
            continue
        item, take = asked
        more = take.beyond(mine.get(item, Take()))
        exceeded = _exceeded(change.ref, more, used, rules, ledger)
        if exceeded:
            withheld[item] = more
            over += [name for name in exceeded if name not in over]
            continue
        kept.append(action)
        let_in[item] = take
        used = used.plus(more)
    if not withheld:
        return Admitted(change, let_in)
    want = _sum(withheld.values())
    hopeful = _will_end(change.ref, over, rules, ledger)
    reason = WAITING if hopeful else EXCEEDED
    message = _message(change.ref, want, over, used, rules, ledger)
    waiting = _waiting(change, status, record, tuple(kept), frozenset(withheld) - owned, reason, message, now)
    return Admitted(waiting, let_in, True, want if hopeful else None, reason)


def _asks(action: Action, needs: Needs) -> tuple[str, Take] | None:
    """The item that an action adds to what runs, and what that takes at its peak."""
    match action:
        case SubmitRun(run):
            return f"run:{run.name}", Take(needs.cpus, needs.gpus, 1)
        case DeployApp(app):
            return f"app:{app.name}", Take(app.max_replicas * app.cpus, app.max_replicas * app.gpus)
        case _:
            return None


def _exceeded(ref: Ref, more: Take, used: Take, rules: Rules, ledger: Ledger) -> list[str]:
    """The dimensions in which ``more`` does not fit beside what is in use and what others wait for longer."""
    limits = {name: limit for name, limit in rules.limits.items() if getattr(more, name) > _TOLERANCE}
    if not limits:
        return []
    full = used.plus(more)
    found = [name for name, limit in limits.items() if getattr(full, name) > limit + _TOLERANCE]
    if found or not ledger.waiting:
        return found
    full = full.plus(_sum(ledger.waiting[other] for other in _ahead(ref, rules, ledger)))
    return [name for name, limit in limits.items() if getattr(full, name) > limit + _TOLERANCE]


def _ahead(ref: Ref, rules: Rules, ledger: Ledger) -> list[Ref]:
    place = rules.place(ref)
    return [other for other in ledger.waiting if other != ref and rules.place(other) < place]


def _will_end(ref: Ref, over: Sequence[str], rules: Rules, ledger: Ledger) -> bool:
    """Whether something that is in the way ends by itself: a run, one version of two that serve side by side, or what
    has yet to come and go first."""
    ending = [ledger.waiting[other] for other in _ahead(ref, rules, ledger)]
    for items in ledger.held.values():
        apps = sum(item.startswith("app:") for item in items)
        ending += [take for item, take in items.items() if item.startswith("run:") or apps > 1]
    return any(getattr(take, name) > 0 for take in ending for name in over)


def _message(ref: Ref, want: Take, over: Sequence[str], used: Take, rules: Rules, ledger: Ledger) -> str:
    """``needs 2 GPUs; 3 of 4 GPUs are in use by TrainingJob/a``."""
    parts = []
    for name in over:
        unit, limit = _UNITS[name], rules.limits[name]
        amount = getattr(want, name)
        needed = f"needs {amount:g} {unit if amount != 1 else unit[:-1]}"
        holders = sorted(
            other for other, items in ledger.held.items() if any(getattr(take, name) > 0 for take in items.values())
        )
        by = f" by {_some(map(str, holders))}" if holders else ""
        parts.append(f"{needed}; {getattr(used, name):g} of {limit:g} {unit} are in use{by}")
    ahead = sorted(_ahead(ref, rules, ledger))
    if ahead:
        parts.append(f"{_some(map(str, ahead))} {'comes' if len(ahead) == 1 else 'come'} first")
    return ", ".join(parts)


def _waiting(
    change: Change,
    status: Status | None,
    record: Record | None,
    kept: tuple[Action, ...],
    absent: frozenset[str],
    reason: str,
    message: str,
    now: datetime,
) -> Change:
    assert change.status is not None  # only what is asked for starts anything
    previous = status.conditions if status else None
    conditions = transition(
        previous, now, ready=change.status.conditions.ready.status, reconciling=True, reason=reason, message=message
    )
    told = tuple(item for item in change.happenings if item.reason not in _TOLD_WHEN_DONE)
    if _is_news(reason, record, previous.reconciling if previous else None):
        told = (*told, Happening(reason, message))
    soon = change.requeue_after if kept else None
    return replace(
        change,
        verb=change.verb if kept else Verb.WAIT,
        reason=message,
        status=change.status.model_copy(update={"conditions": conditions}),
        actions=kept,
        inventory=change.inventory - absent,
        requeue_after=LOOK_AGAIN if soon is None else soon,
        happenings=told,
    )


def _sum(takes: Iterable[Take]) -> Take:
    total = Take()
    for take in takes:
        total = total.plus(take)
    return total


def _some(names: Iterable[str]) -> str:
    shown = list(names)
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + rest
