"""What processes wrote, each under a heading that says which."""

from __future__ import annotations

from framework.ports import Log
from framework.render.diffs import QUIET
from framework.render.terminal import Line, Span, text_of


def log_text(log: Log, *, heading: bool = True, colour: bool = False) -> str:
    """Lines as they were written, but for what would steer the reader's terminal."""
    lines: list[Line] = []
    if heading:
        process = f", {log.process}" if log.process else ""
        lines.append((Span(f"==> {log.source}{process} <==", "bold"),))
    if log.note:
        lines.append((Span(log.note, QUIET),))
    lines += [(Span(row.expandtabs(8)),) for row in log.text.splitlines()]
    return text_of(lines, colour=colour)
