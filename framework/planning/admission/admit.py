"""What of a change may be done now: an environment may be suspended, have quotas, and keep what git no longer asks for;
and there must be room on the cluster.

Between plan and execute, in a pass and in ``mlopsctl plan`` alike. Pure. Nobody waits in a circle: runs end without
asking for more, and of those that wait the first in dependency order goes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.admission.ledger import Admitted, Ledger
from framework.planning.admission.retention import keeping_data, orphaned
from framework.planning.admission.room import within_room
from framework.planning.admission.rules import Rules
from framework.planning.grammar.actions import (
    DeleteApp,
    DeleteModels,
    DeleteRoute,
    DeleteTable,
    DeployApp,
    DropOnline,
    Propose,
    SetRoute,
    StopRun,
    SubmitRun,
)
from framework.planning.grammar.changes import Change, NewEvent, Status, Verb
from framework.planning.grammar.events import is_new, some
from framework.planning.grammar.kind import Needs
from framework.planning.grammar.reasons import ORPHANED, SUSPENDED
from framework.ports import Capacity, Record

CHANGES_WHAT_RUNS = (
    SubmitRun, StopRun, DeployApp, DeleteApp, SetRoute, DeleteRoute, DeleteTable, DropOnline, DeleteModels,
    Propose,
)  # fmt: skip
"""Or asks for that to be changed. Recording a model, writing a report and sending an alert do not."""
_NOTHING = {"state": {}, "spec": {}, "summary": ""}


def admit(
    change: Change,
    status: Status | None,
    record: Record | None,
    needs: Needs,
    rules: Rules,
    ledger: Ledger,
    now: datetime,
    capacity: Capacity | None = None,
) -> Admitted:
    """``change`` as it may be done now. ``status`` is that of ``record``; ``needs`` are those of one run or version;
    ``capacity`` is what the cluster has, None where nobody knows."""
    owned = frozenset(record.inventory if record else ())
    if change.verb is Verb.DELETE and status is not None and not rules.prune:
        return Admitted(orphaned(change, status, record, owned, now), withheld=ORPHANED)
    if rules.keep_data:
        change = keeping_data(change)
    held_back = change.status is None or any(isinstance(action, CHANGES_WHAT_RUNS) for action in change.actions)
    if rules.suspend and held_back:
        return Admitted(_suspended(change, status, record, owned, now), withheld=SUSPENDED)
    return within_room(change, status, record, owned, needs, rules, ledger, capacity, now)


def admit_all(
    planned: Iterable[tuple[Change, Status | None, Needs]],
    records: Mapping[Ref, Record],
    rules: Rules,
    now: datetime,
    capacity: Capacity | None = None,
) -> tuple[Change, ...]:
    """What a pass over all of ``planned``, in this order, would be let do."""
    ledger = Ledger(records.values())
    found = []
    for change, status, needs in planned:
        record = records.get(change.ref)
        admitted = admit(change, status, record, needs, rules, ledger, now, capacity)
        ledger.let_in(change.ref, admitted, record)
        found.append(admitted.change)
    return tuple(found)


def _suspended(
    change: Change, status: Status | None, record: Record | None, owned: frozenset[str], now: datetime
) -> Change:
    """Nothing was done, so nothing is remembered as done: only what git asks for, and why nothing comes of it."""
    waits = [action.key for action in change.actions if isinstance(action, CHANGES_WHAT_RUNS)] or ["its removal"]
    message = f"the environment is suspended; {some(waits)} {'waits' if len(waits) == 1 else 'wait'}"
    new = change.status or status
    assert new is not None  # a change without a status removes something that has one
    previous = status.conditions if status else None
    conditions = transition(
        previous, now, ready=new.conditions.ready.status, reconciling=True, reason=SUSPENDED, message=message
    )
    kept = {"state": status.state, "spec": status.spec, "summary": status.summary} if status else _NOTHING
    first = is_new(SUSPENDED, record, previous.reconciling if previous else None)
    return replace(
        change,
        verb=Verb.WAIT,
        reason=message,
        status=new.model_copy(update={**kept, "conditions": conditions}),
        actions=(),
        inventory=owned,
        requeue_after=None,
        events=(NewEvent(SUSPENDED, message),) if first else (),
    )
