"""What a record says, and whether it can be read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from shlex import quote
from typing import Any, TypeVar, overload

from framework.api.categories import Category
from framework.api.conditions import transition
from framework.api.errors import DamagedError
from framework.api.meta import Ref, Stored, problem_of
from framework.planning.grammar.changes import Change, Desired, Status, Verb
from framework.planning.grammar.kind import Kind
from framework.planning.grammar.reasons import UNREADABLE_RECORD
from framework.ports import Record

StateT = TypeVar("StateT", bound=Stored)


@overload
def status_of(record: Record) -> Status: ...


@overload
def status_of(record: Record | None) -> Status | None: ...


def status_of(record: Record | None) -> Status | None:
    """The status that is kept in a record; None where there is no record. Raises ValidationError where it is none."""
    return None if record is None else Status.model_validate(record.status)


def state_of(status: Status | None, state: type[StateT]) -> StateT:
    """What a kind remembers in a status: as at first where there is none. Raises ValidationError where it is another
    kind's."""
    return state.model_validate(status.state if status is not None else {})


def sound(kinds: Mapping[str, Kind]) -> Callable[[Record], None]:
    """A check of records that a store can read: of their status, and of the state that the kind keeps in it. What it
    raises is a DamagedError."""

    def check(record: Record) -> None:
        try:
            status = status_of(record)
            kind = kinds.get(record.ref.kind)
            if kind is None:
                raise ValueError(f"there is no kind {record.ref.kind!r}")
            kind.ensure(record.ref, state_of(status, kind.state))
        except ValueError as error:
            raise DamagedError(f"the record of {record.ref}", problem_of(error)) from None

    return check


def way_out(ref: Ref, problem: str) -> str:
    """What to tell people of a record that cannot be read."""
    return (
        f"its record cannot be read ({problem}), so nothing is done about it; "
        f"mlopsctl forget {quote(str(ref))} removes the record, and what runs is looked at anew"
    )


def untouched(ref: Ref, desired: Desired[Any] | None, problem: str, now: datetime) -> Change:
    """What a pass does about a resource whose record cannot be read: nothing."""
    message = way_out(ref, problem)
    conditions = transition(None, now, ready=False, stalled=True, reason=UNREADABLE_RECORD, message=message)
    commit, identity, digest = (desired.commit, desired.identity, desired.digest) if desired else ("", "", "")
    status = Status(commit=commit, identity=identity, digest=digest, conditions=conditions)
    return Change(ref, Verb.WAIT, Category.NOOP, message, status)
