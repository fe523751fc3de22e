"""The chain of reasons for which a resource is not what git asks, as a tree."""

from __future__ import annotations

from typing import Any

from framework.planning.reports.health import Sync
from framework.planning.reports.why import Explanation
from framework.render.canonical import document
from framework.render.terminal import DEFAULT_WIDTH, Line, paragraph, text_of, under, without_traceback
from framework.render.wording import span

FORMAT = 1

_HELP = "mlopsctl up starts one, mlopsctl reconcile --once looks once"


def why_text(cause: Explanation, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """The tree, indented from the resource that was asked about to the causes. While nobody looks, that nothing blocks
    a resource cannot be said."""
    if cause.health.sync is Sync.SYNCED and not cause.note:
        lines = paragraph(f"Nothing blocks {cause.ref}: it is {_health(cause)}.", width=width)
        more = without_traceback(cause.health.message)
        return text_of([*lines, *(paragraph(more, width=width, indent="   ") if more else [])], colour=colour)
    lines = _lines(cause, width, "", "")
    if cause.note:
        told = f"{cause.note[0].upper()}{cause.note[1:]}; {_HELP}."
        lines += paragraph(told, width=width, style="yellow")
    return text_of(lines, colour=colour)


def _lines(cause: Explanation, width: int, lead: str, indent: str) -> list[Line]:
    """``lead`` is drawn before the first line, ``indent`` before all others."""
    told = "explained above" if cause.repeated else cause.health.reason
    stem = f"{indent}{'│  ' if cause.causes else '   '}"
    title = f" is {_health(cause)}: {told}"
    lines = under(str(cause.ref), title, lead=lead, stem=stem, width=width, style="bold")
    if cause.repeated:
        return lines
    lines += paragraph(without_traceback(cause.health.message), width=width, indent=stem)
    for item in cause.causes:
        last = item is cause.causes[-1]
        lines += _lines(item, width, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}")
    return lines


def _health(cause: Explanation) -> str:
    return cause.health.sync if cause.age is None else f"{cause.health.sync} for {span(cause.age)}"


def why_json(cause: Explanation) -> str:
    """The tree as a JSON document."""
    return document({"format": FORMAT, **_document(cause), "note": cause.note})


def _document(cause: Explanation) -> dict[str, Any]:
    return {
        "ref": cause.ref,
        "sync": cause.health.sync,
        "reason": cause.health.reason,
        "message": cause.health.message,
        "since": cause.health.since,
        "repeated": cause.repeated,
        "causes": [_document(item) for item in cause.causes],
    }
