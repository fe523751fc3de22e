"""Taking away a record that cannot be read, so that the resource is looked at anew."""

from __future__ import annotations

from datetime import datetime

from controllers.commands.project import Project
from controllers.revision.in_force import in_force
from framework.api.conditions import transition
from framework.api.errors import ConfigurationError
from framework.api.meta import Ref
from framework.planning.grammar.changes import Status
from framework.planning.grammar.reasons import RECORD_FORGOTTEN
from framework.ports import Event, Record


def unreadable(project: Project, name: str) -> tuple[Ref, str]:
    """The record that is called ``name``, and what is wrong with it. A damaged name may be any text.

    Raises:
        ConfigurationError: there is no such record, or it can be read.
    """
    recorded = project.ports.state.recorded()
    for ref, problem in recorded.unreadable.items():
        if str(ref) == name:
            return ref, problem
    known = any(str(record.ref) == name for record in recorded.readable)
    raise ConfigurationError(
        f"the record of {name} can be read: there is nothing to forget" if known else f"there is no record of {name}"
    )


def forget(project: Project, ref: Ref, problem: str, actor: str) -> None:
    """Put an empty record in the place of a damaged one, and log it. ``problem`` is what was wrong with it.

    Without any record, nobody would look again at what git no longer asks for, and what it runs would run for ever.
    """
    state, now = project.ports.state, project.clock()
    revision = in_force(state)
    event = Event(
        time=now,
        commit=revision.commit if revision is not None else "",
        ref=ref,
        reason=RECORD_FORGOTTEN,
        message=f"its record could not be read ({problem}) and was removed; it is looked at anew",
        actor=actor,
    )
    state.forget(ref, [event], _blank(ref, now) if ref.kind in project.kinds else None)


def _blank(ref: Ref, now: datetime) -> Record:
    message = "its record was removed; it is looked at anew"
    conditions = transition(None, now, ready=False, reconciling=True, reason=RECORD_FORGOTTEN, message=message)
    status = Status(commit="", identity="", digest="", conditions=conditions)
    return Record(ref=ref, status=status.model_dump(mode="json"))
