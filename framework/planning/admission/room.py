"""Whether there is room for what a change starts: by the quotas, and by what the cluster has. Pure.

A quota counts what may be taken at the peak. The cluster counts what is taken now, by whomever, and what was let in and
is not taken yet: all that a run can use, or, where nothing ends that would make room for that, what it cannot do
without; of a deployment its fewest replicas, and its router.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.admission.ledger import ROUTER, Admitted, Ledger, Take, router_of, total
from framework.planning.admission.placement import why_nowhere
from framework.planning.admission.rules import UNITS, Rules
from framework.planning.grammar.actions import Action, DeployApp, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.planning.grammar.events import is_new, some
from framework.planning.grammar.kind import Needs
from framework.planning.grammar.reasons import (
    BEGAN,
    CLUSTER_TOO_SMALL,
    QUOTA_EXCEEDED,
    WAITING_FOR_QUOTA,
    WAITING_FOR_ROOM,
    Reason,
)
from framework.ports import Capacity, Record

LOOK_AGAIN = timedelta(seconds=30)
"""At the latest: whoever gives something back wakes those that wait."""
LOOK_FOR_ROOM = timedelta(seconds=3)
"""For who goes first: what others give back, or what Ray takes a moment to free, wakes nobody."""
_TOLERANCE = 1e-9


def starts_something(action: Action) -> bool:
    """Whether it needs room."""
    return isinstance(action, (SubmitRun, DeployApp))


@dataclass(frozen=True)
class _Asked:
    """What an action adds to what runs: ``peak`` is what that takes at most, ``room`` what there must be room for, from
    all that it can use to what it cannot do without."""

    item: str
    peak: Take
    room: tuple[Take, ...]


@dataclass(frozen=True)
class _Bound:
    """What may be taken at a time, and what is; of the cluster, what items of ours have, and what ``others`` do."""

    limits: Mapping[str, float]
    used: Take
    has: Mapping[str, Take] = field(default_factory=dict)
    others: Take = field(default_factory=Take)
    leaving: Mapping[Ref, Take] = field(default_factory=dict)
    """What was given back and is still held."""

    def plus(self, more: Take) -> _Bound:
        return replace(self, used=self.used.plus(more))

    def could_hold(self, take: Take) -> bool:
        return all(getattr(take, name) <= limit + _TOLERANCE for name, limit in self.limits.items())


def within_room(
    change: Change,
    status: Status | None,
    record: Record | None,
    owned: frozenset[str],
    needs: Needs,
    rules: Rules,
    ledger: Ledger,
    capacity: Capacity | None,
    now: datetime,
) -> Admitted:
    """``change`` without what there is no room for. ``capacity`` is None where nobody knows what the cluster has."""
    if not any(starts_something(action) for action in change.actions):
        return Admitted(change)
    released = {f"run:{action.run}" for action in change.actions if isinstance(action, StopRun)}
    line = _Line(change.ref, rules, ledger, frozenset(released))
    quotas, cluster = line.quotas(), line.cluster(capacity)
    kept: list[Action] = []
    let_in: dict[str, Take] = {}
    room: dict[str, Take] = {}
    by_quota, by_cluster, for_good = _Held(), _Held(), _Held()
    nowhere = "" if capacity is None or cluster is None else why_nowhere(needs, capacity)
    for action in change.actions:
        asked = _asks(action, needs)
        if asked is None:
            kept.append(action)
            continue
        peak = asked.peak.beyond(line.own(ledger.held, asked.item))
        exceeded = line.exceeded(peak, quotas)
        if exceeded:
            by_quota.add(asked.item, peak, exceeded)
            continue
        if nowhere:
            for_good.add(asked.item, peak, ())
            continue
        granted = line.grant(asked, cluster)
        if granted.over and cluster is not None:
            if cluster.could_hold(granted.room):
                by_cluster.add(asked.item, granted.more, granted.over)
            else:
                for_good.add(asked.item, granted.room, granted.over)
            continue
        kept.append(action)
        let_in[asked.item], room[asked.item] = asked.peak, granted.room
        quotas, cluster = quotas.plus(peak), cluster and cluster.plus(granted.more)
    withheld = by_quota.items | by_cluster.items | for_good.items
    if not withheld:
        return Admitted(change, let_in, room)
    ending: tuple[Ref, ...] = ()
    rollouts: tuple[Ref, ...] = ()
    soon = LOOK_AGAIN
    if for_good.items and cluster is not None:
        reason, message = CLUSTER_TOO_SMALL, nowhere or _too_small(for_good, cluster)
    elif by_quota.items or cluster is None:
        ending = line.ending(by_quota.over, quotas)
        reason, message = WAITING_FOR_QUOTA if ending else QUOTA_EXCEEDED, line.quota_message(by_quota, quotas)
    else:
        ending, rollouts = line.ending(by_cluster.over, cluster), line.rollouts(by_cluster.over)
        reason, message = WAITING_FOR_ROOM, line.room_message(by_cluster, cluster, ending, rollouts)
        soon = LOOK_AGAIN if line.ahead else LOOK_FOR_ROOM
    waits = _waiting(
        change,
        status,
        record,
        tuple(kept),
        absent=frozenset(withheld) - owned,
        condition=(reason, message),
        waits_for=ending if reason == WAITING_FOR_ROOM else (),
        again=soon,
        now=now,
    )
    want = by_quota.want.plus(by_cluster.want) if ending else None
    return Admitted(waits, let_in, room, over=True, want=want, rollouts=rollouts, withheld=reason)


def telling_who_waits(change: Change, waiting: Sequence[Ref]) -> Change:
    """``change`` of a rollout, with who would have room if it were over."""
    status = change.status
    if not waiting or status is None or not status.conditions.reconciling.status:
        return change
    reconciling = status.conditions.reconciling
    told = f"{some(map(str, waiting))} {'waits' if len(waiting) == 1 else 'wait'} for the room that it holds"
    said = reconciling.model_copy(update={"message": f"{reconciling.message}; {told}".lstrip("; ")})
    conditions = status.conditions.model_copy(update={"reconciling": said})
    return replace(change, status=status.model_copy(update={"conditions": conditions}))


class _Granted(NamedTuple):
    """What there is room for, what of it is not held yet, and the dimensions in which there is none."""

    room: Take
    more: Take
    over: Sequence[str] = ()


class _Held:
    """What is held back: its items, what they want, and the dimensions in which that is too much."""

    def __init__(self) -> None:
        self.items: frozenset[str] = frozenset()
        self.want = Take()
        self.over: tuple[str, ...] = ()

    def add(self, item: str, want: Take, over: Iterable[str]) -> None:
        self.items |= {item}
        self.want = self.want.plus(want)
        self.over = tuple(dict.fromkeys([*self.over, *over]))


@dataclass(frozen=True)
class _Line:
    """One resource among those that hold something and those that wait."""

    ref: Ref
    rules: Rules
    ledger: Ledger
    released: frozenset[str]
    """Items of its own that it gives back now."""

    @property
    def ahead(self) -> list[Ref]:
        place = self.rules.place(self.ref)
        return [other for other in self.ledger.waiting if other != self.ref and self.rules.place(other) < place]

    def own(self, items: Mapping[Ref, Mapping[str, Take]], item: str) -> Take:
        return Take() if item in self.released else items.get(self.ref, {}).get(item, Take())

    def quotas(self) -> _Bound:
        mine = self.ledger.held.get(self.ref, {})
        given_back = total(mine[item] for item in mine if item in self.released)
        return _Bound(self.rules.limits, self.ledger.total.minus(given_back))

    def cluster(self, capacity: Capacity | None) -> _Bound | None:
        """None where nobody knows what the cluster has, or no node of it has joined yet."""
        if capacity is None or not capacity.total.get("CPU"):
            return None
        size = _take(capacity.total)
        used = size.minus(_take(capacity.free))
        limits = {"cpus": size.cpus, "gpus": size.gpus}
        ours = {item: take for items in self.ledger.kept.values() for item, take in items.items()}
        staying = {item: take for item, take in ours.items() if item not in self.released}
        if capacity.held is None:
            kept = total(staying.values())
            others = used.beyond(total(ours.values()))
            return _Bound(limits, kept.plus(others), others=others)
        has = {item: _take(found) for item, found in capacity.held.items() if item in ours}
        going = self.ledger.leaving
        leaving = {going[item]: _take(found) for item, found in capacity.held.items() if item in going}
        others = used.minus(total(has.values()))
        for item in ours:
            if item in self.released:
                used = used.minus(has.pop(item, Take()))
        to_come = total(kept.beyond(has.get(item, Take())) for item, kept in staying.items())
        return _Bound(limits, used.plus(to_come), has, others, leaving)

    def exceeded(self, more: Take, bound: _Bound) -> list[str]:
        """The dimensions in which ``more`` does not fit beside what is in use and what others wait for longer."""
        limits = {name: limit for name, limit in bound.limits.items() if getattr(more, name) > _TOLERANCE}
        if not limits:
            return []
        full = bound.used.plus(more)
        found = [name for name, limit in limits.items() if getattr(full, name) > limit + _TOLERANCE]
        if found or not self.ledger.waiting:
            return found
        full = full.plus(total(self.ledger.waiting[other] for other in self.ahead))
        return [name for name, limit in limits.items() if getattr(full, name) > limit + _TOLERANCE]

    def grant(self, asked: _Asked, cluster: _Bound | None) -> _Granted:
        """Less than all that it can use only where nothing ends that would make room for that."""
        if cluster is None:
            return _Granted(asked.room[0], Take())
        kept, has = self.own(self.ledger.kept, asked.item), cluster.has.get(asked.item, Take())
        already = kept.plus(has.beyond(kept))
        router = Take()
        if asked.item.startswith("app:") and router_of(self.ref) not in self.ledger.kept.get(self.ref, {}):
            router = ROUTER
        wanted = [take for take in asked.room if cluster.could_hold(take)] or asked.room[-1:]
        found = []
        for take in wanted:
            more = take.beyond(already).plus(router)
            found.append(_Granted(take, more, self.exceeded(more, cluster)))
        most, least = found[0], found[-1]
        return least if most.over and not self.ending(most.over, cluster) else most

    def ending(self, over: Sequence[str], bound: _Bound) -> tuple[Ref, ...]:
        """Who is in the way and ends by itself: a run, one version of two that serve side by side, what has yet to come
        and go first, or what is going already."""
        found = [*((ref, self.ledger.waiting[ref]) for ref in self.ahead), *bound.leaving.items()]
        for ref, items in self.ledger.held.items():
            apps = sum(item.startswith("app:") for item in items)
            found += [(ref, take) for item, take in items.items() if item.startswith("run:") or apps > 1]
        return tuple(sorted({ref for ref, take in found if any(getattr(take, name) > 0 for name in over)}))

    def rollouts(self, over: Sequence[str]) -> tuple[Ref, ...]:
        """Whose two versions are in the way."""
        return tuple(
            ref
            for ref, items in sorted(self.ledger.kept.items())
            if ref != self.ref
            and sum(item.startswith("app:") for item in items) > 1
            and any(getattr(take, name) > 0 for take in items.values() for name in over)
        )

    def quota_message(self, held: _Held, quotas: _Bound) -> str:
        """``needs 2 GPUs; 3 of 4 GPUs are in use by TrainingJob/a``."""
        parts = []
        for name in held.over:
            holders = sorted(
                ref
                for ref, items in self.ledger.held.items()
                if any(getattr(take, name) > 0 for take in items.values())
            )
            by = f" by {some(map(str, holders))}" if holders else ""
            used = f"{getattr(quotas.used, name):g} of {quotas.limits[name]:g} {UNITS[name]} are in use{by}"
            parts.append(f"{_needs(held, name)}; {used}")
        return ", ".join([*parts, *self._first()])

    def room_message(self, held: _Held, cluster: _Bound, ending: Collection[Ref], rollouts: Sequence[Ref]) -> str:
        """``needs 1 CPU; 0.8 of 2 CPUs are free (ModelDeployment/a holds 0.6, ModelDeployment/b holds 0.6)``."""
        parts = []
        for name in held.over:
            limit = cluster.limits[name]
            free = max(0.0, limit - getattr(cluster.used, name))
            by = some(self._holders(name, cluster))
            told = f"{free:.4g} of {limit:g} {UNITS[name]} are free{f' ({by})' if by else ''}"
            parts.append(f"{_needs(held, name)}; {told}")
        parts = [", ".join([*parts, *self._first()])]
        if rollouts:
            first = rollouts[0].name
            who = f"the rollout{'s' if len(rollouts) > 1 else ''} of {some(map(str, rollouts))}"
            ends = f"mlopsctl rollout promote {first} --full, or mlopsctl rollout abort {first}"
            parts.append(f"{who} would make room: {ends}")
        elif not ending:
            parts.append("nothing of that ends by itself: serve fewer or smaller replicas, or enlarge the cluster")
        return "; ".join(parts)

    def _holders(self, name: str, cluster: _Bound) -> list[str]:
        """Who holds, or is to have, how much: those with most first."""
        amounts = {
            str(ref): sum(
                max(getattr(kept, name), getattr(cluster.has.get(item, Take()), name)) for item, kept in items.items()
            )
            for ref, items in self.ledger.kept.items()
        }
        amounts["somebody else"] = getattr(cluster.others, name)
        ordered = sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
        return [f"{who} holds {amount:.4g}" for who, amount in ordered if amount > _TOLERANCE]

    def _first(self) -> list[str]:
        ahead = sorted(self.ahead)
        return [f"{some(map(str, ahead))} {'comes' if len(ahead) == 1 else 'come'} first"] if ahead else []


def _asks(action: Action, needs: Needs) -> _Asked | None:
    match action:
        case SubmitRun(run):
            peak, least = Take(needs.cpus, needs.gpus, 1), Take(*(needs.least or (needs.cpus, needs.gpus)), 1)
            return _Asked(f"run:{run.name}", peak, (peak,) if least == peak else (peak, least))
        case DeployApp(app):
            fewest, most = app.min_replicas, app.max_replicas
            return _Asked(
                f"app:{app.name}",
                Take(most * app.cpus, most * app.gpus),
                (Take(fewest * app.cpus, fewest * app.gpus),),
            )
        case _:
            return None


def _take(resources: Mapping[str, float]) -> Take:
    return Take(resources.get("CPU", 0.0), resources.get("GPU", 0.0))


def _needs(held: _Held, name: str) -> str:
    amount, unit = getattr(held.want, name), UNITS[name]
    return f"needs {amount:g} {unit if amount != 1 else unit[:-1]}"


def _too_small(held: _Held, cluster: _Bound) -> str:
    parts = [
        f"{_needs(held, name)}, and the cluster has {limit:g}"
        for name, limit in cluster.limits.items()
        if getattr(held.want, name) > limit + _TOLERANCE
    ]
    return "; ".join(parts)


def _waiting(
    change: Change,
    status: Status | None,
    record: Record | None,
    kept: tuple[Action, ...],
    *,
    absent: frozenset[str],
    condition: tuple[Reason, str],
    waits_for: tuple[Ref, ...],
    again: timedelta,
    now: datetime,
) -> Change:
    reason, message = condition
    assert change.status is not None  # only what is asked for starts anything
    previous = status.conditions if status else None
    conditions = transition(
        previous, now, ready=change.status.conditions.ready.status, reconciling=True, reason=reason, message=message
    )
    told = tuple(item for item in change.events if item.reason not in BEGAN)
    if is_new(reason, record, previous.reconciling if previous else None):
        told = (*told, NewEvent(reason, message))
    soon = change.requeue_after if kept else None
    return replace(
        change,
        verb=change.verb if kept else Verb.WAIT,
        reason=message,
        status=change.status.model_copy(update={"conditions": conditions, "waits_for": waits_for}),
        actions=kept,
        inventory=change.inventory - absent,
        requeue_after=again if soon is None else soon,
        events=told,
    )
