"""A simulated pass for people (stages, times, actions) and for machines (JSON, format 1)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from framework.planning.grammar.steps import SimulatedPass, SimulatedStep
from framework.planning.reports.health import Motion
from framework.render.actions import describe
from framework.render.canonical import document, plain_value
from framework.render.diffs import QUIET
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    cells,
    fitted,
    one_line,
    paragraph,
    text_of,
    under,
)
from framework.render.wording import count, lasting, short

FORMAT = 1

_STYLES = {
    Motion.READY: "green",
    Motion.HELD: "yellow",
    Motion.ORPHANED: "yellow",
    Motion.MOVING: "cyan",
    Motion.BLOCKED: "yellow",
    Motion.STALLED: "red",
}


def steps_text(sequence: SimulatedPass, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Stage by stage what is done, when, and how everything stands at the end."""
    return text_of(_lines(sequence, width), colour=colour)


def _lines(sequence: SimulatedPass, width: int) -> Iterator[Line]:
    title = f"Environment {sequence.environment} to commit {short(sequence.commit)}"
    if not sequence.steps:
        yield from paragraph(f"{title}: nothing to do.", width=width, style="bold")
    else:
        yield from paragraph(title, width=width, style="bold")
        ordered = sorted(sequence.steps, key=lambda step: (step.stage, step.at))
        for stage, steps in groupby(ordered, key=lambda step: step.stage):
            yield ()
            yield (Span(f"Stage {stage}", "bold"),)
            for step in steps:
                yield from _step(step, width)
    yield ()
    yield from _ending(sequence, width)


def _step(step: SimulatedStep, width: int) -> Iterator[Line]:
    """Actions beside the resource where they fit, else below it."""
    title, told = f"  {'+' + lasting(step.at):>9}  {step.ref}: ", [describe(action) for action in step.actions]
    if cells(title) + max(map(cells, told)) > width:
        yield from under(title.rstrip(), "", lead="", stem=_BELOW, width=width, style=QUIET)
        title = ""
    for number, text in enumerate(told):
        lead = (title if number == 0 else " " * len(title)) or _BELOW
        yield from under("", text, lead=lead, stem=" " * len(lead), width=width)


_BELOW = " " * 6


def _ending(sequence: SimulatedPass, width: int) -> Iterator[Line]:
    if sequence.steps:
        actions = sum(len(step.actions) for step in sequence.steps)
        told = f"{count(actions, 'action')}, the last after about {lasting(sequence.seconds)}."
        yield from paragraph(told, width=width, style="bold")
    for item in sequence.endings:
        if item.word != Motion.READY:
            title = (Span(f"  {item.ref}", "bold"), Span(f"ends {item.word}", _STYLES[Motion(item.word)]))
            yield from fitted([title], width, gap=1)[0]
            yield from paragraph(one_line(item.message, LONGEST_MESSAGE), width=width, indent="    ")
    if not sequence.settled:
        yield from paragraph("Cut off before everything had settled.", width=width, style="yellow")
    if sequence.steps:
        yield from paragraph(_assumptions(sequence), width=width, style=QUIET)


def _assumptions(sequence: SimulatedPass) -> str:
    text = "Simulated: runs succeed, gates pass, and a candidate does as well as stable under 100 requests a second."
    if sequence.assumed:
        names = ", ".join(str(ref) for ref in sequence.assumed)
        text += f" Nothing tells how long runs of {names} take: a minute is assumed."
    return text


def steps_json(*sequences: SimulatedPass) -> str:
    """One object with ``sequences`` in the order they were simulated."""
    return document({"format": FORMAT, "sequences": [_document(item) for item in sequences]})


def _document(sequence: SimulatedPass) -> dict[str, Any]:
    return {
        "environment": sequence.environment,
        "commit": sequence.commit,
        "seconds": sequence.seconds,
        "settled": sequence.settled,
        "assumed": sequence.assumed,
        "steps": [
            {
                "after_seconds": step.at,
                "stage": step.stage,
                "ref": step.ref,
                "reason": step.reason,
                "actions": [
                    {"type": type(action).__name__, "key": action.key, "description": describe(action)}
                    for action in step.actions
                ],
            }
            for step in sequence.steps
        ],
        "endings": [plain_value(item) for item in sequence.endings],
    }
