"""What is about to be done is written down before it is done; afterwards, what came of it. Pure.

A process may end, or a port fail, between any two calls. Whoever looks next then finds what was meant to be done on
record, and takes it for what it is: something that may have been done. Nothing of it is blamed on other hands, what it
takes counts until that is known, and what it was to tell is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from framework.api.conditions import Conditions, transition
from framework.planning.admission.ledger import Take
from framework.planning.admission.room import starts_something
from framework.planning.grammar.actions import Action, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, NewEvent, Status
from framework.planning.grammar.reasons import DRIFT_REPAIRED, RUN_STARTED
from framework.ports import Event, Intent, RunPhase, RunState

_UNDER_WAY = (RunPhase.PENDING, RunPhase.RUNNING)


def unsettled(change: Change, doing: Iterable[Intent]) -> tuple[Intent, ...]:
    """Runs that were about to be started and that ``change`` starts no more: whether they were has to be looked up."""
    planned = {action.key for action in change.actions}
    return tuple(intent for intent in doing if intent.attempt is not None and intent.key not in planned)


@dataclass(frozen=True)
class Resumed:
    """A change in the light of what an earlier look was about to do. ``kept`` is still to be done, whether or not it
    may be now; ``owed`` is what has to be told of the rest."""

    change: Change
    kept: tuple[Intent, ...] = ()
    owed: tuple[Event, ...] = ()


def resume(change: Change, doing: Sequence[Intent], runs: Mapping[str, RunState], storage: str) -> Resumed:
    """Take up ``change`` where an earlier look was cut short. ``runs`` are those of :func:`unsettled`, by key.

    A difference on what it was about to touch is no drift. A run that it has started and that nobody asks for any more
    is stopped: no state remembers it.
    """
    if not doing:
        return Resumed(change)
    touched = {intent.item for intent in doing if intent.item}
    events = tuple(item for item in change.events if item.reason != DRIFT_REPAIRED or _about(item) not in touched)
    planned = {action.key for action in change.actions}
    kept = tuple(intent for intent in doing if intent.key in planned)
    over = tuple(intent for intent in doing if intent.key not in planned)
    stopped = {action.item for action in change.actions if isinstance(action, StopRun)}
    stops = tuple(
        StopRun(storage, intent.item.removeprefix("run:"))
        for intent in over
        if intent.key in runs
        and runs[intent.key].phase in _UNDER_WAY
        and intent.item not in change.inventory
        and intent.item not in stopped
    )
    owed = tuple(event for intent in over if _came_about(intent, change, runs) for event in intent.tells)
    return Resumed(replace(change, events=events, actions=(*stops, *change.actions)), kept, owed)


def _about(new: NewEvent) -> str:
    """The action, or the item of one, that it tells the end of; empty where it tells of something else."""
    if new.reason == RUN_STARTED:
        return f"submit/{new.data.get('run')}"
    return str(new.data.get("item", ""))


def _came_about(intent: Intent, change: Change, runs: Mapping[str, RunState]) -> bool:
    if intent.attempt is None:
        return intent.item in change.inventory
    return intent.key in runs and runs[intent.key].attempt >= intent.attempt


@dataclass(frozen=True)
class Begun:
    """What to remember, and to tell, before the first action: ``status`` with the state to go on from if nothing more
    is heard of it, and ``doing``. ``rest`` is what is told of the change once all of it is done."""

    status: Status
    doing: tuple[Intent, ...]
    decided: tuple[NewEvent, ...]
    rest: tuple[NewEvent, ...]
    kept: tuple[Intent, ...]
    """Of ``doing``, what may not be done now."""

    @property
    def owed(self) -> tuple[Event, ...]:
        """What has to be told once the actions are done."""
        return tuple(event for intent in self.doing if intent not in self.kept for event in intent.tells)


def begin(
    resumed: Resumed,
    change: Change,
    let_in: Mapping[str, Take],
    old: Status | None,
    event: Callable[[NewEvent], Event],
    now: datetime,
) -> Begun:
    """``change`` is what was admitted of ``resumed``, with at least one action; ``let_in`` what its items take."""
    acted = {name for action in change.actions for name in (action.key, action.item) if name}
    told: dict[str, list[Event]] = {}
    for item in change.events:
        if not item.decided and _about(item) in acted:
            told.setdefault(_about(item), []).append(event(item))
    carried = {intent.key: intent for intent in resumed.kept}
    doing = tuple(
        _intent(
            action,
            carried.pop(action.key, None),
            let_in.get(action.item),
            [*told.pop(action.key, []), *told.pop(action.item, [])],
        )
        for action in change.actions
    )
    kept = tuple(carried.values())
    decided = tuple(item for item in change.events if item.decided)
    return Begun(
        status=_meanwhile(change, old, bool(decided), now),
        doing=(*doing, *kept),
        decided=decided,
        rest=tuple(item for item in change.events if not item.decided and _about(item) not in acted),
        kept=kept,
    )


def _intent(action: Action, before: Intent | None, take: Take | None, told: Sequence[Event]) -> Intent:
    """What an earlier look was to tell of the same action stays to be told, and is not told twice."""
    earlier = before.tells if before else ()
    known = {event.reason for event in earlier}
    return Intent(
        key=action.key,
        item=action.item,
        takes=(take.cpus, take.gpus) if take is not None and starts_something(action) else None,
        attempt=action.run.attempt if isinstance(action, SubmitRun) else None,
        tells=(*earlier, *(event for event in told if event.reason not in known)),
    )


def _meanwhile(change: Change, old: Status | None, decided: bool, now: datetime) -> Status:
    """A change that forgets the record leaves the status as it is until then."""
    new = change.status
    if new is None:
        assert old is not None  # what has no record is not removed
        return old
    conditions = _conditions(old.conditions if old else None, new.conditions, decided, now)
    if old is None:
        return new.model_copy(update={"conditions": conditions, "state": dict(change.meanwhile or {}), "spec": {}})
    state = old.state if change.meanwhile is None else dict(change.meanwhile)
    return old.model_copy(update={"conditions": conditions, "state": state})


def _conditions(old: Conditions | None, new: Conditions, decided: bool, now: datetime) -> Conditions:
    """That something is no longer in service is seen before anything is done about it, and that it is given up, or is
    no longer, goes with the decision. That it is in service is so only when all is done. An attempt that fails again
    and again must not flip its conditions each time."""
    ready = old is not None and old.ready.status and new.ready.status
    if old is not None and not decided and ready == old.ready.status:
        return old
    stalled = new.stalled.status if decided or old is None else old.stalled.status
    reason, message = new.ready.reason, new.ready.message
    reconciling = not stalled and (not ready or new.reconciling.status)
    return transition(old, now, ready=ready, reconciling=reconciling, stalled=stalled, reason=reason, message=message)
