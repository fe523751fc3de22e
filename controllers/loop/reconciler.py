"""The one loop body: observe, plan, execute, record. No branch on kind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from controllers.kinds.observer import Observer
from controllers.loop.dependents import Dependents
from controllers.loop.executor import execute
from controllers.loop.shared_ledger import SharedLedger
from controllers.revision.in_force import in_force
from framework.api.categories import Category
from framework.api.errors import ConflictError, DamagedError, MlopsError, TerminalError, TransientError
from framework.api.meta import Ref, problem_of
from framework.panics import panics_told
from framework.planning.admission.admit import admit
from framework.planning.admission.intent import Begun, Resumed, begin, resume, unsettled
from framework.planning.admission.ledger import Admitted, Ledger, gave_back, keeps, takes
from framework.planning.admission.room import starts_something, telling_who_waits
from framework.planning.admission.rules import Rules
from framework.planning.grammar.changes import Change, Desired, NewEvent, Status, Verb
from framework.planning.grammar.events import told
from framework.planning.grammar.kind import Kind, Needs
from framework.planning.grammar.reasons import INTERNAL_ERROR, TRANSIENT_ERROR, UNREADABLE_RECORD, Reason
from framework.planning.grammar.remembered import state_of, status_of, way_out
from framework.planning.plan.heirs import had, serves
from framework.planning.plan.outcomes import failed
from framework.planning.plan.planner import Inputs, plan_resource
from framework.planning.reports.health import GOING, Health, health_of, unknown
from framework.ports import Capacity, Event, Intent, Ports, Record

log = logging.getLogger(__name__)

AFTER_DEPENDENTS = timedelta(seconds=0.5)
"""How soon to look again at what may go once nothing builds on it any more."""


@dataclass(frozen=True)
class Result:
    """What one look at one resource came to. ``retry`` asks for back-off, ``wrote`` wakes dependents; ``lacks_room``:
    there is none for something of it, ``made_room``: it gave some back."""

    ref: Ref
    change: Change | None
    requeue_after: timedelta | None = None
    retry: bool = False
    wrote: bool = False
    calls: int = 0
    lacks_room: bool = False
    made_room: bool = False
    health: Health | None = None
    """None where nothing is on record any more, or, with ``retry``, where nobody knows."""


@dataclass(frozen=True)
class Reconciler:
    """Everything is read again at each call; only who holds how much and who builds on whom is kept,
    because every record passes here."""

    ports: Ports
    kinds: Mapping[str, Kind]
    observers: Mapping[str, Observer]
    clock: Callable[[], datetime]
    token: Callable[[], int]
    actor: str
    rules: Callable[[], Rules] = Rules
    """What the Environment in force lets be done."""
    era: Callable[[], int | None] = lambda: 0
    """Another number after the clock was set; None while what is remembered has not moved with it yet."""
    ledger: SharedLedger = field(default_factory=SharedLedger)
    dependents: Dependents = field(default_factory=Dependents)
    users: Dependents = field(init=False)
    """Who makes use of what, whatever it builds on now."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "users", Dependents(partial(_uses, self.kinds)))

    @cached_property
    def _seen(self) -> Ports:
        """What observers look at. They know who uses what from here."""
        return replace(self.ports, users=lambda ref: self.users.of(ref, self.ports.state))

    def inputs(self, ref: Ref, desired: Desired[Any] | None, record: Record | None) -> Inputs:
        """Read the world for one resource. Changes nothing."""
        status = status_of(record)
        observed = self.observers[ref.kind].observe(ref, desired, status, self._seen, self.clock())
        waits_for = self._heir(ref, status) if desired is None else None
        return Inputs(ref, self.kinds[ref.kind], desired, observed, status, waits_for)

    def _heir(self, ref: Ref, status: Status | None) -> Ref | None:
        """Who is to have what this resource has, and does not yet."""
        kind, claimed = self.kinds[ref.kind], self.rules().claimed
        for value in sorted(had(kind, status)):
            heir = claimed(kind, value)
            if heir is not None and heir != ref and not serves(kind, self._status(heir), value):
                return heir
        return None

    def _status(self, ref: Ref) -> Status | None:
        """None where there is none, or none that can be read."""
        try:
            return status_of(self.ports.state.load(ref))
        except DamagedError:
            return None

    def reconcile(self, ref: Ref, desired: Desired[Any] | None) -> Result:
        """Bring one resource one step nearer to what git asks for. Never raises for a failure of the world."""
        era = self.era()
        if era is None:
            return Result(ref, None, retry=True)
        try:
            try:
                record = self.ports.state.load(ref)
            except DamagedError as error:
                self._lost(ref)
                return self._untouched(ref, desired, error)
            self._saw(ref, record)
            if desired is None and record is None:
                return Result(ref, None)
            if desired is None and self.rules().prune and self.dependents.on(ref, self.ports.state):
                return Result(ref, None, requeue_after=AFTER_DEPENDENTS, health=GOING)
            return self._step(ref, desired, record, era)
        except ConflictError as error:
            log.info("%s: %s; reading again", ref, error)
            return Result(ref, None, retry=True)
        except TransientError as error:
            return self._failed(ref, desired, TRANSIENT_ERROR, str(error), stalled=False)
        except TerminalError as error:
            return self._failed(ref, desired, Reason(error.reason), str(error), stalled=True)
        except MlopsError as error:
            return self._failed(ref, desired, Reason(type(error).__name__), str(error), stalled=True)
        except Exception as error:
            log.exception("%s: unexpected failure", ref)
            message = f"{type(error).__name__}: {problem_of(error)}"
            return self._failed(ref, desired, INTERNAL_ERROR, message, stalled=False)

    @panics_told()
    def _step(self, ref: Ref, desired: Desired[Any] | None, record: Record | None, era: int) -> Result:
        inputs = self.inputs(ref, desired, record)
        now = self.clock()
        planned = plan_resource(inputs, now)
        if self.era() != era:
            raise ConflictError("the clock was set during the look")
        resumed = self._resumed(planned, record)
        change = telling_who_waits(resumed.change, self.ledger.waiting_for(ref))
        resumed = replace(resumed, change=change)
        needs = inputs.kind.needs(desired.spec) if desired is not None else Needs()
        capacity = self._capacity(change)
        with self._ledger(ref, change, capacity) as ledger:
            admitted = admit(change, inputs.status, record, needs, self.rules(), ledger or Ledger(), now, capacity)
            look = _Look(self, ref, desired, record, inputs.status, resumed, admitted)
            if ledger is not None:
                ledger.let_in(ref, admitted, record)
            look.begin()
        change = admitted.change
        for action in change.actions:
            self._confirm_lease()
            log.info("%s: %s", ref, action.key)
            execute(action, self.ports, self.token())
        wrote = look.end()
        return Result(
            ref,
            change,
            change.requeue_after,
            wrote=wrote,
            calls=len(change.actions),
            lacks_room=admitted.over,
            made_room=gave_back(record, look.record),
            health=health_of(desired, change.status) if change.status is not None else None,
        )

    def _resumed(self, change: Change, record: Record | None) -> Resumed:
        """Of what an earlier look was about to do, nobody knows the end: that is looked up first."""
        if record is None or not record.doing:
            return Resumed(change)
        runs = {
            intent.key: self.ports.runs.observe(self.ports.storage, intent.item.removeprefix("run:"))
            for intent in unsettled(change, record.doing)
        }
        return resume(change, record.doing, runs, self.ports.storage)

    def _capacity(self, change: Change) -> Capacity | None:
        """What the cluster has, where that matters. Read before the ledger is: what was let in since counts as not
        there yet."""
        if self.rules().suspend or not any(starts_something(action) for action in change.actions):
            return None
        return self.ports.runs.capacity()

    @contextmanager
    def _ledger(self, ref: Ref, change: Change, capacity: Capacity | None) -> Iterator[Ledger | None]:
        """Who holds how much; None where ``change`` starts nothing, or that is not counted. What is let in is saved
        before the next one is asked: two workers must not both be let in where there is room for one."""
        counted = bool(self.rules().limits) or capacity is not None
        if counted and any(starts_something(action) for action in change.actions):
            with self.ledger.of(self.ports.state) as ledger:
                yield ledger
        else:
            yield None
            self.ledger.waits_no_more(ref)

    def _confirm_lease(self) -> None:
        """A store refuses what a paused leader writes; Ray would not. So its actions stop here.

        Raises:
            ConflictError: another controller has taken over, or nobody holds the lease.
        """
        lease, token = self.ports.state.lease(), self.token()
        if lease is None or lease.token != token:
            raise ConflictError(f"the lease has moved on: nothing is done under token {token}")

    def save(self, record: Record, events: Sequence[Event]) -> Record:
        """Keep a record with what it comes to, and what is known from it of quotas and dependents."""
        with self._written():
            saved = self.ports.state.save(record, self.token(), events)
        self._saw(saved.ref, saved)
        return saved

    def delete(self, record: Record, events: Sequence[Event]) -> None:
        with self._written():
            self.ports.state.delete(record, self.token(), events)
        self._saw(record.ref, None)

    @contextmanager
    def _written(self) -> Iterator[None]:
        """A write that fails may have been made all the same, and its answer lost."""
        try:
            yield
        except Exception:
            self.ledger.doubt()
            self.dependents.doubt()
            self.users.doubt()
            raise

    def _saw(self, ref: Ref, record: Record | None) -> None:
        """What is kept of a record follows what was read or written last, however that came about."""
        if record is None:
            self.ledger.forget(ref)
        else:
            self.ledger.hold(record)
        self.dependents.saw(ref, record)
        self.users.saw(ref, record)

    def _lost(self, ref: Ref) -> None:
        self.dependents.lost(ref)
        self.users.lost(ref)

    def event(self, ref: Ref, desired: Desired[Any] | None, new: NewEvent) -> Event:
        return Event(
            time=self.clock(),
            commit=desired.commit if desired else self._in_force(),
            ref=ref,
            reason=new.reason,
            message=new.message,
            data=dict(new.data),
            actor=self.actor,
        )

    def _in_force(self) -> str:
        """The commit that no longer asks for what goes."""
        revision = in_force(self.ports.state)
        return revision.commit if revision is not None else ""

    def _untouched(self, ref: Ref, desired: Desired[Any] | None, error: DamagedError) -> Result:
        """Nothing is done about a resource whose record cannot be read; that is told once, until it can be again."""
        try:
            said = next(iter(self.ports.state.events(ref, limit=1)), None)
            if said is None or said.reason != UNREADABLE_RECORD:
                log.warning("%s: %s", ref, error)
                event = self.event(ref, desired, NewEvent(UNREADABLE_RECORD, way_out(ref, error.problem)))
                self.ports.state.append_events([event], self.token())
        except MlopsError as failure:
            log.warning("%s: that could not be logged: %s", ref, failure)
            return Result(ref, None, retry=True)
        return Result(ref, None, health=unknown(ref, error.problem))

    def _failed(self, ref: Ref, desired: Desired[Any] | None, reason: Reason, message: str, *, stalled: bool) -> Result:
        """Say in the resource's own status what went wrong; what serves is left alone."""
        log.warning("%s: %s: %s", ref, reason, message)
        result = Result(ref, None, retry=True)
        if desired is None:
            return result
        try:
            record = self.ports.state.load(ref)
            old = status_of(record)
            status = failed(desired, old, reason, message, stalled=stalled, now=self.clock())
            events = (NewEvent(reason, message),) if old is None or old.conditions.ready.reason != reason else ()
            change = Change(
                ref,
                Verb.WAIT,
                Category.NOOP,
                message,
                status,
                events=events,
                inventory=frozenset(record.inventory if record else ()),
            )
            unfinished = Resumed(change, record.doing if record else ())
            as_before = Admitted(change, withheld=record.withheld if record else "")
            wrote = _Look(self, ref, desired, record, old, unfinished, as_before).end()
            return replace(result, change=change, wrote=wrote, health=health_of(desired, status))
        except MlopsError as error:
            log.warning("%s: the failure could not be recorded: %s", ref, error)
            return result


