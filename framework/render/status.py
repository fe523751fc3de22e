"""What git asks for, what runs, where they differ and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.conditions import Condition
from framework.planning.reports.asked import Asked, Stand
from framework.planning.reports.convergence import Withheld
from framework.planning.reports.health import Sync
from framework.planning.reports.overview import StatusReport, StatusRow
from framework.ports import Json, Revision
from framework.render.canonical import document, plain_value
from framework.render.diffs import QUIET
from framework.render.expectations import expectation_lines, expectations_document
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    fitted,
    headings,
    one_line,
    paragraph,
    table,
    text_of,
)
from framework.render.uncommitted import not_looked_at, untracked
from framework.render.watch import controller_document, ray_document, watch_lines
from framework.render.wording import ago, commit_title, count, short, span

FORMAT = 1

_STYLES = {
    Sync.SYNCED: "green",
    Sync.PROGRESSING: "cyan",
    Sync.BLOCKED: "yellow",
    Sync.HELD: "yellow",
    Sync.STALLED: "red",
    Sync.DEGRADED: "red",
    Sync.OUT_OF_SYNC: "yellow",
    Sync.UNKNOWN: "magenta",
}

# ------------------------------------------------------------------- text


def status_text(report: StatusReport, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A header, a table, and below each resource that is not Synced the reason."""
    lines = [*_header(report, width), ()]
    if not report.rows:
        return text_of([*lines, (Span("No resources."),)], colour=colour)
    heads, *rows = fitted([_HEADINGS, *(_cells(row) for row in report.rows)], width)
    lines += heads
    for row, cells in zip(report.rows, rows, strict=True):
        lines += cells
        if row.sync is not Sync.SYNCED:
            because = one_line(row.because, LONGEST_MESSAGE)
            lines += paragraph(because, width=width, indent="    ", style=_STYLES[row.sync])
    return text_of([*lines, (), *paragraph(_tally(report.rows), width=width, style="bold")], colour=colour)


