"""How a whole environment stands: a row for each resource, and which commit is in force, refused or withheld. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired, Status
from framework.planning.reports.asked import Asked, Stand, Uncommitted
from framework.planning.reports.convergence import Withheld, health_of_all
from framework.planning.reports.health import SHORT_COMMIT, Health, Sync, as_known, healths
from framework.planning.reports.oversight import Oversight
from framework.ports import CheckedRun, Record, Revision


@dataclass(frozen=True)
class StatusRow:
    """One resource.

    ``asked_commit`` and ``asked_identity`` are git's side (None: git no longer has it), ``health.status`` the recorded
    side (None: nothing recorded). ``age`` is for how long the resource is in this state, ``looked_at`` when it was
    looked at last, both as far as is known. ``current``: the status tells what is, and not only what was.
    """

    ref: Ref
    health: Health
    asked_commit: str | None = None
    asked_identity: str | None = None
    age: timedelta | None = None
    looked_at: datetime | None = None
    current: bool = True
    upstream: tuple[Ref, ...] = ()
    """What it is built from, as git asks or else as is recorded."""
    newer: tuple[Ref, ...] = ()
    """Upstreams that hold newer data than what is in service was made from."""
    checked: CheckedRun | None = None
    """What came of its expectations in its newest run, where somebody looked."""

    @property
    def sync(self) -> Sync:
        return self.health.sync

    @property
    def status(self) -> Status | None:
        return self.health.status

    @property
    def because(self) -> str:
        """The reason and what there is to say about it."""
        return f"{self.health.reason}: {self.health.message}" if self.health.message else self.health.reason


@dataclass(frozen=True)
class StatusReport:
    """An environment. ``accepted`` is the revision in force, ``refused`` a newer one that is not, with its problems,
    ``withheld`` a newer one that is valid and has to wait. ``asked``, ``oversight`` and ``uncommitted`` are None where
    nobody looked at git, at who looks, or at the work tree."""

    environment: str
    accepted: Revision | None
    refused: Revision | None
    rows: tuple[StatusRow, ...]
    withheld: Withheld | None = None
    asked: Asked | None = None
    oversight: Oversight | None = None
    uncommitted: Uncommitted | None = None


class Overall(Enum):
    """An environment in one word, for scripts."""

    SETTLED = "settled"
    """All is as git asks."""
    UNSETTLED = "unsettled"
    """Work goes on, or waits for a window or a person."""
    TROUBLED = "troubled"
    """Something is given up or refused, or nobody can tell."""


def report(
    environment: str,
    desired: Mapping[Ref, Desired[Any]] | None,
    records: Sequence[Record],
    revisions: Sequence[Revision],
    now: datetime,
    withheld: Withheld | None = None,
    unreadable: Mapping[Ref, str] | None = None,
    *,
    asked: Asked | None = None,
    oversight: Oversight | None = None,
    uncommitted: Uncommitted | None = None,
    newer: Mapping[Ref, tuple[Ref, ...]] | None = None,
) -> StatusReport:
    """``revisions`` newest first, as the state store gives them; ``newer`` is what ``newer_data`` says. The rest as in
    ``rows``."""
    found = rows(desired, records, now, withheld, unreadable, asked=asked, oversight=oversight)
    found = [replace(row, newer=(newer or {}).get(row.ref, ())) for row in found]
    return StatusReport(
        environment=environment,
        accepted=next((revision for revision in revisions if revision.accepted), None),
        refused=_refused(revisions, asked),
        rows=tuple(found),
        withheld=withheld,
        asked=asked,
        oversight=oversight,
        uncommitted=uncommitted,
    )


def _refused(revisions: Sequence[Revision], asked: Asked | None) -> Revision | None:
    """The refusal of what git asks now; where that is not known, of what was looked at last."""
    last = revisions[0] if revisions else None
    if asked is not None:
        last = next((item for item in revisions if item.commit == asked.commit), None)
    return last if last is not None and not last.accepted else None


def rows(
    desired: Mapping[Ref, Desired[Any]] | None,
    records: Sequence[Record],
    now: datetime,
    withheld: Withheld | None = None,
    unreadable: Mapping[Ref, str] | None = None,
    *,
    asked: Asked | None = None,
    oversight: Oversight | None = None,
) -> Sequence[StatusRow]:
    """One row per resource that git asks for or a record remembers: git's order first, which must be dependency order,
    then what git no longer has. ``desired`` is None where nobody can tell what git asks for. Without ``oversight`` the
    records are taken at their word, whoever looked when."""
    recorded, known = {record.ref: record for record in records}, desired or {}
    found = []
    for ref, health in healths(known, records, unreadable).items():
        row = _row(ref, known.get(ref), recorded.get(ref), health or _NEVER, oversight, now)
        if desired is None:
            row = replace(row, health=_NO_GIT._replace(status=row.status), age=None)
        elif row.health.reason in _NOT_TAKEN_UP:
            row = replace(row, health=_not_taken_up(row.health, withheld, asked, oversight))
        found.append(row)
    return found


_NOT_TAKEN_UP = frozenset({"NotReconciled", "NotTakenUp", "RemovedFromGit"})
_NO_GIT = Health(Sync.UNKNOWN, "GitUnreadable", "git cannot be read, so nobody can tell what it asks for")
_NEVER = Health(Sync.OUT_OF_SYNC, "NotReconciled", "no pass has looked at it yet")


def _not_taken_up(
    health: Health, withheld: Withheld | None, asked: Asked | None, oversight: Oversight | None
) -> Health:
    """What the newest commit would change waits for what that commit waits for, or for somebody who looks at it."""
    if withheld is not None:
        return health._replace(reason=withheld.reason, message=withheld.message)
    if asked is not None and asked.stand is Stand.REFUSED:
        told = f"commit {asked.commit[:SHORT_COMMIT]} is refused: {'; '.join(asked.problems)}"
        return health._replace(reason="CommitRefused", message=told)
    if oversight is not None and oversight.absence:
        return health._replace(message=f"{health.message}; {oversight.absence}")
    return health


def _row(
    ref: Ref,
    desired: Desired[Any] | None,
    record: Record | None,
    health: Health,
    oversight: Oversight | None,
    now: datetime,
) -> StatusRow:
    current, looked_at, status = True, None, health.status
    if oversight is not None and status is not None:
        needs_ray = record is not None and any(item.startswith(_ON_RAY) for item in record.inventory)
        current = oversight.knows(ref) and not (needs_ray and oversight.cluster is not None)
        health, looked_at = as_known(health, ref, needs_ray, oversight), oversight.looked_at(ref)
    return StatusRow(
        ref=ref,
        health=health,
        upstream=tuple(desired.upstream) if desired else record.upstream if record else (),
        asked_commit=desired.commit if desired else None,
        asked_identity=desired.identity if desired else None,
        age=None if health.since is None else now - health.since,
        looked_at=looked_at,
        current=current,
    )


_ON_RAY = ("app:", "route:")
"""Items of an inventory that stand on Ray for as long as they are there."""
_TROUBLE = frozenset({Stand.WRONG, Stand.REFUSED, Stand.UNREADABLE})


def overall(rows: Sequence[StatusRow], asked: Asked | None) -> Overall:
    """What is to be kept although git no longer asks for it is well as it is."""
    found = health_of_all({row.ref: row.health for row in rows})
    if found.stalled or (asked is not None and asked.stand in _TROUBLE):
        return Overall.TROUBLED
    if found.converged and (asked is None or asked.stand is Stand.IN_FORCE):
        return Overall.SETTLED
    return Overall.UNSETTLED
