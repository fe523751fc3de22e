"""SQL of a transform that goes by rows which come later: what is computed over a whole table, or over all rows of a
part of it, says of each row what only later ones made true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from framework.workloads.features import query

_AGGREGATE = re.compile(
    r"\b(?P<call>avg|mean|sum|count|min|max|median|quantile\w*|std\w*|var\w*|first|last|mode|corr|covar\w*)\s*\(",
    re.IGNORECASE,
)
_LEAD = re.compile(r"\b(?P<call>lead)\s*\(", re.IGNORECASE)
_OVER = re.compile(r"\s*(?:FILTER\s*\([^()]*\)\s*)?OVER\s*\(", re.IGNORECASE)
_WINDOW = re.compile(r"\bOVER\s*\(", re.IGNORECASE)
_ORDER, _GROUP = (re.compile(rf"\b{word}\s+BY\b", re.IGNORECASE) for word in ("ORDER", "GROUP"))
_FOLLOWING = re.compile(r"\bFOLLOWING\b", re.IGNORECASE)
_PARTITION = re.compile(r"\bPARTITION\s+BY\b", re.IGNORECASE)
_SELECT = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)


class LaterRows(NamedTuple):
    """Where, in line and column from 1, and of what kind a look at later rows is."""

    told: str
    line: int
    column: int


def looks(sql: str, timestamp: str) -> Iterator[LaterRows]:
    """Each look at later rows that can be seen in ``sql``: ``AVG(x) OVER ()``, one over a partition without an order
    or with a frame that goes on behind the row, ``LEAD``, and an aggregate of all rows that stands in a query or is
    joined back. Where ``timestamp`` is a part of the partition, or what is aggregated, it is none."""
    text = query.without_literals(sql)
    for found in sorted([*_AGGREGATE.finditer(text), *_LEAD.finditer(text)], key=lambda found: found.start()):
        call, end = found["call"].upper(), _closed(text, found.end() - 1)
        over = _OVER.match(text, end)
        told = (
            _window(call, text[over.end() : _closed(text, over.end() - 1) - 1], timestamp)
            if over is not None
            else _nested(call, text, found.start(), text[found.end() : end - 1], timestamp)
        )
        if told:
            yield LaterRows(told, *query.at(sql, found.start()))


def looks_around(condition: str) -> bool:
    """Whether a condition goes by other rows than the one that it is asked of."""
    text = query.without_literals(condition)
    return _AGGREGATE.search(text) is not None or _WINDOW.search(text) is not None


def _window(call: str, window: str, timestamp: str) -> str:
    if call == "LEAD":
        return "LEAD is a value of a later row"
    if _FOLLOWING.search(window):
        return f"{call} goes over rows that come later (FOLLOWING)"
    if _ORDER.search(window) or _names(window, timestamp):
        return ""
    where = "of its partition" if _PARTITION.search(window) else "of the table"
    return f"{call} goes over all rows {where}, those that come later too"


def _nested(call: str, text: str, start: int, of: str, timestamp: str) -> str:
    """An aggregate without a window, where it is not the query itself that gives one row: in a query within it."""
    scope = _scope(text, start)
    if scope is None or _GROUP.search(scope) or _names(of, timestamp):
        return ""
    return f"{call} goes over all rows of the table, those that come later too"


def _scope(text: str, place: int) -> str | None:
    """The query in parentheses that ``place`` is in, without those within it; None in the outermost."""
    opened: list[int] = []
    for at, sign in enumerate(text[:place]):
        if sign == "(":
            opened.append(at)
        elif sign == ")" and opened:
            opened.pop()
    for begin in reversed(opened):
        if _SELECT.match(text, begin + 1):
            return _own(text[begin + 1 : _closed(text, begin) - 1])
    return None


def _own(text: str) -> str:
    kept, at = "", 0
    while (begin := text.find("(", at)) >= 0:
        end = _closed(text, begin)
        kept += text[at:begin] + ("" if _SELECT.match(text, begin + 1) else text[begin:end])
        at = end
    return kept + text[at:]


def _closed(text: str, begin: int) -> int:
    """One beyond the parenthesis that closes the one at ``begin``."""
    depth = 0
    for at in range(begin, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return len(text)


def _names(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", text, re.IGNORECASE) is not None
