"""Which commits were in force and what served when, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from framework.planning.reports.history import Candidacy, History, Life, Service, Turn
from framework.ports import Json
from framework.render.canonical import document, plain_value
from framework.render.diffs import QUIET
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    headings,
    one_line,
    paragraph,
    table,
    text_of,
)
from framework.render.wording import second, short

FORMAT = 1
LONGEST_WHY = 120
"""Characters of a reason in the table; JSON has all of it."""

_INDENT = " " * 6
_SPAN = ("  SINCE (UTC)", "UNTIL")

Features = Mapping[str, Mapping[str, Mapping[str, Json]]]
"""By version (``training@version``) and view: identity and version of the table that the model was trained on."""


@dataclass(frozen=True)
class HistoryReport:
    """``since`` and ``until`` are set where a moment (both are equal) or a day was asked for."""

    environment: str
    history: History
    features: Features = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 20
    """The newest so many rows of each table; not applied where a moment or a day was asked for."""

    @property
    def asked(self) -> bool:
        return self.since is not None


# ------------------------------------------------------------------- text


def history_text(report: HistoryReport, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """The commits that were in force, and for each deployment its versions, oldest first; times in UTC."""
    lines = paragraph(_title(report), width=width, style="bold")
    turns = _newest(report, report.history.turns)
    if turns:
        heads = headings("TIME (UTC)", "COMMIT", "WHAT", "BY", "WHY")
        lines += [(), *table([heads, *(_turn(turn) for turn in turns)], width, indent=_INDENT)]
    for item in report.history.lives:
        lines += [(), *paragraph(str(item.ref), width=width, style="bold"), *_life(item, report, width)]
    if not turns and not report.history.lives:
        lines += [(), (Span("Nothing was in force, and nothing served." if report.asked else "No history yet."),)]
    return text_of(lines, colour=colour)


def _title(report: HistoryReport) -> str:
    if report.since is None or report.until is None:
        return f"Environment {report.environment}: what was in force and what served"
    if report.since == report.until:
        return f"Environment {report.environment} at {second(report.since)} UTC"
    return f"Environment {report.environment} on {report.since.astimezone(UTC):%Y-%m-%d} (UTC)"


def _turn(turn: Turn) -> Line:
    return (
        Span(second(turn.time), QUIET),
        Span(short(turn.commit)),
        Span(one_line(turn.reason)),
        Span(one_line(turn.actor) or "-", QUIET),
        Span(one_line(turn.message, LONGEST_WHY)),
    )


def _life(item: Life, report: HistoryReport, width: int) -> list[Line]:
    services, trials = _newest(report, item.services), _newest(report, item.trials)
    lines: list[Line] = []
    if not services:
        lines.append((Span("  nothing served" if item.serve else "  no version"),))
    elif item.serve:
        heads = headings(*_SPAN, "SERVED", "APP", "COMMIT", "FEATURES")
        rows = [(*_span(one, one.outcome), *_app(one), _tables(one, report.features)) for one in services]
        lines += table([heads, *rows], width, indent=_INDENT)
    else:
        heads = headings(*_SPAN, "VERSION", "COMMIT", "WHY")
        lines += table([heads, *(_version(one) for one in services)], width, indent=_INDENT)
    if trials:
        heads = headings(*_SPAN, "CANDIDATE", "APP", "COMMIT", "TRAFFIC", "OUTCOME")
        lines += table([heads, *(_trial(one, report) for one in trials)], width, indent=_INDENT)
    return lines


def _span(one: Service | Candidacy, outcome: str) -> Line:
    removed = " (removed)" if outcome == "Deleted" else ""
    until = "now" if one.until is None else f"{second(one.until)}{removed}"
    return (Span(f"  {second(one.since)}", QUIET), Span(until, QUIET), Span(one_line(one.version)))


def _app(one: Service | Candidacy) -> Line:
    return (Span(one_line(one.app)), Span(short(one.commit)))


def _tables(one: Service, features: Features) -> Span:
    tables = sorted(features.get(one.version, {}).items())
    named = ", ".join(f"{view}@{table.get('identity')} v{table.get('version')}" for view, table in tables)
    return Span(one_line(named) or "-")


def _version(one: Service) -> Line:
    return (*_span(one, one.outcome), Span(short(one.commit)), Span(one_line(one.message, LONGEST_MESSAGE)))


def _trial(one: Candidacy, report: HistoryReport) -> Line:
    moment = report.until if report.since == report.until else None
    if moment is not None:
        traffic = f"{one.weight(moment)} %"
    else:
        traffic = ", ".join(f"{weight} %" for _, weight in one.weights) or "none"
    return (*_span(one, ""), *_app(one), Span(traffic), Span(one_line(one.outcome) or "under way"))


def _newest(report: HistoryReport, rows: Sequence[Any]) -> Sequence[Any]:
    return rows if report.asked else rows[max(len(rows) - report.limit, 0) :]


# ------------------------------------------------------------------- JSON


def history_json(report: HistoryReport) -> str:
    """The same as a JSON document. Equal reports give equal bytes."""
    return document(
        {
            "format": FORMAT,
            "environment": report.environment,
            "since": report.since,
            "until": report.until,
            "revisions": _newest(report, report.history.turns),
            "resources": [
                {
                    "ref": item.ref,
                    "served": list(_served(_newest(report, item.services), report.features)),
                    "candidates": [_candidate(one, report) for one in _newest(report, item.trials)],
                }
                for item in report.history.lives
            ],
        }
    )


def _served(services: Sequence[Service], features: Features) -> Iterable[dict[str, Json]]:
    for one in services:
        known = {"features": plain_value(features[one.version])} if one.version in features else {}
        yield {**_fields(one), **known}


def _candidate(one: Candidacy, report: HistoryReport) -> dict[str, Json]:
    weights = [{"since": plain_value(since), "weight": weight} for since, weight in one.weights]
    moment = report.until if report.since == report.until else None
    at = {} if moment is None else {"weight": one.weight(moment)}
    return {**_fields(one), "weights": weights, **at}


def _fields(one: Service | Candidacy) -> dict[str, Json]:
    found = plain_value(one)
    assert isinstance(found, dict)
    return found
