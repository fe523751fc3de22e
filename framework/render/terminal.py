"""Lines of styled spans, and the two ways to write them: plain, or coloured for a terminal.

Every span passes through ``shown`` on its way out, so that nothing in a commit, an error or a log can steer the
reader's terminal or give a secret away.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from typing import NamedTuple, TextIO

from framework.api.credentials import redacted
from framework.api.printing import shown


class Span(NamedTuple):
    """A stretch of text in one style. ``style`` is a rich style (``bold red``), empty for none."""

    text: str
    style: str = ""


Line = Sequence[Span]

DEFAULT_WIDTH = 100
"""Columns that prose is wrapped to where no terminal says otherwise."""

LONGEST_MESSAGE = 400
"""Characters of a message that stands among others; JSON has it in full."""


def one_line(text: str, limit: int | None = None) -> str:
    """``text`` on a single line, cut at ``limit`` characters with an ellipsis.

    Where it has to be cut, a traceback goes first, all but its last line: that one says what went wrong.
    """
    text = redacted(text)  # before anything is cut off that it is recognised by
    flat = _flat(text)
    if limit is None or len(flat) <= limit:
        return flat
    head, trace, tail = text.partition(_TRACEBACK)
    if trace:
        flat = " ".join(part for part in (_flat(head), "…", _flat(_last_row(tail))) if part)
    return flat if len(flat) <= limit else f"{flat[: max(limit - 1, 0)].rstrip()}…"


_TRACEBACK = "Traceback (most recent call last):"


def _flat(text: str) -> str:
    return shown(" ".join(text.split()))


def _last_row(text: str) -> str:
    return next((row for row in reversed(text.splitlines()) if row.strip()), "")


def paragraph(text: str, *, width: int, indent: str = "", style: str = "") -> list[Line]:
    """Prose wrapped to ``width`` columns; its own line breaks are kept, and no word or identifier is broken."""
    room = max(width - len(indent), 20)
    wrapped = [
        part
        for row in text.splitlines()
        for part in textwrap.wrap(_glued(row), room, break_long_words=False, break_on_hyphens=False)
    ]
    return [(Span(indent), Span(part.replace(_GLUE, " "), style)) for part in wrapped]


_GLUE = "\u00a0"


def _glued(row: str) -> str:
    """A number stays on the line of its per cent sign."""
    return shown(row.expandtabs(4)).replace(" %", f"{_GLUE}%")


def columns(table: Sequence[Line], *, gap: int = 2) -> list[Line]:
    """A table without rules: every column but the last is padded to its widest cell."""
    if not table:
        return []
    widths = [max(len(row[index].text) for row in table) for index in range(len(table[0]) - 1)]
    return [
        (*(Span(cell.text.ljust(width + gap), cell.style) for cell, width in zip(row, widths, strict=False)), row[-1])
        for row in table
    ]


def plain(lines: Iterable[Line]) -> str:
    """The lines without styles; no trailing blanks, one line break at the end."""
    return "".join("".join(shown(span.text) for span in line).rstrip() + "\n" for line in lines)


def coloured(lines: Iterable[Line]) -> str:
    """The lines with ANSI colours. Loads rich, which plain output never does."""
    from rich.console import Console
    from rich.text import Text

    sink = StringIO()
    console = Console(file=sink, force_terminal=True, color_system="standard", no_color=False, highlight=False)
    for line in lines:
        text = Text.assemble(*((shown(span.text), span.style) for span in line))
        text.rstrip()
        console.print(text, soft_wrap=True)
    return sink.getvalue()


def text_of(lines: Iterable[Line], *, colour: bool) -> str:
    """``coloured`` or ``plain``."""
    return coloured(lines) if colour else plain(lines)


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Colours only on a terminal, and never against the reader's wish (https://no-color.org)."""
    return stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
