"""A plan for people at a terminal: what changes and why, what will run, who notices. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.changes import Change, Plan, Status, Verb
from framework.planning.grammar.reasons import CLUSTER_TOO_SMALL, WAITING_FOR_ROOM
from framework.render.actions import describe
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED, diff_lines
from framework.render.outlook import endpoint_lines, work_lines
from framework.render.terminal import (
    DEFAULT_WIDTH,
    LONGEST_MESSAGE,
    Line,
    Span,
    fitted,
    one_line,
    paragraph,
    text_of,
    under,
)
from framework.render.wording import count, short, span

SYMBOLS: Mapping[Verb, str] = {
    Verb.CREATE: "+",
    Verb.UPDATE: "~",
    Verb.REPLACE: "-/+",
    Verb.DELETE: "-",
    Verb.WAIT: "…",
    Verb.NOOP: ".",
}
_STYLES: Mapping[Verb, str] = {
    Verb.CREATE: ADDED,
    Verb.UPDATE: CHANGED,
    Verb.REPLACE: "magenta",
    Verb.DELETE: REMOVED,
    Verb.WAIT: "cyan",
    Verb.NOOP: QUIET,
}
_INDENT = " " * 6


def plan_text(plan: Plan, *, width: int = DEFAULT_WIDTH, colour: bool = False, unchanged: bool = False) -> str:
    """The plan as people read it: why it may not be, what changes and why, what will run, who notices, and a summary.

    Resources without work are hidden unless ``unchanged``.
    """
    return text_of(_lines(plan, width, unchanged), colour=colour)


def summary(plan: Plan) -> str:
    """``Plan: 3 to create, 1 to update, 0 to delete, 5 unchanged.`` or ``Nothing to do: ...``."""
    if not plan.read:
        return f"Refused plan: commit {short(plan.commit)} was not read."
    verbs = Counter(change.verb for change in plan.changes)
    if verbs.total() == verbs[Verb.NOOP]:
        agree = "matches" if verbs[Verb.NOOP] == 1 else "match"
        return f"Nothing to do: {count(verbs[Verb.NOOP], 'resource')} {agree} commit {short(plan.commit)}."
    return f"{'Refused plan' if plan.refusals else 'Plan'}: {tally(plan)}."


def tally(plan: Plan) -> str:
    """``3 to create, 1 to update, 0 to delete, 2 metadata only, 5 unchanged``."""
    verbs = Counter(change.verb for change in plan.changes)
    noted = sum(change.only_noted for change in plan.changes)
    parts = [
        f"{verbs[Verb.CREATE]} to create",
        f"{verbs[Verb.UPDATE] - noted} to update",
        *([f"{verbs[Verb.REPLACE]} to replace"] if verbs[Verb.REPLACE] else []),
        f"{verbs[Verb.DELETE]} to delete",
        *([f"{noted} metadata only"] if noted else []),
        *([f"{verbs[Verb.WAIT]} waiting"] if verbs[Verb.WAIT] else []),
        f"{verbs[Verb.NOOP]} unchanged",
    ]
    return ", ".join(parts)


def compared_with(plan: Plan) -> str:
    """What the plan was made against; empty where nothing was in force yet and nothing is to be said."""
    if not plan.observation_digest:
        base = short(plan.base) if plan.base else "nothing"
        return f"compared with {base}; what runs was not looked at"
    if plan.base and plan.base != plan.commit:
        return f"{short(plan.base)} is in force"
    return ""


def not_looked_at(plan: Plan) -> str:
    """What of a decision about the commit is left to who takes it up; empty where nothing is."""
    return f"Not looked at: {'; '.join(plan.unseen)}." if plan.unseen else ""


def _lines(plan: Plan, width: int, unchanged: bool) -> list[Line]:
    shown = [change for change in plan.changes if unchanged or change.verb is not Verb.NOOP]
    lines: list[Line] = []
    if shown or plan.refusals:
        against = compared_with(plan)
        title = f"Environment {plan.environment} at commit {short(plan.commit)}"
        lines += [*paragraph(f"{title}{f' ({against})' if against else ''}", width=width, style="bold"), ()]
    lines += _refusals(plan, width)
    if plan.unseen:
        lines += [*paragraph(not_looked_at(plan), width=width, style=QUIET), ()]
    short_of = lacking(plan)
    for change in shown:
        lines += [*_change(change, short_of.get(change.ref, ""), width), ()]
    if plan.forecast is not None:
        lines += work_lines(plan.forecast, width)
        lines += endpoint_lines(plan.forecast, width)
    return [*lines, *paragraph(summary(plan), width=width, style="bold")]


def _refusals(plan: Plan, width: int) -> list[Line]:
    """First, because nothing of what follows will be done."""
    if not plan.refusals:
        return []
    title = f"REFUSED for {count(len(plan.refusals), 'reason')}: this commit does not take effect"
    lines = paragraph(title, width=width, style="bold red")
    for refusal in plan.refusals:
        lines += _titled(Span("  ! ", "red"), (Span(str(refusal.ref), "bold red"), Span(refusal.reason, "red")), width)
        lines += paragraph(refusal.message, width=width, indent=_INDENT)
    return [*lines, ()]


def lacking(plan: Plan) -> Mapping[Ref, str]:
    """``does not fit: 1 CPU, of which 0.8 of 2 are free now``, by resource; not where its reason says so."""
    if plan.forecast is None:
        return {}
    waiting = {change.ref for change in plan.changes if change.status is not None and _waits_for_room(change.status)}
    works = [work for work in plan.forecast.work if work.lacking and work.ref not in waiting]
    return {work.ref: f"does not fit: {work.lacking}" for work in works}


def _waits_for_room(status: Status) -> bool:
    reconciling = status.conditions.reconciling
    return reconciling.status and reconciling.reason in (WAITING_FOR_ROOM, CLUSTER_TOO_SMALL)


def _change(change: Change, lacking: str, width: int) -> list[Line]:
    symbol, style = SYMBOLS[change.verb], _STYLES[change.verb]
    category = () if change.category is Category.NOOP else (Span(change.category.label, _weight(change)),)
    lines = _titled(Span(f"{symbol:>3} ", style), (Span(str(change.ref), f"bold {style}"), *category), width)
    lines += paragraph(one_line(change.reason, LONGEST_MESSAGE), width=width, indent=_INDENT)
    lines += paragraph(lacking, width=width, indent=_INDENT, style="yellow")
    lines += paragraph(because(change), width=width, indent=_INDENT, style=QUIET)
    if spells_out(change):
        for diff in change.diffs:
            lines += diff_lines(diff, width=width, indent=_INDENT)
    for action in change.actions:
        lines += under("", describe(action), lead=f"{_INDENT}> ", stem=f"{_INDENT}  ", width=width)
    unnamed = [str(ref) for ref in change.waits_for if str(ref) not in change.reason]
    if unnamed:
        lines += paragraph(f"waits for {', '.join(unnamed)}", width=width, indent=_INDENT, style=QUIET)
    if change.verb is Verb.WAIT and change.requeue_after is not None:
        lines.append((Span(f"{_INDENT}looks again in {span(change.requeue_after)}", QUIET),))
    return lines


def _titled(sign: Span, cells: Line, width: int) -> list[Line]:
    """A title behind its sign: names and words, one after the other where they do not fit on a line."""
    first, *others = fitted([cells], width - len(sign.text), indent="  ")[0]
    return [(sign, *first), *((Span(" " * len(sign.text)), *line) for line in others)]


def spells_out(change: Change) -> bool:
    """Whether its fields are shown: where everything is new or gone, the file itself says it better."""
    if change.verb in (Verb.CREATE, Verb.DELETE):
        return False
    known = change.status is None or bool(change.status.spec) or any(diff.before is not None for diff in change.diffs)
    return known or change.verb is not Verb.WAIT


def because(change: Change) -> str:
    """``because FeatureView/a, FeatureView/b change``; empty without causes, or where its reason says so."""
    if not change.causes:
        return ""
    told = f"because {', '.join(map(str, change.causes))} {'changes' if len(change.causes) == 1 else 'change'}"
    return "" if told in change.reason else told


def _weight(change: Change) -> str:
    return "bold red" if change.category is Category.BREAKING else QUIET