@dataclass
class _Look:
    """What one look writes down: before the first action what it is about to do, and once all are done what came of
    them. ``record`` and ``status`` are what is on record now."""

    loop: Reconciler
    ref: Ref
    desired: Desired[Any] | None
    record: Record | None
    status: Status | None
    resumed: Resumed
    admitted: Admitted
    begun: Begun | None = None

    def begin(self) -> None:
        """Save what is about to be done, if anything is: a crash must leave nothing that nobody remembers."""
        change = self.admitted.change
        if not change.actions:
            return
        self.begun = begin(self.resumed, change, self.admitted.takes, self.status, self._event, self.loop.clock())
        owned = change.inventory.union(self.record.inventory if self.record else ())
        before = Admitted(change)  # what is about to be let in counts as an intent
        so_far = replace(change, status=self.begun.status, events=self.begun.decided)
        self._save(so_far, owned, takes(before, self.record, owned), self.begun.doing, self.resumed.owed)

    def end(self) -> bool:
        """Save what came of it, if that says anything new."""
        change, owed, kept = self.admitted.change, self.resumed.owed, self.resumed.kept
        if self.begun is not None:
            change, owed, kept = replace(change, events=self.begun.rest), self.begun.owed, self.begun.kept
        if change.status is not None:
            held = takes(self.admitted, self.record, change.inventory)
            return self._save(change, change.inventory, held, kept, owed)
        if self.record is None:
            return False
        self.loop.delete(self.record, self._told(change, owed))
        self.record = None
        return True

    def _save(
        self,
        change: Change,
        inventory: frozenset[str],
        held: dict[str, tuple[float, float]],
        doing: tuple[Intent, ...],
        owed: Sequence[Event],
    ) -> bool:
        events = self._told(change, owed)
        base = self.record or Record(ref=self.ref, status={})
        assert change.status is not None
        update: dict[str, Any] = {
            "inventory": tuple(sorted(inventory)),
            "takes": held,
            "room": keeps(self.admitted, self.record, inventory),
            "withheld": self.admitted.withheld,
            "doing": doing,
            "upstream": tuple(sorted(self.desired.upstream)) if self.desired else base.upstream,
        }
        same = change.status == self.status and all(getattr(base, name) == value for name, value in update.items())
        if same and not events:
            return False
        update["status"] = change.status.model_dump(mode="json")
        self.record, self.status = self.loop.save(base.model_copy(update=update), events), change.status
        return True

    def _told(self, change: Change, owed: Sequence[Event]) -> tuple[Event, ...]:
        now = self.loop.clock()
        owed = [event.model_copy(update={"time": now}) for event in owed]
        return told(change, self.status.conditions if self.status else None, owed, self._event)

    def _event(self, new: NewEvent) -> Event:
        return self.loop.event(self.ref, self.desired, new)


def _uses(kinds: Mapping[str, Kind], record: Record) -> frozenset[Ref]:
    kind = kinds.get(record.ref.kind)
    if kind is None or kind.uses is None:
        return frozenset()
    return kind.uses(state_of(status_of(record), kind.state))
