"""What git asks for, what runs, where they differ and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from framework.api.conditions import Condition
from framework.planning.health import Sync
from framework.planning.overview import StatusReport, StatusRow, report, rows
from framework.planning.settled import Withheld
from framework.ports import Json, Revision
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

__all__ = [
    "StatusReport",
    "StatusRow",
    "Sync",
    "report",
    "resource_json",
    "resource_text",
    "row_document",
    "rows",
    "status_json",
    "status_text",
]

FORMAT = 1


_STYLES = {
    Sync.SYNCED: "green",
    Sync.PROGRESSING: "cyan",
    Sync.BLOCKED: "yellow",
    Sync.HELD: "yellow",
    Sync.STALLED: "red",
    Sync.OUT_OF_SYNC: "yellow",
    Sync.UNKNOWN: "magenta",
}


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
