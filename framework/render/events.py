"""What happened, as a table and as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence

from framework.ports import Event
from framework.render.canonical import line
from framework.render.diffs import QUIET
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    fitted,
    headings,
    one_line,
    table,
    text_of,
)
from framework.render.wording import second, short

FORMAT = 1


def events_text(events: Sequence[Event], *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """A row an event, oldest first; times in UTC to the second. Long messages are cut; JSON has all of them."""
    if not events:
        return "No events yet.\n"
    return text_of(table([_HEADINGS, *(_row(event) for event in events)], width), colour=colour)


def event_row(event: Event, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """One event by itself, in columns as wide as most need: what comes next is not known yet."""
    cells = _row(event)
    padded = tuple(Span(cell.text.ljust(size), cell.style) for cell, size in zip(cells, _WIDTHS, strict=False))
    return text_of(fitted([(*padded, cells[-1])], width)[0], colour=colour)


def events_jsonl(events: Sequence[Event]) -> str:
    """One JSON object a line, each complete in itself."""
    return "".join(line({"format": FORMAT, **dict(event)}) + "\n" for event in events)


_HEADINGS = headings("TIME (UTC)", "COMMIT", "RESOURCE", "REASON", "MESSAGE")
_WIDTHS = (19, 7, 32, 18)


def _row(event: Event) -> Line:
    return (
        Span(second(event.time), QUIET),
        Span(short(event.commit)),
        Span(str(event.ref) if event.ref else "-"),
        Span(one_line(event.reason)),
        Span(one_line(event.message, LONGEST_MESSAGE)),
    )
