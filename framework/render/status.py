"""What git asks for, what runs, where they differ and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from framework.api.conditions import DEGRADED, Condition, Conditions
from framework.api.meta import Ref
from framework.planning.admission import ORPHANED
from framework.planning.changes import Desired, Status
from framework.planning.settled import Withheld
from framework.ports import Json, Record, Revision
from framework.render.canonical import document, plain_value
from framework.render.diffs import QUIET
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    columns,
    one_line,
    paragraph,
    text_of,
)
from framework.render.wording import ago, count, short, span

FORMAT = 1


class Sync(StrEnum):
    """How what runs relates to what git asks. ``Synced`` is said only when nothing speaks against it."""

    SYNCED = "Synced"
    """What git asks is in service, and no work goes on."""
    PROGRESSING = "Progressing"
    """Work towards what git asks goes on, or waits."""
    STALLED = "Stalled"
    """What git asks was tried and given up, until something changes."""
    DEGRADED = "Degraded"
    """What git asks is in service, and does not do its work."""
    OUT_OF_SYNC = "OutOfSync"
    """Git asks for something that no pass has taken up yet."""
    UNKNOWN = "Unknown"
    """The record cannot be read, or says nothing."""


_STYLES = {
    Sync.SYNCED: "green",
    Sync.PROGRESSING: "cyan",
    Sync.STALLED: "red",
    Sync.DEGRADED: "red",
    Sync.OUT_OF_SYNC: "yellow",
    Sync.UNKNOWN: "magenta",
}


@dataclass(frozen=True)
class StatusRow:
    """One resource.

    ``asked_commit`` and ``asked_identity`` are git's side (None: git no longer has it), ``commit`` and ``identity`` the
    recorded side (None: nothing recorded). ``since`` is when the condition that decided ``sync`` last flipped.
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
    """One row per resource that git asks for or a record remembers: git's order first, then what git no longer has."""
    recorded = {record.ref: record for record in records}
    gone = sorted(ref for ref in recorded if ref not in desired)
    found = [_row(ref, desired.get(ref), recorded.get(ref), now) for ref in (*desired, *gone)]
    return found if withheld is None else [_waiting(row, withheld) for row in found]


def _waiting(row: StatusRow, withheld: Withheld) -> StatusRow:
    """What the newest commit would change waits for what that commit waits for."""
    if row.reason not in _NOT_TAKEN_UP:
        return row
    return replace(row, reason=withheld.reason, message=withheld.message)


_NOT_TAKEN_UP = frozenset({"NotReconciled", "NotTakenUp", "RemovedFromGit"})


def _row(ref: Ref, desired: Desired[Any] | None, record: Record | None, now: datetime) -> StatusRow:
    row = StatusRow(
        *ref,
        Sync.OUT_OF_SYNC,
        "NotReconciled",
        "no pass has looked at it yet",
        asked_commit=desired.commit if desired else None,
        asked_identity=desired.identity if desired else None,
    )
    if record is None:
        return row
    try:
        status = Status.model_validate(record.status)
    except ValidationError as error:
        problem = f"its record cannot be read: {error.error_count()} fields differ from what this version expects"
        return replace(row, sync=Sync.UNKNOWN, reason="UnreadableRecord", message=problem)
    sync, reason, message, since = _judge(desired, status)
    return replace(
        row,
        sync=sync,
        reason=reason,
        message=message,
        summary=status.summary,
        commit=status.commit,
        identity=status.identity,
        conditions=status.conditions,
        since=since,
        age=None if since is None else now - since,
    )


def _judge(desired: Desired[Any] | None, status: Status) -> tuple[Sync, str, str, datetime | None]:
    """(sync, reason, message, since). A verdict on an older spec says nothing about the one that git asks for now."""
    conditions = status.conditions

    def by(sync: Sync, condition: Condition) -> tuple[Sync, str, str, datetime | None]:
        return sync, condition.reason, condition.message, condition.since

    if desired is not None and (status.digest, status.identity) != (desired.digest, desired.identity):
        return (
            Sync.OUT_OF_SYNC,
            "NotTakenUp",
            f"git asks for {desired.identity} of commit {short(desired.commit)}; the last pass saw {status.identity} "
            f"of {short(status.commit)}",
            None,
        )
    if desired is None and conditions.stalled.status and conditions.stalled.reason == ORPHANED:
        return by(Sync.OUT_OF_SYNC, conditions.stalled)
    if conditions.stalled.status:
        return by(Sync.STALLED, conditions.stalled)
    if conditions.reconciling.status:
        return by(Sync.PROGRESSING, conditions.reconciling)
    if desired is None:
        return Sync.OUT_OF_SYNC, "RemovedFromGit", "git no longer has it, and it is not pruned yet", None
    if conditions.ready.status:
        return by(Sync.SYNCED, conditions.ready)
    if conditions.ready.reason == DEGRADED:
        return by(Sync.DEGRADED, conditions.ready)
    return by(Sync.UNKNOWN, conditions.ready)


# ------------------------------------------------------------------- text


