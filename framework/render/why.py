"""Why a resource is not what git asks: the chain of reasons, down to the first cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from framework.api.meta import Ref
from framework.planning.changes import Desired
from framework.planning.health import Sync
from framework.planning.overview import rows
from framework.planning.settled import Withheld
from framework.ports import Record
from framework.render.canonical import document
from framework.render.diffs import QUIET
from framework.render.terminal import DEFAULT_WIDTH, LONGEST_MESSAGE, Line, Span, one_line, paragraph, text_of
from framework.render.wording import span

FORMAT = 1


@dataclass(frozen=True)
class Reason:
    """One resource in the chain. ``causes`` are the upstreams that are not Synced themselves.

    ``repeated``: it was explained further up in the tree, so its causes are not repeated here.
    """

    ref: Ref
    sync: Sync
    reason: str
    message: str
    since: datetime | None
    age: timedelta | None
    causes: tuple[Reason, ...] = ()
    repeated: bool = False


def why(
    ref: Ref,
    desired: Mapping[Ref, Desired[Any]],
    records: Sequence[Record],
    now: datetime,
    withheld: Withheld | None = None,
) -> Reason:
    """The tree of what ``ref`` waits for. It has no causes when ``ref`` is Synced, or held up by itself alone.

    Raises:
        LookupError: neither git nor a record knows ``ref``.
    """
    known = {row.ref: row for row in rows(desired, records, now, withheld)}
    if ref not in known:
        raise LookupError(f"{ref} is neither in git nor on record")
    recorded = {record.ref: record.upstream for record in records}
    explained: set[Ref] = set()

    def blocking(current: Ref) -> set[Ref]:
        """Upstreams of a resource that is not as git asks that are not so themselves."""
        if current not in known or known[current].sync is Sync.SYNCED:
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

    return explain(ref)


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
    """The tree, indented from the resource that was asked about to the causes."""
    if reason.sync is Sync.SYNCED:
        return text_of([(Span(f"Nothing blocks {reason.ref}: it is {_standing(reason)}."),)], colour=colour)
    return text_of(_lines(reason, width, "", ""), colour=colour)


def _lines(reason: Reason, width: int, lead: str, indent: str) -> list[Line]:
    """``lead`` is drawn before the first line, ``indent`` before all others."""
    title = f" is {_standing(reason)}: {'explained above' if reason.repeated else reason.reason}"
    lines: list[Line] = [(Span(lead, QUIET), Span(str(reason.ref), "bold"), Span(title))]
    if reason.repeated:
        return lines
    stem = f"{indent}{'│  ' if reason.causes else '   '}"
    lines += paragraph(one_line(reason.message, LONGEST_MESSAGE), width=width, indent=stem)
    for cause in reason.causes:
        last = cause is reason.causes[-1]
        lines += _lines(cause, width, f"{indent}{'└─ ' if last else '├─ '}", f"{indent}{'   ' if last else '│  '}")
    return lines


def _standing(reason: Reason) -> str:
    return reason.sync if reason.age is None else f"{reason.sync} for {span(reason.age)}"


def why_json(reason: Reason) -> str:
    """The tree as a JSON document."""
    return document({"format": FORMAT, **_document(reason)})


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
