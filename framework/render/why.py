"""Why a resource is not what git asks: the chain of reasons, down to the first cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.reports.asked import Asked
from framework.planning.reports.health import Sync
from framework.planning.reports.oversight import Oversight
from framework.planning.reports.overview import rows
from framework.planning.reports.settled import Withheld
from framework.ports import Record
from framework.render.canonical import document
from framework.render.terminal import DEFAULT_WIDTH, Line, paragraph, text_of, under, without_traceback
from framework.render.wording import span

FORMAT = 1

_HELP = "mlopsctl up starts one, mlopsctl reconcile --once looks once"


@dataclass(frozen=True)
class Reason:
    """One resource in the chain. ``causes`` are the upstreams that are not Synced themselves.

    ``repeated``: it was explained further up in the tree, so its causes are not repeated here. ``note``, of the one
    that was asked about: that nobody is at work on the environment.
    """

    ref: Ref
    sync: Sync
    reason: str
    message: str
    since: datetime | None
    age: timedelta | None
    causes: tuple[Reason, ...] = ()
    repeated: bool = False
    note: str = ""


def why(
    ref: Ref,
    desired: Mapping[Ref, Desired[Any]] | None,
    records: Sequence[Record],
    now: datetime,
    withheld: Withheld | None = None,
    unreadable: Mapping[Ref, str] | None = None,
    *,
    asked: Asked | None = None,
    oversight: Oversight | None = None,
) -> Reason:
    """The tree of what ``ref`` waits for. It has no causes when ``ref`` is Synced, or held up by itself alone. The
    arguments are those of ``overview.rows``.

    Raises:
        LookupError: neither git nor a record knows ``ref``.
    """
    found = rows(desired, records, now, withheld, unreadable, asked=asked, oversight=oversight)
    known, desired = {row.ref: row for row in found}, desired or {}
    if ref not in known:
        raise LookupError(f"{ref} is neither in git nor on record")
    recorded = {record.ref: record.upstream for record in records}
    explained: set[Ref] = set()

    def blocking(current: Ref) -> set[Ref]:
        """Upstreams of a resource that is not as git asks that are not so themselves. What nobody knows waits for
        somebody who looks, and for nothing above it."""
        if current not in known or known[current].sync in {Sync.SYNCED, Sync.UNKNOWN}:
            return set()
        upstream = desired[current].upstream if current in desired else recorded.get(current, ())
        return {item for item in upstream if item not in known or known[item].sync is not Sync.SYNCED}

    def explain(current: Ref) -> Reason:
        row = known.get(current)
        if row is None:
            return Reason(current, Sync.UNKNOWN, "Missing", "neither git nor a record has it", None, None)
        repeated = current in explained
        explained.add(current)
        causes = () if repeated else tuple(explain(item) for item in sorted(_nearest(blocking(current), blocking)))
        return Reason(row.ref, row.sync, row.reason, row.message, row.since, row.age, causes, repeated)

    return replace(explain(ref), note=oversight.absence if oversight else "")


def _nearest(refs: set[Ref], blocking: Callable[[Ref], set[Ref]]) -> set[Ref]:
    """``refs`` without those that one of the others waits for: they show up below it."""
    deeper: set[Ref] = set()
    frontier = list(refs)
    while frontier:
        found = blocking(frontier.pop()) - deeper
        deeper |= found
        frontier += found
    return refs - deeper


def why_text(reason: Reason, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """The tree, indented from the resource that was asked about to the causes. While nobody looks, that nothing blocks
    a resource cannot be said."""
    if reason.sync is Sync.SYNCED and not reason.note:
        told = f"Nothing blocks {reason.ref}: it is {_standing(reason)}."
        return text_of(paragraph(told, width=width), colour=colour)
    lines = _lines(reason, width, "", "")
    if reason.note:
        told = f"{reason.note[0].upper()}{reason.note[1:]}; {_HELP}."
        lines += paragraph(told, width=width, style="yellow")
    return text_of(lines, colour=colour)


def _lines(reason: Reason, width: int, lead: str, indent: str) -> list[Line]:
    """``lead`` is drawn before the first line, ``indent`` before all others."""
    told = "explained above" if reason.repeated else reason.reason
    stem = f"{indent}{'│  ' if reason.causes else '   '}"
    title = f" is {_standing(reason)}: {told}"
    lines = under(str(reason.ref), title, lead=lead, stem=stem, width=width, style="bold")
    if reason.repeated:
        return lines
    lines += paragraph(without_traceback(reason.message), width=width, indent=stem)
    for cause in reason.causes:
        last = cause is reason.causes[-1]
        lines += _lines(cause, width, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}")
    return lines


def _standing(reason: Reason) -> str:
    return reason.sync if reason.age is None else f"{reason.sync} for {span(reason.age)}"


def why_json(reason: Reason) -> str:
    """The tree as a JSON document."""
    return document({"format": FORMAT, **_document(reason), "note": reason.note})


def _document(reason: Reason) -> dict[str, Any]:
    return {
        "ref": reason.ref,
        "sync": reason.sync,
        "reason": reason.reason,
        "message": reason.message,
        "since": reason.since,
        "repeated": reason.repeated,
        "causes": [_document(cause) for cause in reason.causes],
    }
