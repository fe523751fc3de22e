"""How a whole environment stands: a row for each resource, and which commit is in force, refused or withheld. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.conditions import Conditions
from framework.api.meta import Ref
from framework.planning.changes import Desired
from framework.planning.health import Health, Sync, healths
from framework.planning.settled import Withheld
from framework.ports import Record, Revision


@dataclass(frozen=True)
class StatusRow:
    """One resource.

    ``asked_commit`` and ``asked_identity`` are git's side (None: git no longer has it), ``commit`` and ``identity`` the
    recorded side (None: nothing recorded). ``since`` is when the resource came into this state, as far as is known.
    """

    kind: str
    name: str
    sync: Sync
    reason: str
    message: str
    summary: str = ""
    asked_commit: str | None = None
    asked_identity: str | None = None
    commit: str | None = None
    identity: str | None = None
    conditions: Conditions | None = None
    since: datetime | None = None
    age: timedelta | None = None

    @property
    def ref(self) -> Ref:
        return Ref(self.kind, self.name)


@dataclass(frozen=True)
class StatusReport:
    """An environment. ``accepted`` is the revision in force, ``refused`` a newer one that is not, with its problems,
    ``withheld`` a newer one that is valid and has to wait."""

    environment: str
    accepted: Revision | None
    refused: Revision | None
    rows: tuple[StatusRow, ...]
    withheld: Withheld | None = None


def report(
    environment: str,
    desired: Mapping[Ref, Desired[Any]],
    records: Sequence[Record],
    revisions: Sequence[Revision],
    now: datetime,
    withheld: Withheld | None = None,
) -> StatusReport:
    """``revisions`` newest first, as the state store gives them."""
    newest = revisions[0] if revisions else None
    return StatusReport(
        environment=environment,
        accepted=next((revision for revision in revisions if revision.accepted), None),
        refused=newest if newest is not None and not newest.accepted else None,
        rows=tuple(rows(desired, records, now, withheld)),
        withheld=withheld,
    )


def rows(
    desired: Mapping[Ref, Desired[Any]], records: Sequence[Record], now: datetime, withheld: Withheld | None = None
) -> Sequence[StatusRow]:
    """One row per resource that git asks for or a record remembers: git's order first, which must be dependency order,
    then what git no longer has."""
    found = [_row(ref, desired.get(ref), health, now) for ref, health in healths(desired, records).items()]
    return found if withheld is None else [_waiting(row, withheld) for row in found]


def _waiting(row: StatusRow, withheld: Withheld) -> StatusRow:
    """What the newest commit would change waits for what that commit waits for."""
    if row.reason not in _NOT_TAKEN_UP:
        return row
    return replace(row, reason=withheld.reason, message=withheld.message)


_NOT_TAKEN_UP = frozenset({"NotReconciled", "NotTakenUp", "RemovedFromGit"})
_NEVER = Health(Sync.OUT_OF_SYNC, "NotReconciled", "no pass has looked at it yet")


def _row(ref: Ref, desired: Desired[Any] | None, health: Health | None, now: datetime) -> StatusRow:
    found = health or _NEVER
    status = found.status
    return StatusRow(
        kind=ref.kind,
        name=ref.name,
        sync=found.sync,
        reason=found.reason,
        message=found.message,
        summary=status.summary if status else "",
        asked_commit=desired.commit if desired else None,
        asked_identity=desired.identity if desired else None,
        commit=status.commit if status else None,
        identity=status.identity if status else None,
        conditions=status.conditions if status else None,
        since=found.since,
        age=None if found.since is None else now - found.since,
    )
