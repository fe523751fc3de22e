"""Field differences as lines: on one line where they fit, as a unified diff of rows where they do not."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from framework.planning.grammar.changes import FieldDiff
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
    """One field before and after, with the category that the difference costs. What was before has its keys in the
    order of what is after: the order of keys is no difference."""
    diff = replace(diff, before=_ordered(diff.before, _ranks(diff.after)))
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


def _ranks(value: Any) -> Mapping[str, int]:
    """Keys anywhere in a value, numbered as they come."""
    found: dict[str, int] = {}

    def walk(part: Any) -> None:
        for key, below in part.items() if isinstance(part, Mapping) else ():
            found.setdefault(key, len(found))
            walk(below)
        for below in part if isinstance(part, list | tuple) else ():
            walk(below)

    walk(value)
    return found


def _ordered(value: Any, ranks: Mapping[str, int]) -> Any:
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: ranks.get(key, len(ranks)))
        return {key: _ordered(value[key], ranks) for key in keys}
    return [_ordered(item, ranks) for item in value] if isinstance(value, list | tuple) else value


class _Row(NamedTuple):
    """A part of a value that is compared. Equal ``meaning`` is no difference, however it is written."""

    meaning: str
    text: str


def _rows(value: Any) -> list[_Row]:
    """The lines of a text, the items of a list, the entries of a map."""
    match value:
        case None:
            return []
        case str():
            return [_Row(row, row.expandtabs(4)) for row in value.splitlines()]
        case Mapping():
            return [_Row(_meaning([key, item]), f"{flow(str(key))}: {flow(item)}") for key, item in value.items()]
        case list() | tuple():
            return [_Row(_meaning(item), flow(item)) for item in value]
        case _:
            return [_Row(_meaning(value), flow(value))]


def _meaning(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _unified(before: Sequence[_Row], after: Sequence[_Row], context: int = 1) -> Iterator[tuple[str, str]]:
    """(mark, row) with ``context`` unchanged rows around each difference and ``…`` for what is left out. What did not
    change is shown as it is written now."""
    old, new = [row.meaning for row in before], [row.meaning for row in after]
    hunks = difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_grouped_opcodes(context)
    for number, hunk in enumerate(hunks):
        if number:
            yield "…", ""
        for tag, low, high, new_low, new_high in hunk:
            if tag == "equal":
                yield from ((" ", row.text) for row in after[new_low:new_high])
            else:
                yield from (("-", row.text) for row in before[low:high])
                yield from (("+", row.text) for row in after[new_low:new_high])
