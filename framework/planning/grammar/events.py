"""What to log of a change: what happened, and where a condition flipped, from what to what. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from framework.api.conditions import Condition, Conditions, ConditionType
from framework.planning.grammar.changes import Change, NewEvent
from framework.planning.grammar.reasons import Reason
from framework.ports import Event, Json, Record

_SHOWN = 3


def told(
    change: Change, before: Conditions | None, owed: Sequence[Event], event: Callable[[NewEvent], Event]
) -> tuple[Event, ...]:
    """What to log: what is ``owed`` of actions, and then the events of ``change``. Where a condition flipped and none
    of these says so, what is owed does; but not that something came into service, which is seen after it was done."""
    flips = _flips(before, change.status.conditions) if change.status is not None else {}
    if not owed or change.events or not flips or _comes_into_service(flips):
        return (*owed, *map(event, new_events(change, before)))
    first, *rest = owed
    return (first.model_copy(update={"data": {**first.data, "conditions": flips}}), *rest)


def _comes_into_service(flips: Mapping[str, Json]) -> bool:
    ready = flips.get(ConditionType.READY.value)
    return isinstance(ready, dict) and ready["after"] is True


def new_events(change: Change, before: Conditions | None) -> tuple[NewEvent, ...]:
    """The events of ``change``. Where Ready or Stalled flipped, the first of them says so under ``conditions``; a
    flip that nothing tells of is an event of its own, named by the condition's reason.

    That work begins or ends is told by what happens in it, so Reconciling is left out. ``before`` is None for a
    resource that nothing was known of: only a condition that is true is new then.
    """
    flips = _flips(before, change.status.conditions) if change.status is not None else {}
    if not flips:
        return change.events
    if change.events:
        first, *rest = change.events
        return (replace(first, data={**first.data, "conditions": flips}), *rest)
    assert change.status is not None
    conditions = change.status.conditions
    said = conditions.stalled if conditions.stalled.status else conditions.ready
    return (NewEvent(Reason(said.reason), said.message or _sentence(flips), {"conditions": flips}),)


def _flips(before: Conditions | None, after: Conditions) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for old, new in zip(_watched(before) if before else (None, None), _watched(after), strict=True):
        if (old.status if old else False) != new.status:
            found[new.type.value] = {"before": old.status if old else None, "after": new.status}
    return found


def _watched(conditions: Conditions) -> tuple[Condition, Condition]:
    return conditions.ready, conditions.stalled


def _sentence(flips: dict[str, Json]) -> str:
    return ", ".join(f"{name} is {str(flip['after']).lower()}" for name, flip in flips.items())


def is_new(reason: str, record: Record | None, said: Condition | None) -> bool:
    """Whether the last look that got so far did not say so: neither its record does, nor its status."""
    if record is not None and record.withheld == reason:
        return False
    return said is None or not (said.status and said.reason == reason)


def some(names: Iterable[str]) -> str:
    """``a, b, c and 4 more``."""
    shown = list(names)
    rest = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return ", ".join(shown[:_SHOWN]) + rest
