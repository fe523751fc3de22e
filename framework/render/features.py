"""Feature views, for people and for programs: a list, one of them, and its versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from framework.api.credentials import redacted_value
from framework.planning.reports.features import ViewReport, ViewRow, ViewVersion, check_name, verdict
from framework.ports import Json
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED, flow
from framework.render.figures import figure_lines
from framework.render.terminal import (
    DEFAULT_WIDTH,
    Line,
    Span,
    headings,
    one_line,
    paragraph,
    shortened,
    table,
    text_of,
    under,
)
from framework.render.wording import ago, count, lasting, second, short, span

FORMAT = 1
_LONGEST_NAME = 48
_CAUSES = {"git": "git asked for it", "data": "its data had changed"}
STYLES = {"passed": ADDED, "warned": CHANGED, "failed": REMOVED, "fresh": ADDED, "stale": REMOVED}
_NEWEST = 5
"""Versions that are shown of one view; history has all."""
_INDENT = " " * 6


# ------------------------------------------------------------------- a list


def views_text(rows: Sequence[ViewRow], now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A line each, in the order given."""
    if not rows:
        return "There are no feature views.\n"
    heads = headings("VIEW", "VERSION", "ROWS", "NEWEST EVENT (UTC)", "FRESHNESS", "OWNER", "READ BY")
    lines = table([heads, *(_row(row, now) for row in rows)], width, indent=_INDENT)
    for row in rows:
        if row.problem:
            lines += paragraph(f"{row.name}: {one_line(row.problem)}", width=width, style=REMOVED)
    return text_of(lines, colour=colour)


def _row(row: ViewRow, now: datetime) -> Line:
    version, newest = row.version, row.newest
    absent = "cannot be read" if row.problem else "not published"
    return (
        Span(one_line(row.name), "bold"),
        Span(version.label) if version else Span(absent, QUIET),
        Span(f"{version.state.rows:,}" if version else "-"),
        Span(second(newest) if newest else "-"),
        _fresh(row, now),
        Span(one_line(row.owner) or "-"),
        Span(", ".join(map(str, row.readers)) or ("-" if row.asked else "git does not ask for it any more")),
    )


def _fresh(row: ViewRow, now: datetime) -> Span:
    word = row.freshness(now)
    if not word or row.newest is None:
        return Span(f"{span(now - row.newest)} old" if row.newest and row.newest <= now else "-", QUIET)
    return Span(f"{word}, {span(now - row.newest)} old" if row.newest <= now else word, STYLES[word])


def views_json(environment: str, rows: Sequence[ViewRow], now: datetime) -> str:
    return document({"format": FORMAT, "environment": environment, "views": [row_facts(row, now) for row in rows]})


def row_facts(row: ViewRow, now: datetime) -> dict[str, Json]:
    return {
        "name": row.name,
        "version": None if row.version is None else version_facts(row.version),
        "newest": row.newest,
        "fresh_for": row.fresh_for,
        "freshness": row.freshness(now) or None,
        "readers": [str(ref) for ref in row.readers],
        "owner": row.owner or None,
        "description": row.description or None,
        "labels": dict(row.labels),
        "asked": row.asked,
        "problem": row.problem or None,
    }


def version_facts(one: ViewVersion) -> dict[str, Json]:
    state = one.state
    return {
        "version": state.version,
        "build": state.name,
        "uri": state.uri,
        "current": one.current,
        "same_table": one.same_table,
        "rows": state.rows,
        "rows_before": one.before,
        "published": state.published,
        "newest": state.newest,
        "commit": state.commit,
        "cause": one.cause or None,
        "seconds": one.seconds,
        "expectations": dict(one.verdicts),
    }


# ------------------------------------------------------------------- one of them


