"""What happened, as a table and as JSON lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from framework.ports import Event
from framework.render.canonical import line
from framework.render.diffs import QUIET
from framework.render.terminal import LONGEST_MESSAGE, Line, Span, columns, one_line, text_of
from framework.render.wording import short

FORMAT = 1


def events_text(events: Sequence[Event], *, colour: bool = False) -> str:
    """One line an event, oldest first; times in UTC to the second. Long messages are cut; JSON has all of them."""
    if not events:
        return "No events yet.\n"
    return text_of(columns([_HEADINGS, *(_row(event) for event in events)]), colour=colour)


def event_row(event: Event, *, colour: bool = False) -> str:
    """One event on a line of its own, in columns of a fixed width: what comes next is not known yet."""
    cells = _row(event)
    padded = [Span(f"{cell.text:<{width}}  ", cell.style) for cell, width in zip(cells, _WIDTHS, strict=False)]
    return text_of([(*padded, cells[-1])], colour=colour)


def events_jsonl(events: Sequence[Event]) -> str:
    """One JSON object a line, each complete in itself."""
    return "".join(line({"format": FORMAT, **dict(event)}) + "\n" for event in events)


_HEADINGS: Line = tuple(Span(title, "bold") for title in ("TIME (UTC)", "COMMIT", "RESOURCE", "REASON", "MESSAGE"))


_WIDTHS = (19, 7, 32, 18)


def _row(event: Event) -> Line:
    return (
        Span(event.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"), QUIET),
        Span(short(event.commit)),
        Span(str(event.ref) if event.ref else "-"),
        Span(one_line(event.reason)),
        Span(one_line(event.message, LONGEST_MESSAGE)),
    )
