"""The one loop body: observe, plan, execute, record. No branch on kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from controllers.executor import execute
from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.errors import ConflictError, MlopsError, TerminalError, TransientError
from framework.api.meta import Ref
from framework.planning.changes import Change, Desired, Happening, Status, Verb
from framework.planning.kind import Kind
from framework.planning.planner import Inputs, plan_resource
from framework.ports import Event, Ports, Record

log = logging.getLogger(__name__)

Observe = Callable[[Ref, Desired[Any] | None, Status | None, Ports, datetime], Any]
"""Reads what a kind needs to know about one resource. One per kind, in controllers.<kind>; it changes nothing."""


@dataclass(frozen=True)
class Result:
    """What one look at one resource came to. ``retry`` asks for back-off, ``news`` wakes dependents."""

    ref: Ref
    change: Change | None
    requeue_after: timedelta | None = None
    retry: bool = False
    news: bool = False
    calls: int = 0


@dataclass(frozen=True)
class Reconciler:
    """Stateless: everything is read again at each call."""

    ports: Ports
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observe]
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str

    def inputs(self, ref: Ref, desired: Desired[Any] | None, record: Record | None) -> Inputs:
        """Read the world for one resource. Changes nothing."""
        status = Status.model_validate(record.status) if record else None
        observed = self.observers[ref.kind](ref, desired, status, self.ports, self.clock())
        return Inputs(ref, self.kinds[ref.kind], desired, observed, status)

    def reconcile(self, ref: Ref, desired: Desired[Any] | None) -> Result:
        """Bring one resource one step nearer to what git asks for. Never raises for a failure of the world."""
        record = None
        try:
            record = self.ports.state.load(ref)
            if desired is None and record is None:
                return Result(ref, None)
            return self._step(ref, desired, record)
        except ConflictError as error:
            log.info("%s: %s; reading again", ref, error)
            return Result(ref, None, retry=True)
        except TransientError as error:
            return self._failed(ref, desired, record, "TransientError", str(error), stalled=False)
        except TerminalError as error:
            return self._failed(ref, desired, record, error.reason, str(error), stalled=True)
        except MlopsError as error:
            return self._failed(ref, desired, record, type(error).__name__, str(error), stalled=True)
        except Exception as error:
            log.exception("%s: unexpected failure", ref)
            return self._failed(
                ref, desired, record, "InternalError", f"{type(error).__name__}: {error}", stalled=False
            )

    def _step(self, ref: Ref, desired: Desired[Any] | None, record: Record | None) -> Result:
        change = plan_resource(self.inputs(ref, desired, record), self.clock())
        owned = frozenset(record.inventory) if record else frozenset()
        if change.status is not None and change.inventory - owned:
            # Saved before anything is created: a crash in between must not leave an orphan that nobody remembers.
            record = self._save(ref, record, self._before(change, record), owned | change.inventory, desired)
        for action in change.actions:
            log.info("%s: %s", ref, action.key)
            execute(action, self.ports, self.token())
        news = self._record(ref, desired, record, change)
        return Result(ref, change, change.requeue_after, news=news, calls=len(change.actions))

    def _before(self, change: Change, record: Record | None) -> Status:
        """The status to keep while the actions are under way: the old one, or for a new resource its first."""
        if record is not None:
            return Status.model_validate(record.status)
        assert change.status is not None
        return change.status.model_copy(update={"state": {}, "spec": {}})

    def _record(self, ref: Ref, desired: Desired[Any] | None, record: Record | None, change: Change) -> bool:
        """Save what was decided, if it says anything new."""
        if change.status is None:
            if record is not None:
                self.ports.state.delete(record, self.token())
            self._events(ref, desired, change)
            return record is not None
        inventory = tuple(sorted(change.inventory))
        same = (
            record is not None
            and record.status == change.status.model_dump(mode="json")
            and record.inventory == inventory
        )
        if same and not change.happenings:
            return False
        self._save(ref, record, change.status, change.inventory, desired)
        self._events(ref, desired, change)
        return True

    def _save(
        self, ref: Ref, record: Record | None, status: Status, inventory: frozenset[str], desired: Desired[Any] | None
    ) -> Record:
        base = record or Record(ref=ref, status={})
        upstream = tuple(sorted(desired.upstream)) if desired else base.upstream
        changed = base.model_copy(
            update={
                "status": status.model_dump(mode="json"),
                "inventory": tuple(sorted(inventory)),
                "upstream": upstream,
            }
        )
        return self.ports.state.save(changed, self.token())

    def _events(self, ref: Ref, desired: Desired[Any] | None, change: Change) -> None:
        commit = desired.commit if desired else ""
        events = [
            Event(
                time=self.clock(),
                commit=commit,
                ref=ref,
                reason=item.reason,
                message=item.message,
                data=dict(item.data),
                actor=self.actor,
            )
            for item in change.happenings
        ]
        if events:
            self.ports.state.append_events(events, self.token())

    def _failed(
        self, ref: Ref, desired: Desired[Any] | None, record: Record | None, reason: str, message: str, *, stalled: bool
    ) -> Result:
        """Say in the resource's own status what went wrong; what serves is left alone."""
        log.warning("%s: %s: %s", ref, reason, message)
        result = Result(ref, None, retry=True)
        if desired is None:
            return result
        try:
            record = self.ports.state.load(ref)
            old = Status.model_validate(record.status) if record else None
            status = _failure_status(desired, old, reason, message, stalled=stalled, now=self.clock())
            if status == old:
                return result
            happenings = (Happening(reason, message),) if old is None or old.conditions.ready.reason != reason else ()
            change = Change(
                ref,
                Verb.WAIT,
                Category.NOOP,
                message,
                status,
                happenings=happenings,
                inventory=frozenset(record.inventory if record else ()),
            )
            news = self._record(ref, desired, record, change)
            return replace(result, change=change, news=news)
        except MlopsError as error:
            log.warning("%s: the failure could not be recorded: %s", ref, error)
            return result


def _failure_status(
    desired: Desired[Any], old: Status | None, reason: str, message: str, *, stalled: bool, now: datetime
) -> Status:
    previous = old.conditions if old else None
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
        return Status(commit=desired.commit, identity=desired.identity, digest=desired.digest, conditions=conditions)
    return old.model_copy(update={"conditions": conditions})
