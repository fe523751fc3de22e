"""What git no longer has and is to stay all the same, and data that outlives what it was made for. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from framework.api.categories import Category
from framework.api.conditions import transition
from framework.planning.grammar.actions import DeleteModels, DeleteTable
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.planning.grammar.events import is_new
from framework.planning.grammar.reasons import DELETED, ORPHANED
from framework.ports import Record


def orphaned(change: Change, status: Status, record: Record | None, owned: frozenset[str], now: datetime) -> Change:
    message = "git no longer has it; it keeps running, because deletion.prune of the Environment is false"
    first = is_new(ORPHANED, record, status.conditions.stalled)
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
        events=(NewEvent(ORPHANED, message),) if first else (),
    )


def keeping_data(change: Change) -> Change:
    kept = tuple(action for action in change.actions if not isinstance(action, (DeleteTable, DeleteModels)))
    if len(kept) == len(change.actions):
        return change
    reason = "removed from git; its data stays, because deletion.data of the Environment is keep"
    told = tuple(replace(item, message=reason) if item.reason == DELETED else item for item in change.events)
    return replace(change, actions=kept, reason=reason, events=told)
