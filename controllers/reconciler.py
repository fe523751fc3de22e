"""The one loop body: observe, plan, execute, record. No branch on kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from controllers.executor import execute
from controllers.runtime.allowance import Allowance
from controllers.runtime.dependents import Dependents
from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.errors import ConflictError, MlopsError, TerminalError, TransientError
from framework.api.meta import Ref
from framework.planning.admission import Admitted, Ledger, Rules, admit, starts_something, takes
from framework.planning.changes import Change, Desired, Happening, Status, Verb
from framework.planning.heirs import had, serves
from framework.planning.kind import Kind, Needs
from framework.planning.news import happened
from framework.planning.planner import Inputs, plan_resource
from framework.ports import Event, Ports, Record

log = logging.getLogger(__name__)

AFTER_DEPENDENTS = timedelta(seconds=0.5)
"""How soon to look again at what may go once nothing builds on it any more."""

Observe = Callable[[Ref, Desired[Any] | None, Status | None, Ports, datetime], Any]
"""Reads what a kind needs to know about one resource. One per kind, in controllers.<kind>; it changes nothing."""


@dataclass(frozen=True)
class Result:
    """What one look at one resource came to. ``retry`` asks for back-off, ``news`` wakes dependents; ``hungry``: a
    quota holds it back, ``freed``: it gave something back."""

    ref: Ref
    change: Change | None
    requeue_after: timedelta | None = None
    retry: bool = False
    news: bool = False
    calls: int = 0
    hungry: bool = False
    freed: bool = False


@dataclass(frozen=True)
class Reconciler:
    """Everything is read again at each call; only who holds how much and who builds on whom is kept,
    because every record passes here."""

    ports: Ports
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observe]
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str
    rules: Callable[[], Rules] = Rules
    """What the Environment in force lets be done."""
    allowance: Allowance = field(default_factory=Allowance)
    dependents: Dependents = field(default_factory=Dependents)

    def inputs(self, ref: Ref, desired: Desired[Any] | None, record: Record | None) -> Inputs:
        """Read the world for one resource. Changes nothing."""
        status = Status.model_validate(record.status) if record else None
        observed = self.observers[ref.kind](ref, desired, status, self.ports, self.clock())
        waits_for = self._heir(ref, status) if desired is None else None
        return Inputs(ref, self.kinds[ref.kind], desired, observed, status, waits_for)

    def _heir(self, ref: Ref, status: Status | None) -> Ref | None:
        """Who is to have what this resource has, and does not yet."""
        kind, claimed = self.kinds[ref.kind], self.rules().claimed
        for value in sorted(had(kind, status)):
            heir = claimed(ref.kind, value)
            if heir is not None and heir != ref:
                record = self.ports.state.load(heir)
                if not serves(kind, Status.model_validate(record.status) if record else None, value):
                    return heir
        return None

    def reconcile(self, ref: Ref, desired: Desired[Any] | None) -> Result:
        """Bring one resource one step nearer to what git asks for. Never raises for a failure of the world."""
        record = None
        try:
            record = self.ports.state.load(ref)
            if desired is None and record is None:
                return Result(ref, None)
            if desired is None and self.rules().prune and self.dependents.on(ref, self.ports.state):
                return Result(ref, None, requeue_after=AFTER_DEPENDENTS)
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
        inputs = self.inputs(ref, desired, record)
        planned = plan_resource(inputs, self.clock())
        admitted, record = self._admit(planned, inputs, record)
        change = admitted.change
        for action in change.actions:
            self._confirm_lease()
            log.info("%s: %s", ref, action.key)
            execute(action, self.ports, self.token())
        owned = frozenset(record.inventory if record else ())
        news = self._record(ref, desired, record, admitted)
        return Result(
            ref,
            change,
            change.requeue_after,
            news=news,
            calls=len(change.actions),
            hungry=admitted.over,
            freed=bool(owned - change.inventory),
        )

    def _admit(self, planned: Change, inputs: Inputs, record: Record | None) -> tuple[Admitted, Record | None]:
        """What of it may be done now, and the record with what will be owned then.

        That is saved before anything is created: a crash in between must not leave an orphan that nobody remembers, and
        two workers must not both be let in where there is room for one.
        """
        ref, desired, rules = inputs.ref, inputs.desired, self.rules()
        needs = inputs.kind.needs(desired.spec) if desired is not None else Needs()
        counted = bool(rules.limits) and any(starts_something(action) for action in planned.actions)
        with self.allowance.of(self.ports.state) if counted else nullcontext(Ledger()) as ledger:
            admitted = admit(planned, inputs.status, record, needs, rules, ledger, self.clock())
            change = admitted.change
            owned = frozenset(record.inventory) if record else frozenset()
            if change.status is not None and change.inventory - owned:
                record = self._save(
                    ref, record, self._before(change, record), owned | change.inventory, desired, admitted
                )
            ledger.let_in(ref, admitted, record)
        if not counted:
            self.allowance.waits_no_more(ref)
        return admitted, record

    def _confirm_lease(self) -> None:
        """A store refuses what a paused leader writes; Ray would not. So its actions stop here.

        Raises:
            ConflictError: another controller has taken over, or nobody holds the lease.
        """
        lease, token = self.ports.state.lease(), self.token()
        if lease is None or lease.token != token:
            raise ConflictError(f"the lease has moved on: nothing is done under token {token}")

    def _before(self, change: Change, record: Record | None) -> Status:
        """The status to keep while the actions are under way: the old one, or for a new resource its first."""
        if record is not None:
            return Status.model_validate(record.status)
        assert change.status is not None
        return change.status.model_copy(update={"state": {}, "spec": {}})

    def _record(self, ref: Ref, desired: Desired[Any] | None, record: Record | None, admitted: Admitted) -> bool:
        """Save what was decided, if it says anything new."""
        change = admitted.change
        if change.status is None:
            if record is not None:
                self.ports.state.delete(record, self.token())
                self.allowance.forget(ref)
                self.dependents.saw(ref, ())
            self._events(ref, desired, record, change)
            return record is not None
        inventory = tuple(sorted(change.inventory))
        same = (
            record is not None
            and record.status == change.status.model_dump(mode="json")
            and record.inventory == inventory
        )
        if same and not change.happenings:
            return False
        self.allowance.hold(self._save(ref, record, change.status, change.inventory, desired, admitted))
        self._events(ref, desired, record, change)
        return True

    def _save(
        self,
        ref: Ref,
        record: Record | None,
        status: Status,
        inventory: frozenset[str],
        desired: Desired[Any] | None,
        admitted: Admitted,
    ) -> Record:
        base = record or Record(ref=ref, status={})
        upstream = tuple(sorted(desired.upstream)) if desired else base.upstream
        changed = base.model_copy(
            update={
                "status": status.model_dump(mode="json"),
                "inventory": tuple(sorted(inventory)),
                "takes": takes(admitted, base, inventory),
                "upstream": upstream,
            }
        )
        saved = self.ports.state.save(changed, self.token())
        self.dependents.saw(ref, upstream)
        return saved

    def _events(self, ref: Ref, desired: Desired[Any] | None, record: Record | None, change: Change) -> None:
        happenings = happened(change, Status.model_validate(record.status).conditions if record else None)
        commit = desired.commit if desired else self._in_force() if happenings else ""
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
            for item in happenings
        ]
        if events:
            self.ports.state.append_events(events, self.token())

    def _in_force(self) -> str:
        """The commit that no longer asks for what goes."""
        return next((item.commit for item in self.ports.state.revisions() if item.accepted), "")

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
            news = self._record(ref, desired, record, Admitted(change))
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
