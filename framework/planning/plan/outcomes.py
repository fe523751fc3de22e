"""The common shape of what a kind's plan function answers, so that every kind fills in conditions the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.meta import Ref, Stored
from framework.planning.grammar import reasons
from framework.planning.grammar.actions import Action
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status, Verb
from framework.planning.grammar.diff import diff, highest
from framework.planning.grammar.reasons import Reason


@dataclass(frozen=True)
class Outcome:
    """Builds the Change of one resource. Diffs and category come from the last planned spec in ``status``.

    ``floor`` is the category where the fields alone do not tell, e.g. because an upstream or the user's code changed.
    """

    desired: Desired[Any]
    status: Status | None
    categories: dict[str, Category]
    now: datetime
    floor: Category = Category.NOOP

    def converged(self, state: Stored, summary: str, reason: Reason, message: str = "", **more: Any) -> Change:
        """What git asks for is in service."""
        return self._change(Verb.NOOP, state, summary, reason, message, ready=True, **more)

    def degraded(self, state: Stored, summary: str, message: str, **more: Any) -> Change:
        """What git asks for is in service and does not do its work. Nothing that this could do would change that."""
        return self._change(Verb.NOOP, state, summary, reasons.DEGRADED, message, ready=False, **more)

    def waiting(
        self,
        state: Stored,
        summary: str,
        reason: Reason,
        message: str,
        *,
        ready: bool,
        requeue_after: timedelta | None = None,
        **more: Any,
    ) -> Change:
        """Work is under way elsewhere, or an upstream has to come first."""
        return self._change(
            Verb.WAIT,
            state,
            summary,
            reason,
            message,
            ready=ready,
            reconciling=True,
            requeue_after=requeue_after,
            **more,
        )

    def acting(
        self,
        state: Stored,
        summary: str,
        reason: Reason,
        message: str,
        actions: Iterable[Action],
        *,
        ready: bool,
        requeue_after: timedelta = timedelta(0),
        **more: Any,
    ) -> Change:
        """Something is to be done now; what came of it is read at the next look."""
        verb = Verb.CREATE if self.status is None else Verb.UPDATE
        return self._change(
            verb,
            state,
            summary,
            reason,
            message,
            ready=ready,
            reconciling=True,
            actions=tuple(actions),
            requeue_after=requeue_after,
            **more,
        )

    def stalled(self, state: Stored, summary: str, reason: Reason, message: str, *, ready: bool, **more: Any) -> Change:
        """Nothing more is tried until git, the data or the operator changes something."""
        return self._change(Verb.WAIT, state, summary, reason, message, ready=ready, stalled=True, **more)

    def _change(
        self,
        verb: Verb,
        state: Stored,
        summary: str,
        reason: Reason,
        message: str,
        *,
        ready: bool,
        reconciling: bool = False,
        stalled: bool = False,
        actions: tuple[Action, ...] = (),
        inventory: frozenset[str] = frozenset(),
        requeue_after: timedelta | None = None,
        events: tuple[NewEvent, ...] = (),
        waits_for: tuple[Ref, ...] = (),
        meanwhile: Stored | None = None,
        takes: Mapping[str, tuple[float, float]] | None = None,
    ) -> Change:
        desired, old = self.desired, self.status
        spec = desired.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        diffs = diff(old.spec if old else None, spec, self.categories)
        if reconciling or stalled:
            # The spec that is still in service stays the base of the diff until the new one is.
            spec = old.spec if old else {}
        conditions = transition(
            old.conditions if old else None,
            self.now,
            ready=ready,
            reconciling=reconciling,
            stalled=stalled,
            reason=reason,
            message=message,
        )
        status = Status(
            commit=desired.commit if old is None or old.digest != desired.digest else old.commit,
            identity=desired.identity,
            digest=desired.digest,
            conditions=conditions,
            state=state.model_dump(mode="json"),
            spec=spec,
            summary=summary,
            waits_for=waits_for,
        )
        category = max(highest(diffs), self.floor) if verb is not Verb.NOOP or diffs else Category.NOOP
        return Change(
            ref=desired.ref,
            verb=verb,
            category=category,
            reason=message or reason,
            status=status,
            diffs=diffs,
            actions=actions,
            inventory=inventory,
            requeue_after=requeue_after,
            events=events,
            waits_for=waits_for,
            meanwhile=None if meanwhile is None else meanwhile.model_dump(mode="json"),
            takes=takes or {},
        )


def failed(
    desired: Desired[Any], old: Status | None, reason: Reason, message: str, *, stalled: bool, now: datetime
) -> Status:
    """The status of a resource that could not be looked at, or not be brought nearer to what git asks. What was given
    up before stays so when a look fails: nothing was tried anew. What is given up now is what git asks for now."""
    previous = old.conditions if old else None
    asked = {"commit": desired.commit, "identity": desired.identity, "digest": desired.digest}
    tried, stalled = asked if stalled else {}, stalled or bool(previous and previous.stalled.status)
    conditions = transition(
        previous,
        now,
        ready=bool(previous and previous.ready.status),
        reconciling=not stalled,
        stalled=stalled,
        reason=reason,
        message=message,
    )
    if old is None:
        return Status(**asked, conditions=conditions)
    return old.model_copy(update={"conditions": conditions, **tried})


class _NoState(Stored):
    """For resources that are not executed: nothing is remembered."""


def unsupported(
    desired: Desired[Any],
    categories: dict[str, Category],
    fields: tuple[str, ...],
    status: Status | None,
    now: datetime,
) -> Change:
    """The spec asks for something that this version does not execute: say so, and leave alone what runs."""
    message = f"not executed by this version: {', '.join(fields)}"
    ready = status is not None and status.conditions.ready.status
    change = Outcome(desired, status, categories, now).stalled(
        _NoState(), "not executed", reasons.NOT_SUPPORTED, message, ready=ready
    )
    return replace(change, status=_with_state_of(change.status, status))


def removed(ref: Ref) -> Change:
    """Nothing of the resource is left to remove."""
    return Change(
        ref,
        Verb.DELETE,
        Category.METADATA,
        "removed from git",
        None,
        events=(NewEvent(reasons.DELETED, "removed from git"),),
    )


def _with_state_of(new: Status | None, old: Status | None) -> Status | None:
    return new if new is None or old is None else new.model_copy(update={"state": old.state, "summary": old.summary})
