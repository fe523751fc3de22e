"""One rollout: the two versions, the steps, what was measured, and what was turned away before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from framework.ports import Word
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED
from framework.render.terminal import DEFAULT_WIDTH, Line, Span, columns, paragraph, text_of
from framework.render.wording import ago, count

FORMAT = 1


@dataclass(frozen=True)
class Side:
    """A version: what it is called, its app, since when it has been there."""

    label: str
    app: str
    since: datetime | None


@dataclass(frozen=True)
class TurnedAway:
    label: str
    reason: str
    message: str
    time: datetime


@dataclass(frozen=True)
class Failing:
    """One way in which an app failed or refused requests since its routers started."""

    app: str
    text: str
    count: int
    last: datetime


@dataclass(frozen=True)
class RolloutReport:
    """``steps`` are in words, ``step`` is the one that the candidate is in (None: it is yet to start). ``verdicts`` are
    (outcome, sentence). ``failures`` are the most frequent first, by app. ``said`` waits for a controller to act on it.
    """

    ref: str
    reason: str
    message: str
    stable: Side | None
    candidate: Side | None = None
    weight: int = 0
    steps: tuple[str, ...] = ()
    step: int | None = None
    verdicts: tuple[tuple[str, str], ...] = ()
    failures: tuple[Failing, ...] = ()
    turned_away: tuple[TurnedAway, ...] = ()
    said: Word | None = None


_OUTCOMES = {"Pass": ADDED, "Fail": REMOVED, "Inconclusive": CHANGED}


def rollout_text(report: RolloutReport, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    lines: list[Line] = [(Span(report.ref, "bold"), Span(f"  {report.reason}"))]
    lines += paragraph(report.message, width=width, indent="  ")
    sides = [
        ("stable", report.stable, f"{100 - report.weight} %"),
        ("candidate", report.candidate, f"{report.weight} %"),
    ]
    lines += [(), *columns([_side(*side, now) for side in sides if side[1] is not None])]
    if report.steps:
        lines += [(), *(_step(index, words, report.step) for index, words in enumerate(report.steps))]
    for outcome, sentence in report.verdicts:
        lines += paragraph(f"{outcome}: {sentence}", width=width, indent="  ", style=_OUTCOMES.get(outcome, ""))
    if report.failures:
        lines += [(), (Span("Failed or refused", "bold"),)]
    for item in report.failures:
        told = f"{item.app}: {item.text}, {count(item.count, 'time')}, the last {ago(now - item.last)}"
        lines += paragraph(told, width=width, indent="  ")
    if report.turned_away:
        lines += [(), (Span("Turned away", "bold"),)]
    for entry in report.turned_away:
        told = f"{entry.label}, {ago(now - entry.time)}: {entry.reason}: {entry.message}"
        lines += paragraph(told, width=width, indent="  ")
    if report.said:
        lines += [(), (Span(f'{report.said.actor} said "{report.said.verb}": waits for a controller', CHANGED),)]
    return text_of(lines, colour=colour)


def _side(role: str, side: Side | None, share: str, now: datetime) -> Line:
    assert side is not None
    since = ago(now - side.since) if side.since else ""
    return (Span(f"  {role}", QUIET), Span(share), Span(side.label), Span(side.app, QUIET), Span(since, QUIET))


def _step(index: int, words: str, current: int | None) -> Line:
    done = current is not None and index < current
    mark, style = ("✓", QUIET) if done else (">", "bold") if index == current else (" ", "")
    return (Span(f"  {mark} {words}", style),)


def rollout_json(report: RolloutReport) -> str:
    """The report as a JSON document."""
    return document(
        {
            "format": FORMAT,
            **vars(report),
            "verdicts": [{"outcome": outcome, "message": message} for outcome, message in report.verdicts],
        }
    )
