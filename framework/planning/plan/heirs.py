"""Who is to have what another resource has, such as a route: that one goes only once its heir serves. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Status, Verb
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.reasons import HANDS_OVER

Claimed = Callable[[Kind, str], Ref | None]
"""(kind, value) -> the resource of that kind that git asks to have the value."""


def had(kind: Kind, status: Status | None) -> frozenset[str]:
    """What a resource had when it last converged."""
    if status is None or not status.spec:
        return frozenset()
    try:
        found = kind.claims(kind.spec.model_validate(status.spec))
    except ValidationError:  # a spec of another version of this program
        return frozenset()
    return frozenset(claim.value for claim in found if claim.handed_over)


def serves(kind: Kind, status: Status | None, value: str) -> bool:
    """Whether an heir has come into what it asks for."""
    return status is not None and status.conditions.ready.status and value in had(kind, status)


def handing_over(change: Change, status: Status | None, to: Ref, now: datetime) -> Change:
    """``change``, which would remove what ``to`` has yet to take over, as long as that has not."""
    if change.status is None or status is None:
        return change
    message = f"removed from git: goes once {to} has taken over from it"
    conditions = transition(
        status.conditions,
        now,
        ready=status.conditions.ready.status,
        reconciling=True,
        reason=HANDS_OVER,
        message=message,
    )
    return replace(
        change,
        verb=Verb.DELETE,
        reason=message,
        status=status.model_copy(update={"conditions": conditions}),
        actions=(),
        events=(),
        waits_for=(to,),
    )