def status_text(report: StatusReport, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A header, a table, and below each resource that is not Synced the reason."""
    lines = [*_header(report, width), ()]
    if not report.rows:
        return text_of([*lines, (Span("No resources."),)], colour=colour)
    table = columns([_HEADINGS, *(_cells(row) for row in report.rows)])
    lines.append(table[0])
    for row, cells in zip(report.rows, table[1:], strict=True):
        lines.append(cells)
        if row.sync is not Sync.SYNCED:
            because = one_line(_because(row), LONGEST_MESSAGE)
            lines += paragraph(because, width=width, indent="    ", style=_STYLES[row.sync])
    return text_of([*lines, (), (Span(_tally(report.rows), "bold"),)], colour=colour)


def resource_text(row: StatusRow, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Everything about one resource: both sides, the reason, and the three conditions with their last flip."""
    facts = [
        ("git asks", _side(row.asked_identity, row.asked_commit) or "nothing: it was removed"),
        ("recorded", _side(row.identity, row.commit) or "nothing yet"),
        *([("runs", one_line(row.summary))] if row.summary else []),
    ]
    lines: list[Line] = [
        (Span(str(row.ref), "bold"), Span("  "), Span(row.sync, _STYLES[row.sync]), *_age(row)),
        *paragraph(_because(row), width=width, indent="  "),
        (),
        *columns([(Span(f"  {name}", QUIET), Span(value)) for name, value in facts]),
    ]
    if row.conditions is not None:
        lines += [(), *columns([_condition(condition, now) for condition in row.conditions.all()])]
    return text_of(lines, colour=colour)


def _header(report: StatusReport, width: int) -> list[Line]:
    accepted, refused = report.accepted, report.refused
    where = f"at commit {_named(accepted)}" if accepted else "has no accepted commit yet"
    lines: list[Line] = [(Span(f"Environment {report.environment} {where}", "bold"),)]
    if refused:
        lines.append((Span(f"Commit {_named(refused)} is refused, nothing of it is in force:", "red"),))
        for problem in refused.problems or ("no reason was recorded",):
            lines += paragraph(problem, width=width, indent="  ")
    if report.withheld:
        lines.append((Span(f"Commit {_named(report.withheld)} is not in force: {report.withheld.reason}", "yellow"),))
        lines += paragraph(report.withheld.message, width=width, indent="  ")
    return lines


def _named(revision: Revision | Withheld) -> str:
    return f'{short(revision.commit)} "{one_line(revision.subject)}"' if revision.subject else short(revision.commit)


_HEADINGS: Line = tuple(Span(title, "bold") for title in ("RESOURCE", "GIT ASKS", "SYNC", "FOR", "RUNNING"))


def _cells(row: StatusRow) -> Line:
    return (
        Span(str(row.ref)),
        Span(row.asked_identity or "removed"),
        Span(row.sync, _STYLES[row.sync]),
        Span("-" if row.age is None else span(row.age)),
        Span(one_line(row.summary) or "-"),
    )


def _because(row: StatusRow) -> str:
    return f"{row.reason}: {row.message}" if row.message else row.reason


def _side(identity: str | None, commit: str | None) -> str:
    return f"{identity} of commit {short(commit)}" if identity and commit else ""


def _age(row: StatusRow) -> Line:
    return () if row.age is None else (Span(f" for {span(row.age)}", QUIET),)


def _condition(condition: Condition, now: datetime) -> Line:
    return (
        Span(f"  {condition.type}", QUIET),
        Span("true" if condition.status else "false"),
        Span(ago(now - condition.since), QUIET),
    )


def _tally(rows: Sequence[StatusRow]) -> str:
    tally = Counter(row.sync for row in rows)
    return f"{count(len(rows), 'resource')}: {', '.join(f'{tally[sync]} {sync}' for sync in Sync if tally[sync])}."


# ------------------------------------------------------------------- JSON


def status_json(report: StatusReport) -> str:
    """The report as a JSON document. Equal reports give equal bytes."""
    tally = Counter(row.sync for row in report.rows)
    return document(
        {
            "format": FORMAT,
            "environment": report.environment,
            "accepted": report.accepted,
            "refused": report.refused,
            "withheld": report.withheld,
            "summary": {sync.value: tally[sync] for sync in Sync},
            "resources": [row_document(row) for row in report.rows],
        }
    )


def resource_json(row: StatusRow) -> str:
    """One resource as a JSON document of its own."""
    return document({"format": FORMAT, **row_document(row)})


def row_document(row: StatusRow) -> dict[str, Json]:
    """One resource of the JSON report, as plain values. Ages are left to the reader: ``since`` is absolute."""
    fields = {
        "kind": row.kind,
        "name": row.name,
        "sync": row.sync,
        "reason": row.reason,
        "message": row.message,
        "summary": row.summary,
        "since": row.since,
        "asked": {"commit": row.asked_commit, "identity": row.asked_identity},
        "recorded": {"commit": row.commit, "identity": row.identity},
        "conditions": [] if row.conditions is None else row.conditions.all(),
    }
    return {name: plain_value(value) for name, value in fields.items()}
