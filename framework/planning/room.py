"""Whether there is room for what a change starts, and what becomes of it where there is none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.actions import Action, DeployApp, StopRun, SubmitRun
from framework.planning.changes import Change, Happening, Status, Verb
from framework.planning.kind import Needs
from framework.planning.ledger import Admitted, Ledger, Take, total
from framework.planning.news import is_news, some
from framework.planning.rules import UNITS, Rules
from framework.ports import Record

WAITING = "WaitingForQuota"
"""Work that is under way holds what it needs, and will end."""
EXCEEDED = "QuotaExceeded"
"""What stands holds what it needs: nothing ends by itself."""

LOOK_AGAIN = timedelta(seconds=30)
"""At the latest: whoever gives something back wakes those that wait."""
_TOLD_WHEN_DONE = frozenset({"RunStarted", "DriftRepaired", "StableRestarted"})
"""Happenings that say that something was started, which is not true of what is held back."""
_TOLERANCE = 1e-9


def starts_something(action: Action) -> bool:
    """Whether quotas count it."""
    return isinstance(action, (SubmitRun, DeployApp))


def within_quotas(
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
    used = ledger.total.minus(total(ledger.held.get(change.ref, {}).values())).plus(total(mine.values()))
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
    want = total(withheld.values())
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
    full = full.plus(total(ledger.waiting[other] for other in _ahead(ref, rules, ledger)))
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
        unit, limit = UNITS[name], rules.limits[name]
        amount = getattr(want, name)
        needed = f"needs {amount:g} {unit if amount != 1 else unit[:-1]}"
        holders = sorted(
            other for other, items in ledger.held.items() if any(getattr(take, name) > 0 for take in items.values())
        )
        by = f" by {some(map(str, holders))}" if holders else ""
        parts.append(f"{needed}; {getattr(used, name):g} of {limit:g} {unit} are in use{by}")
    ahead = sorted(_ahead(ref, rules, ledger))
    if ahead:
        parts.append(f"{some(map(str, ahead))} {'comes' if len(ahead) == 1 else 'come'} first")
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
    if is_news(reason, record, previous.reconciling if previous else None):
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