def view_text(report: ViewReport, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Everything that is known of a view, what matters most first."""
    row = report.row
    told = f"  {row.description}" if row.description else ""
    lines = under(
        one_line(row.name), one_line(told) and f"  {one_line(told)}", lead="", stem="  ", width=width, style="bold"
    )
    for sentence in sentences(report, now):
        lines += paragraph(sentence, width=width, indent="  ")
    for title, cells in _tables(report, now):
        if len(cells) > 1:
            lines += [(), (Span(title, "bold"),), *table(cells, width, indent=_INDENT)]
    sql = report.transform.get("sql")
    if sql:
        lines += [(), (Span("SQL", "bold"),), *paragraph(str(sql).rstrip(), width=width, indent="  ")]
    return text_of(lines, colour=colour)


def sentences(report: ViewReport, now: datetime) -> Iterator[str]:
    """What is said of a view before any table."""
    row, shown = report.row, report.shown
    if row.problem:
        yield one_line(row.problem)
    elif shown is None:
        yield "nothing of it is published"
    else:
        yield published(shown, now)
        if not shown.current:
            yield f"readers have {f'version {row.version.label}' if row.version else 'another version'}"
    if row.newest is not None:
        word = row.freshness(now)
        limit = f", and it may be {span(row.fresh_for)} old: {word}" if row.fresh_for is not None else ""
        yield f"the newest event time is {second(row.newest)} UTC{limit}"
    keys = ", ".join(report.keys)
    if keys:
        yield f"a row is named by {', '.join(filter(None, (report.timestamp, keys)))}" + (
            f" and known from {report.available} on" if report.available else ""
        )
    if report.transform.get("function"):
        yield f"its rows are made by {one_line(str(report.transform['function']))}"
    if row.owner:
        yield f"its owner is {one_line(row.owner)}"
    if row.labels:
        yield f"it is labelled {', '.join(f'{key}={value}' for key, value in sorted(row.labels.items()))}"
    yield f"it is read by {', '.join(map(str, row.readers))}" if row.readers else "nothing reads it"
    if not row.asked:
        yield "git does not ask for it any more"


def published(version: ViewVersion, now: datetime) -> str:
    """``version 3 (build 0123456789) has 1,000 rows; published 2d ago at commit abc1234, because ..., in 3s``."""
    state = version.state
    cause = _CAUSES.get(version.cause)
    told = f"version {state.version} (build {state.name}) has {count(state.rows, 'row')}; published"
    told += f" {ago(now - state.published)} at commit {short(state.commit)}"
    told += f", because {cause}" if cause else ""
    return told + (f", in {lasting(version.seconds)}" if version.seconds is not None else "")


def _tables(report: ViewReport, now: datetime) -> Iterator[tuple[str, list[Line]]]:
    """By title; each begins with its heads."""
    columns = [_cells(one.name, one.dtype, one.description) for one in report.row.columns]
    yield "Columns", [headings("  NAME", "DTYPE", "DESCRIPTION"), *columns]
    sources = [_cells(name, source_told(source)) for name, source in report.sources.items()]
    yield "Sources", [headings("  NAME", "FROM"), *sources]
    if report.shown is not None:
        reads = [
            _cells(name, str(read.version), read.name, "-" if read.rows is None else f"{read.rows:,}")
            for name, read in sorted(report.shown.state.upstream.items())
        ]
        yield "Views that were read", [headings("  VIEW", "VERSION", "BUILD", "ROWS"), *reads]
        found = [_finding(one) for one in report.shown.findings]
        yield "Expectations", [headings("  CHECK", "RESULT", "OBSERVED"), *found]
    yield "Values", figure_lines(report.figures)
    yield "Versions", version_lines(report.versions[:_NEWEST], now)


def source_told(source: Mapping[str, Any]) -> str:
    """``data/*.csv, csv``; what looks like a credential is hidden."""
    known = redacted_value(source)
    for word in ("path", "featureView", "function", "sql"):
        if known.get(word):
            what = {"path": str(known.get("format") or "files"), "featureView": "view", "sql": "database"}.get(
                word, word
            )
            return f"{one_line(str(known[word]))} ({what})"
    return flow(known)


def _finding(one: Mapping[str, Any]) -> Line:
    word = verdict(one)
    return (
        Span(f"  {_short(check_name(one))}"),
        Span(word, STYLES[word]),
        Span(one_line(str(one.get("observed", "")))),
    )


def _cells(first: str, *others: str) -> Line:
    return (Span(f"  {_short(first)}"), *(Span(one_line(text) or "-") for text in others))


def _short(text: str) -> str:
    return shortened(one_line(text), _LONGEST_NAME)


def view_json(environment: str, report: ViewReport, now: datetime) -> str:
    return document({"format": FORMAT, "environment": environment, **view_facts(report, now)})


def view_facts(report: ViewReport, now: datetime) -> dict[str, Json]:
    """What a view's page says, too."""
    shown = report.shown
    upstream = {} if shown is None else shown.state.upstream
    return {
        **row_facts(report.row, now),
        "shown": None if shown is None else version_facts(shown),
        "columns": list(report.row.columns),
        "entities": list(report.keys),
        "timestamp": report.timestamp,
        "available": report.available,
        "sources": {name: dict(source) for name, source in report.sources.items()},
        "transform": dict(report.transform),
        "upstream": dict(upstream),
        "expectations": [] if shown is None else [dict(one) for one in shown.findings],
        "figures": list(report.figures),
        "versions": [version_facts(one) for one in report.versions],
    }  # fmt: skip


# ------------------------------------------------------------------- its versions


def history_text(
    view: str, versions: Sequence[ViewVersion], now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False
) -> str:
    """A line each, newest first; ``*`` marks what readers have."""
    if not versions:
        return f"Nothing of {view} is published.\n"
    return text_of(table(version_lines(versions, now, indent=""), width, indent=_INDENT), colour=colour)


def version_lines(versions: Sequence[ViewVersion], now: datetime, indent: str = "  ") -> list[Line]:
    """A table with its heads."""
    titles = ("PUBLISHED", "COMMIT", "CAUSE", "ROWS", "CHANGE", "TOOK", "EXPECTATIONS")
    heads = headings(f"{indent}VERSION", "BUILD", *titles)
    return [heads, *(_version(one, now, indent) for one in versions)]


def _version(one: ViewVersion, now: datetime, indent: str) -> Line:
    state = one.state
    return (
        Span(f"{indent}{state.version}{'*' if one.current else ''}", "bold" if one.current else ""),
        Span(state.name),
        Span(ago(now - state.published), QUIET),
        Span(short(state.commit) or "-"),
        Span(one.cause or "-"),
        Span(f"{state.rows:,}"),
        Span(change(one)),
        Span("-" if one.seconds is None else lasting(one.seconds)),
        Span(*_verdicts(one)),
    )


def change(one: ViewVersion) -> str:
    """``+12 (3.4 %)``: how many rows more or fewer than the version published before."""
    if one.before is None:
        return "-"
    more = one.state.rows - one.before
    part = f" ({abs(more) / one.before:.1%})".replace("%", " %") if one.before and more else ""
    return f"{more:+,}{part}" if more else "0"


def _verdicts(one: ViewVersion) -> tuple[str, str]:
    known = {word: number for word, number in one.verdicts.items() if number}
    worst = next((word for word in ("failed", "warned", "passed") if word in known), "")
    return ", ".join(f"{number} {word}" for word, number in known.items()) or "-", STYLES.get(worst, "")


def history_json(environment: str, view: str, versions: Sequence[ViewVersion]) -> str:
    facts = [{**version_facts(one), "findings": [dict(item) for item in one.findings]} for one in versions]
    return document({"format": FORMAT, "environment": environment, "view": view, "versions": facts})
