"""Field differences as lines: on one line where they fit, as a unified diff of rows where they do not."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.planning.changes import FieldDiff
from framework.render.terminal import Line, Span, cells, fitted, under

ADDED, REMOVED, CHANGED, QUIET = "green", "red", "yellow", "dim"

_BARE = re.compile(r"[\w/.][-\w./@%+]*(:[-\w./@%+]+)*")
_NOT_TEXT = re.compile(r"true|false|null|\.nan|[-+]?(\.inf|0x[0-9a-f]+|0o[0-7]+|[0-9.][0-9._]*(e[-+]?[0-9]+)?)")
"""What YAML would read as something else than text."""


def flow(value: Any) -> str:
    """A value the way its author would write it on one line of YAML."""
    match value:
        case str():
            bare = _BARE.fullmatch(value) and not _NOT_TEXT.fullmatch(value.lower())
            return value if bare else json.dumps(value, ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(flow(item) for item in value) + "]"
        case _:
            return json.dumps(value, default=str)


def diff_lines(diff: FieldDiff, *, width: int, indent: str) -> list[Line]:
    """One field before and after, with the category that the difference costs."""
    cost = Span(f"  ({diff.category.label})", QUIET)
    one = _on_one_line(diff)
    if len(indent) + cells(one.text) + len(cost.text) <= width and not _has_breaks(diff):
        return [(Span(indent), one, cost)]
    title = f"{_symbol(diff)} {diff.path}:"
    below = f"{indent}    "
    lines = fitted([(Span(f"{indent}{title}", one.style), Span(cost.text.strip(), QUIET))], width, indent=below)[0]
    for mark, row in _unified(_rows(diff.before), _rows(diff.after)):
        style = _STYLE_OF_MARK[mark]
        lines += under(f"{mark} {row}".rstrip(), "", lead=below, stem=f"{below}  ", width=width, style=style)
    return lines


_STYLE_OF_MARK = {"+": ADDED, "-": REMOVED, " ": "", "…": QUIET}


def _symbol(diff: FieldDiff) -> str:
    return "+" if diff.before is None else "-" if diff.after is None else "~"


def _on_one_line(diff: FieldDiff) -> Span:
    if diff.before is None:
        return Span(f"+ {diff.path}: {flow(diff.after)}", ADDED)
    if diff.after is None:
        return Span(f"- {diff.path}: {flow(diff.before)}", REMOVED)
    return Span(f"~ {diff.path}: {flow(diff.before)} -> {flow(diff.after)}", CHANGED)


def _has_breaks(diff: FieldDiff) -> bool:
    return any(isinstance(value, str) and "\n" in value.strip() for value in (diff.before, diff.after))


def _rows(value: Any) -> list[str]:
    """The parts of a value that are compared one by one: lines of a text, items of a list, entries of a map."""
    match value:
        case None:
            return []
        case str():
            return [row.expandtabs(4) for row in value.splitlines()]
        case Mapping():
            return [f"{flow(str(key))}: {flow(item)}" for key, item in value.items()]
        case list() | tuple():
            return [flow(item) for item in value]
        case _:
            return [flow(value)]


def _unified(before: Sequence[str], after: Sequence[str], context: int = 1) -> Iterator[tuple[str, str]]:
    """(mark, row) with ``context`` unchanged rows around each difference and ``…`` for what is left out."""
    hunks = difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_grouped_opcodes(context)
    for number, hunk in enumerate(hunks):
        if number:
            yield "…", ""
        for tag, low, high, new_low, new_high in hunk:
            if tag == "equal":
                yield from ((" ", row) for row in before[low:high])
            else:
                yield from (("-", row) for row in before[low:high])
                yield from (("+", row) for row in after[new_low:new_high])
