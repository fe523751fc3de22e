"""A version beside what came of training it again, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from framework.api.credentials import redacted_value
from framework.api.printing import number
from framework.planning.reports.reproduction import TOLERANCE, FactAgain, MetricAgain, Reproduction
from framework.ports import Json
from framework.render.canonical import document
from framework.render.diffs import ADDED, REMOVED, flow
from framework.render.terminal import DEFAULT_WIDTH, Line, Span, headings, one_line, paragraph, table, text_of
from framework.render.wording import ago, count, short

FORMAT = 1


def reproduction_text(found: Reproduction, now: datetime, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """The verdict first, then each thing that was compared on a line of its own, with what differs below it."""
    model = found.model
    head = f"{model.training}@{model.version}, trained {ago(now - model.created)} for commit {short(model.commit)}"
    took = f", trained again in {found.seconds:.1f} s" if found.seconds is not None else ", trained again"
    lines = paragraph(one_line(f"{head}{took}"), width=width, style="bold")
    lines += _said(_verdict(found), width, ADDED if found.reproduced else REMOVED)
    lines += _said(_bytes(found), width)
    lines += _said(f"training set: {_word(found.dataset)}", width)
    lines += _metrics(found.metrics, width)
    lines += _facts("libraries", found.libraries, width)
    lines += _facts("machine", found.machine, width)
    return text_of(lines, colour=colour)


def _said(text: str, width: int, style: str = "") -> list[Line]:
    return paragraph(text, width=width, indent="  ", style=style)


def _verdict(found: Reproduction) -> str:
    if found.reproduced:
        return f"reproduced: every metric is equal within {TOLERANCE:g}"
    return "not reproduced: metrics differ" if found.metrics else "not reproduced: nothing was measured"


def _bytes(found: Reproduction) -> str:
    if found.same_bytes:
        return f"bytes: equal, SHA-256 {found.sha256[:12]}"
    return f"bytes: differ, SHA-256 {found.model.sha256[:12]} then and {found.sha256[:12]} now"


def _word(fact: FactAgain) -> str:
    if not fact.recorded:
        return "not recorded"
    return "equal" if fact.equal else f"differs, SHA-256 {str(fact.before)[:12]} then and {str(fact.after)[:12]} now"


def _metrics(found: Sequence[MetricAgain], width: int) -> list[Line]:
    moved = [one for one in found if not one.equal]
    lines = _said(f"metrics: {len(found) - len(moved):,} of {len(found):,} equal", width)
    rows = [_row(one.name, number(one.before), number(one.after), _by(one)) for one in moved]
    return [*lines, *_table("METRIC", rows, width)]


def _by(one: MetricAgain) -> str:
    return "" if one.difference is None else f"{one.difference:+.3g}"


def _facts(title: str, found: Sequence[FactAgain], width: int) -> list[Line]:
    known = [one for one in found if one.recorded]
    moved, unknown = [one for one in known if not one.equal], len(found) - len(known)
    if not known:
        return _said(f"{title}: not recorded", width)
    words = [f"{count(len(moved), 'differs', 'differ')}" if moved else "equal"]
    words += [f"{unknown:,} not recorded"] if unknown else []
    rows = [_row(one.name, _plain(one.name, one.before), _plain(one.name, one.after)) for one in moved]
    return [*_said(f"{title}: {', '.join(words)}", width), *_table("NAME", rows, width)]


def _plain(name: str, value: Json) -> str:
    if value is None:
        return ""
    shown = redacted_value(value, name)
    return shown if isinstance(shown, str) else flow(shown)


def _row(name: str, before: str, after: str, by: str = "") -> Line:
    return (Span(f"    {one_line(name)}"), *(Span(one_line(text) or "-") for text in (before, after)), Span(by))


def _table(title: str, rows: Sequence[Line], width: int) -> list[Line]:
    if not rows:
        return []
    return table([headings(f"    {title}", "THEN", "NOW", "BY"), *rows], width, indent="      ")


def reproduction_json(environment: str, found: Reproduction) -> str:
    model = found.model
    return document(
        {
            "format": FORMAT,
            "environment": environment,
            "label": f"{model.training}@{model.version}",
            "commit": model.commit,
            "run": found.run,
            "seconds": found.seconds,
            "reproduced": found.reproduced,
            "tolerance": TOLERANCE,
            "bytes": {"equal": found.same_bytes, "before": model.sha256, "after": found.sha256},
            "dataset": _fact(found.dataset),
            "metrics": {
                one.name: {
                    "equal": one.equal, "before": one.before, "after": one.after, "difference": one.difference,
                }
                for one in found.metrics
            },
            "libraries": {one.name: _fact(one) for one in found.libraries},
            "machine": {one.name: _fact(one) for one in found.machine},
        }
    )  # fmt: skip


def _fact(one: FactAgain) -> dict[str, Json]:
    """``equal`` is null where nobody recorded what it was."""
    before, after = (redacted_value(value, one.name) for value in (one.before, one.after))
    return {"equal": one.equal if one.recorded else None, "before": before, "after": after}
