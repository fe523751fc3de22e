"""Who holds how much of the cluster, and who waits for how much. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from framework.api.meta import Ref
from framework.planning.grammar.actions import StopRun
from framework.planning.grammar.changes import Change
from framework.ports import ROUTER_CPUS, Record

_REMEMBERED = 100
"""Items that were given back last: nothing takes Ray long."""


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


@dataclass(frozen=True)
class Admitted:
    """``takes`` is what the items that the change starts take at their peak, ``room`` what is kept free for each until
    it holds it. ``over``: there is no room for something of it; ``want`` is what that would take, where others will end
    and make room, and ``rollouts`` are those that would if they ended. ``withheld`` is why anything is held back."""

    change: Change
    takes: Mapping[str, Take] = field(default_factory=dict)
    room: Mapping[str, Take] = field(default_factory=dict)
    over: bool = False
    want: Take | None = None
    rollouts: tuple[Ref, ...] = ()
    withheld: str = ""


ROUTER = Take(ROUTER_CPUS)


def router_of(deployment: Ref) -> str:
    """Its item of the inventory."""
    return f"route:{deployment.name}"


class Ledger:
    """Who holds what, and who waits for how much. Kept by whoever admits, one change after the other.

    ``held`` is counted at its peak, ``kept`` is what room is kept for, both by item; ``rollouts`` are those in whose
    way a rollout is, and which. ``leaving`` tells whose items were given back: the cluster may take a moment.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.held: dict[Ref, Mapping[str, Take]] = {}
        self.kept: dict[Ref, Mapping[str, Take]] = {}
        self.waiting: dict[Ref, Take] = {}
        self.rollouts: dict[Ref, tuple[Ref, ...]] = {}
        self.leaving: dict[str, Ref] = {}
        self.total = Take()
        for record in records:
            self.hold(record)

    def hold(self, record: Record) -> None:
        """Take over what the record owns now, and what it may own by what is being done."""
        stops = [intent.item for intent in record.doing if intent.key.startswith("stop/")]
        self._set(record.ref, _changing_places(_items(record.inventory, holdings(record)), stops))
        self._keep(record.ref, _changing_places(_items(record.inventory, _kept(record)), stops), record.inventory)

    def let_in(self, ref: Ref, admitted: Admitted, record: Record | None) -> None:
        """Count what a change was let in for, before it is done: the next one must find it here."""
        self.waits_no_more(ref)
        if admitted.want is not None:
            self.waiting[ref] = admitted.want
        if admitted.rollouts:
            self.rollouts[ref] = admitted.rollouts
        inventory = {*admitted.change.inventory, *(record.inventory if record else ())}
        before = takes(Admitted(admitted.change), record, inventory)
        new = {item: take.pair for item, take in admitted.takes.items()}
        stops = [action.item for action in admitted.change.actions if isinstance(action, StopRun)]
        self._set(ref, _changing_places(_items(inventory, _larger(before, new)), stops))
        self._keep(ref, _changing_places(_items(inventory, keeps(admitted, record, inventory)), stops), inventory)

    def waits_no_more(self, ref: Ref) -> None:
        self.waiting.pop(ref, None)
        self.rollouts.pop(ref, None)

    def waiting_for(self, rollout: Ref) -> tuple[Ref, ...]:
        """Who would have room if a rollout were over."""
        return tuple(sorted(ref for ref, others in self.rollouts.items() if rollout in others))

    def forget(self, ref: Ref) -> None:
        self.waits_no_more(ref)
        self._keep(ref, {}, ())
        for take in self.held.pop(ref, {}).values():
            self.total = self.total.minus(take)

    def _set(self, ref: Ref, items: Mapping[str, Take]) -> None:
        if items == self.held.get(ref, {}):
            return
        for take in self.held.pop(ref, {}).values():
            self.total = self.total.minus(take)
        if items:
            self.held[ref] = items
            self.total = total((self.total, *items.values()))

    def _keep(self, ref: Ref, items: Mapping[str, Take], inventory: Iterable[str]) -> None:
        """What is served has a router, from its first version on."""
        kept = dict(items)
        if any(item.startswith(("app:", "route:")) for item in (*items, *inventory)):
            kept[router_of(ref)] = ROUTER
        self.leaving.update(dict.fromkeys(self.kept.get(ref, {}).keys() - kept.keys(), ref))
        for item in (*kept, *list(self.leaving)[:-_REMEMBERED]):
            self.leaving.pop(item, None)
        if kept:
            self.kept[ref] = kept
        else:
            self.kept.pop(ref, None)


def _items(inventory: Iterable[str], taken: Mapping[str, tuple[float, float]]) -> dict[str, Take]:
    return {
        item: Take(*taken.get(item, (0.0, 0.0)), 1 if item.startswith("run:") else 0)
        for item in sorted(inventory)
        if item.startswith(("run:", "app:"))
    }


def _changing_places(held: dict[str, Take], stops: Collection[str]) -> dict[str, Take]:
    """What a run gives back goes to the one that is there in its place: together they take no more than the larger."""
    room = total(take for item, take in held.items() if item.startswith("run:") and item not in stops)
    for item in stops:
        if item in held:
            left = held[item].beyond(room)
            room = room.beyond(held[item])
            held = {**held, item: left}
    return held


def takes(admitted: Admitted, record: Record | None, inventory: Iterable[str]) -> dict[str, tuple[float, float]]:
    """What a record remembers beside ``inventory`` once the change is done: what each item of it was let in with, or
    was found to take. Of what an earlier look left open, the larger."""
    known = {
        **(holdings(record) if record else {}),
        **admitted.change.takes,
        **{item: take.pair for item, take in admitted.takes.items()},
    }
    return {item: known[item] for item in sorted(inventory) if item in known}


def keeps(admitted: Admitted, record: Record | None, inventory: Iterable[str]) -> dict[str, tuple[float, float]]:
    """What is kept free for each item of ``inventory`` until it holds it: what it was let in for."""
    known = {**(_kept(record) if record else {}), **{item: take.pair for item, take in admitted.room.items()}}
    return {item: known[item] for item in sorted(inventory) if item in known}


def _kept(record: Record) -> Mapping[str, tuple[float, float]]:
    """Records of versions that kept no room tell of runs alone: those take at once what they take at their peak."""
    return {**{item: pair for item, pair in record.takes.items() if item.startswith("run:")}, **record.room}


def holdings(record: Record) -> Mapping[str, tuple[float, float]]:
    """What each item takes at most: a deployment in place that may or may not have been done counts at its larger
    size."""
    return _larger(record.takes, {intent.item: intent.takes for intent in record.doing if intent.takes is not None})


def gave_back(before: Record | None, after: Record | None) -> bool:
    """Whether something that quotas count is free now."""
    if before is None:
        return False
    held, left = holdings(before), holdings(after) if after is not None else {}
    kept = after.inventory if after is not None else ()
    if any(item not in kept for item in before.inventory):
        return True
    return any(item in left and (left[item][0] < cpus or left[item][1] < gpus) for item, (cpus, gpus) in held.items())


def _larger(
    one: Mapping[str, tuple[float, float]], other: Mapping[str, tuple[float, float]]
) -> Mapping[str, tuple[float, float]]:
    if not other:
        return one
    none = (0.0, 0.0)
    pairs = {item: (one.get(item, none), other.get(item, none)) for item in one.keys() | other.keys()}
    return {item: (max(a[0], b[0]), max(a[1], b[1])) for item, (a, b) in pairs.items()}


def total(takes: Iterable[Take]) -> Take:
    found = Take()
    for take in takes:
        found = found.plus(take)
    return found
