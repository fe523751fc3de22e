"""Lines of styled spans, and the two ways to write them: plain, or coloured for a terminal.

Every span passes through ``shown`` on its way out, so that nothing in a commit, an error or a log can steer the
reader's terminal or give a secret away.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
"""Columns that prose is wrapped to where nobody says otherwise."""

NARROWEST = 20
"""Columns that are used in any case: nothing can be read in less."""

SHORTEST_NAME = 28
"""Columns that are left of a name before a table is shown in another way."""

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
    flat = without_traceback(text)
    return flat if len(flat) <= limit else f"{flat[: max(limit - 1, 0)].rstrip()}…"


def without_traceback(text: str) -> str:
    """``text`` on a single line, however long, with nothing of a traceback but its last line."""
    head, trace, tail = text.partition(_TRACEBACK)
    if not trace:
        return _flat(text)
    return " ".join(part for part in (_flat(head), "…", _flat(_last_row(tail))) if part)


_TRACEBACK = "Traceback (most recent call last):"


def _flat(text: str) -> str:
    return shown(" ".join(text.split()))


def _last_row(text: str) -> str:
    return next((row for row in reversed(text.splitlines()) if row.strip()), "")


def cells(text: str) -> int:
    """Columns of a terminal that ``text`` takes: two for a letter of East Asia, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def _cells(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shortened(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` columns: cut in the middle, because names differ at their ends."""
    if cells(text) <= limit:
        return text
    head, _ = _split(text, (limit - 1) // 2)
    tail, _ = _split(text[::-1], limit - 1 - cells(head))
    return f"{head}…{tail[::-1]}"


def paragraph(text: str, *, width: int, indent: str = "", style: str = "") -> list[Line]:
    """Prose wrapped to ``width`` columns; its own line breaks are kept, and a word is broken only where it fits on no
    line."""
    width = max(width, NARROWEST)
    indent = indent[-(width // 2) :]  # of the lines of a deep tree only where they end
    return [(Span(indent), Span(row, style)) for row in _wrapped(text, width - cells(indent))]


def under(head: str, text: str, *, lead: str, stem: str, width: int, style: str = "") -> list[Line]:
    """``head``, in a style, and what is said of it. ``lead`` stands before the first line, ``stem`` before what does
    not fit on that: the branches of a tree, or blanks."""
    width = max(width, NARROWEST)
    lead, stem = lead[-(width // 2) :], stem[-(width // 2) :]
    first, *others = list(_wrapped(head + text, width - max(cells(lead), cells(stem)))) or [""]
    named, rest = (head, first[len(head) :]) if first.startswith(head) else (first, "")
    return [
        (Span(lead, "dim"), Span(named, style), Span(rest)),
        *((Span(stem, "dim"), Span(row, "" if text else style)) for row in others),
    ]


_GLUE = "\u00a0"


def _glued(row: str) -> str:
    """A number stays on the line of its per cent sign."""
    return shown(row.expandtabs(4)).replace(" %", f"{_GLUE}%")


def _wrapped(text: str, room: int) -> Iterator[str]:
    for row in text.splitlines():
        glued = _glued(row)
        words = glued.lstrip(" ")
        lead = " " * min(len(glued) - len(words), room // 2)
        yield from (f"{lead}{line}".replace(_GLUE, " ") for line in _lines(words, room - len(lead)))


def _lines(text: str, room: int) -> Iterator[str]:
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cells(longer) <= room:
            line = longer
            continue
        if line:
            yield line
        while cells(word) > room:
            head, word = _split(word, room, at_joint=True)
            yield head
        line = word
    if line.strip():
        yield line


_JOINTS = "/-_.,:;=&?@"
_GAP = 2
"""Columns between those of a table."""


def _split(word: str, room: int, *, at_joint: bool = False) -> tuple[str, str]:
    """What of ``word`` fits, and the rest; with ``at_joint`` behind a sign that joins its parts, where one is near."""
    end = taken = 0
    while end < len(word) and taken + _cells(word[end]) <= room:
        taken += _cells(word[end])
        end += 1
    if at_joint:
        joint = max(word.rfind(sign, end // 2, end) for sign in _JOINTS) + 1
        end = joint or end
    end = max(end, 1)
    return word[:end], word[end:]


def columns(rows: Sequence[Line]) -> list[Line]:
    """A table without rules, as wide as it comes: every column but the last is padded to its widest cell."""
    return table(rows, sys.maxsize)


def fitted(rows: Sequence[Line], width: int, *, indent: str = "    ", gap: int = _GAP) -> list[list[Line]]:
    """A table that fits into ``width`` columns, as the lines of each row.

    The last cell of a row stands below the others where it does not fit beside them. Where the others alone are too
    wide, long names among them are cut in the middle; on a terminal too narrow for that, the cells of a row follow each
    other over as many lines as they need, and nothing is cut.
    """
    rows = [tuple(Span(shown(cell.text), cell.style) for cell in row) for row in rows]
    if not rows:
        return []
    last = len(rows[0]) - 1
    widths = [max(cells(row[index].text) for row in rows) for index in range(last)]
    over = sum(widths) + gap * max(last - 1, 0) - width
    for index in sorted(range(last), key=lambda item: -widths[item]):
        cut = min(max(over, 0), max(widths[index] - SHORTEST_NAME, 0))
        widths[index] -= cut
        over -= cut
    if over > 0:
        return [_flowing(row, width, indent, gap) for row in rows]
    return [_in_columns(row, widths, width, indent, gap) for row in rows]


def table(rows: Sequence[Line], width: int, *, indent: str = "    ") -> list[Line]:
    """``fitted``, one line after the other."""
    return [line for lines in fitted(rows, width, indent=indent) for line in lines]


def headings(*titles: str, style: str = "bold") -> Line:
    """The first row of a table."""
    return tuple(Span(title, style) for title in titles)


def _in_columns(row: Line, widths: Sequence[int], width: int, indent: str, gap: int) -> list[Line]:
    front = [Span(shortened(cell.text, size), cell.style) for cell, size in zip(row, widths, strict=False)]
    end, taken = row[-1], sum(widths) + gap * len(widths)
    if taken + cells(end.text) <= width or not end.text:
        return [_padded((*front, end), widths, gap)]
    below = [] if end.text == "-" else paragraph(end.text, width=width, indent=indent, style=end.style)
    return [_padded((*front, Span("")), widths, gap), *below]


def _padded(row: Line, widths: Sequence[int], gap: int) -> Line:
    padded = (
        Span(cell.text + " " * (width + gap - cells(cell.text)), cell.style)
        for cell, width in zip(row, widths, strict=False)
    )
    return (*padded, row[-1])


def _flowing(row: Line, width: int, indent: str, gap: int) -> list[Line]:
    """Cell after cell; a new line begins with ``indent``."""
    lines: list[list[Span]] = [[]]
    taken = 0
    for cell in row:
        text = cell.text.strip()
        if not text:
            continue
        if lines[-1] and taken + gap + cells(text) <= width:
            lines[-1] += [Span(" " * gap), Span(text, cell.style)]
            taken += gap + cells(text)
            continue
        for part in _wrapped(text, max(width, NARROWEST) - cells(indent)):
            if lines[-1]:
                lines.append([Span(indent)])
            lines[-1].append(Span(part, cell.style))
            taken = sum(cells(span.text) for span in lines[-1])
    return [tuple(line) for line in lines]


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