def resource_text(row: StatusRow, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Everything about one resource: both sides, the reason, and the three conditions with their last flip."""
    status = row.status
    facts = [
        ("git asks", _side(row.asked_identity, row.asked_commit) or "nothing: it was removed"),
        ("recorded", (_side(status.identity, status.commit) if status else "") or "nothing yet"),
        *([("runs" if row.current else "ran", one_line(status.summary))] if status and status.summary else []),
        *([("newer data", f"in {', '.join(map(str, row.newer))}, than it was made from")] if row.newer else []),
        *([("looked at", ago(now - row.looked_at))] if row.looked_at else []),
    ]
    age = "" if row.age is None else f" for {span(row.age)}"
    title = (Span(str(row.ref), "bold"), Span(f"{row.sync}{age}", _STYLES[row.sync]))
    lines: list[Line] = [
        *table([title], width),
        *paragraph(row.because, width=width, indent="  "),
        (),
        *table([(Span(f"  {name}", QUIET), Span(value)) for name, value in facts], width),
    ]
    if status is not None:
        lines += [(), *table([_condition(condition, now) for condition in status.conditions.all()], width)]
    if row.checked is not None:
        lines += [(), *expectation_lines(row.checked, now, width)]
    return text_of(lines, colour=colour)


def _header(report: StatusReport, width: int) -> list[Line]:
    accepted, refused, withheld = report.accepted, report.refused, report.withheld
    where = f"at commit {_named(accepted)}" if accepted else "has no accepted commit yet"
    lines = paragraph(f"Environment {report.environment} {where}", width=width, style="bold")
    if report.oversight:
        lines += watch_lines(report.oversight, width)
    if refused:
        told = f"Commit {_named(refused)} is refused, nothing of it is in force:"
        lines += _problems(told, refused.problems or ("no reason was recorded",), width)
    if withheld:
        told = f"Commit {_named(withheld)} is not in force: {withheld.reason}"
        lines += paragraph(told, width=width, style="yellow")
        lines += paragraph(withheld.message, width=width, indent="  ")
    lines += _asked(report, width)
    if report.uncommitted and report.uncommitted.files:
        lines += paragraph(not_looked_at(report.uncommitted), width=width, style="yellow")
    if report.uncommitted and report.uncommitted.untracked:
        lines += paragraph(untracked(report.uncommitted), width=width, style="yellow")
    return lines


def _asked(report: StatusReport, width: int) -> list[Line]:
    """What becomes of the newest commit, where no controller has looked at it."""
    asked = report.asked
    who = (report.oversight.absence if report.oversight else "") or "no controller has looked at it yet"
    if asked is not None and asked.stand is Stand.NEW:
        return paragraph(f"Commit {_named(asked)} is not in force: {who}", width=width, style="yellow")
    if asked is not None and asked.stand is Stand.WRONG:
        return _problems(f"Commit {_named(asked)} is wrong and will be refused; {who}:", asked.problems, width)
    if asked is not None and asked.stand is Stand.UNREADABLE:
        return _problems("Git cannot be read, so nobody can tell what it asks for:", asked.problems, width)
    return []


def _problems(title: str, problems: Sequence[str], width: int) -> list[Line]:
    lines = paragraph(title, width=width, style="red")
    for problem in problems:
        lines += paragraph(problem, width=width, indent="  ")
    return lines


def _named(commit: Revision | Withheld | Asked) -> str:
    return commit_title(commit.commit, commit.subject)


_HEADINGS = headings("RESOURCE", "GIT ASKS", "SYNC", "FOR", "RUNNING")


def _cells(row: StatusRow) -> Line:
    summary = one_line(row.status.summary if row.status else "") or "-"
    if row.newer:
        summary += ", newer data exists"
    return (
        Span(str(row.ref)),
        Span(row.asked_identity or "removed"),
        Span(row.sync, _STYLES[row.sync]),
        Span("-" if row.age is None else span(row.age)),
        Span(summary if row.current or summary == "-" else f"was: {summary}"),
    )


def _side(identity: str | None, commit: str | None) -> str:
    return f"{identity} of commit {short(commit)}" if identity and commit else ""


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
            "accepted": _revision(report.accepted),
            "asked": report.asked,
            "refused": _revision(report.refused),
            "withheld": report.withheld,
            "uncommitted": report.uncommitted,
            "controller": controller_document(report.oversight),
            "ray": ray_document(report.oversight),
            "summary": {sync.value: tally[sync] for sync in Sync},
            "resources": [row_document(row) for row in report.rows],
        }
    )


def _revision(revision: Revision | None) -> Mapping[str, Any] | None:
    names = ("commit", "digest", "accepted", "time", "problems", "subject")
    return None if revision is None else {name: getattr(revision, name) for name in names}


def resource_json(row: StatusRow) -> str:
    """One resource as a JSON document of its own, with what came of its expectations where somebody looked."""
    found = {} if row.checked is None else {"expectations": expectations_document(row.checked)}
    return document({"format": FORMAT, **row_document(row), **found})


def row_document(row: StatusRow) -> dict[str, Json]:
    """One resource of the JSON report, as plain values. Ages are left to the reader: ``since`` is absolute."""
    health, status = row.health, row.status
    fields = {
        "kind": row.ref.kind,
        "name": row.ref.name,
        "sync": health.sync,
        "reason": health.reason,
        "message": health.message,
        "summary": status.summary if status else "",
        "newer_data": [str(ref) for ref in row.newer],
        "current": row.current,
        "since": health.since,
        "looked_at": row.looked_at,
        "asked": {"commit": row.asked_commit, "identity": row.asked_identity},
        "recorded": {"commit": status and status.commit, "identity": status and status.identity},
        "conditions": status.conditions.all() if status else [],
    }
    return {name: plain_value(value) for name, value in fields.items()}
