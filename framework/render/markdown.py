"""A plan as a comment on a pull request: GitHub's Markdown, folded, and short enough for one comment.

Whatever a user wrote is shown as text and as nothing else: it cannot open a tag, end a block, notify a person or link
to anything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.api.printing import shown
from framework.planning.grammar.changes import Change, Plan, Verb
from framework.planning.grammar.forecast import Forecast
from framework.render.actions import describe
from framework.render.diffs import diff_lines
from framework.render.outlook import first_words, holds_words, share_words, takes_words, totals
from framework.render.plan import SYMBOLS, because, compared_with, lacking, not_looked_at, spells_out, tally
from framework.render.terminal import LONGEST_MESSAGE, one_line, plain
from framework.render.wording import count, short

LIMIT = 60_000
"""Characters of a comment; GitHub takes 65,536."""
_LONGEST_BLOCK = 6_000
"""Characters of one resource's differences: what is longer is better read in the diff of the files."""
_ROWS = 40
"""Of a table, and of the list of refusals."""
_WIDTH = 110
_ZERO_WIDTH = "\u200b"
_MARKUP = re.compile(r"([\\`*_{}\[\]<>&|~#@:$!+.=^-]|^[()]|(?<=\d)\))")
"""What can mean something in GitHub's Markdown, in a line or at its start."""


def plan_markdown(plan: Plan) -> str:
    """The comment, fewer than ``LIMIT`` characters of it. Its first line finds it again for the next plan.

    Where not every resource has room, the dearest changes and the removals are shown, and the others counted.
    """
    head = "\n".join(_head(plan))
    tail = "\n".join((*_outlook(plan.forecast), *_foot(plan)))
    changes = [change for change in plan.changes if change.verb is not Verb.NOOP]
    return f"{head}\n{_fitted(changes, lacking(plan), LIMIT - len(head) - len(tail) - 200)}{tail}\n"


def marker(environment: str) -> str:
    """The comment line by which an earlier plan of this environment is found."""
    return f"<!-- mlopsctl-plan:{re.sub(r'[^A-Za-z0-9_.]+', '-', environment)} -->"


def escaped(text: str) -> str:
    """Text of a user as Markdown that shows just that text, on one line."""
    safe = _MARKUP.sub(r"\\\1", shown(" ".join(text.split())))
    # The mention of a person or an issue is found in what is shown, so escaping alone does not keep it from working.
    return safe.replace("\\@", f"\\@{_ZERO_WIDTH}").replace("\\#", f"\\#{_ZERO_WIDTH}").replace("\\<", "&lt;")


def fenced(rows: Sequence[str], language: str) -> str:
    """Rows as a block of code that none of them can end."""
    longest = max((len(run) for row in rows for run in re.findall(r"`+", row)), default=0)
    fence = "`" * max(longest + 1, 3)
    return "\n".join((f"{fence}{language}", *rows, fence))


def _head(plan: Plan) -> Iterator[str]:
    yield marker(plan.environment)
    changed = any(change.verb is not Verb.NOOP for change in plan.changes)
    title = "the commit was not read" if not plan.read else tally(plan) if changed else "nothing to do"
    yield f"### Plan for {coded(plan.environment)}: {'refused, ' if plan.refusals else ''}{title}"
    yield ""
    against = escaped(compared_with(plan))
    parts = [f"Commit {coded(short(plan.commit))}{f' ({against})' if against else ''}", f"digest {coded(plan.digest)}"]
    categories = Counter(change.category for change in plan.changes if change.verb is not Verb.NOOP)
    parts += [f"{_bold(category)} {categories[category]}" for category in sorted(categories, reverse=True) if category]
    yield " · ".join(parts)
    yield ""
    if plan.refusals:
        yield f"> **Refused for {count(len(plan.refusals), 'reason')}: this commit does not take effect.**"
        for refusal in plan.refusals[:_ROWS]:
            yield f"> - {coded(str(refusal.ref))} {escaped(refusal.reason)}: {escaped(one_line(refusal.message, 600))}"
        if len(plan.refusals) > _ROWS:
            yield f"> - and {count(len(plan.refusals) - _ROWS, 'more reason')}"
        yield ""
    if plan.unseen:
        yield escaped(not_looked_at(plan))
        yield ""


def _fitted(changes: Sequence[Change], missing: Mapping[Ref, str], room: int) -> str:
    """As many whole resources as fit, in the order of the plan; the dearest are chosen first."""
    blocks: dict[int, str] = {}
    for index in sorted(range(len(changes)), key=lambda index: _rank(changes[index])):
        block = _block(changes[index], missing.get(changes[index].ref, ""))
        if len(block) > room:
            break
        room -= len(block)
        blocks[index] = block
    left = len(changes) - len(blocks)
    rest = f"**{count(left, 'more change')}** not shown here: run mlopsctl plan to see all.\n\n" if left else ""
    return "".join(blocks[index] for index in sorted(blocks)) + rest


def _rank(change: Change) -> tuple[bool, bool, int]:
    return (change.category is not Category.BREAKING, change.verb is not Verb.DELETE, -int(change.category))


def _block(change: Change, missing: str) -> str:
    category = "" if change.category is Category.NOOP else f": {_html_bold(change.category)}"
    summary = f"<code>{SYMBOLS[change.verb]}</code> <code>{change.ref}</code>{category}"
    parts = [f"<details><summary>{summary}</summary>", ""]
    reasons = "; ".join(text for text in (one_line(change.reason, LONGEST_MESSAGE), because(change), missing) if text)
    if reasons:
        parts += [escaped(reasons), ""]
    rows = _rows(change) if spells_out(change) else []
    if sum(len(row) + 1 for row in rows) > _LONGEST_BLOCK:
        parts += [f"{count(len(change.diffs), 'field differs', 'fields differ')}, too much to show here.", ""]
    elif rows:
        parts += [fenced(rows, "diff"), ""]
    actions = [shown(describe(action)) for action in change.actions]
    if actions:
        parts += [fenced([f"> {one_line(text, LONGEST_MESSAGE)}" for text in actions[:_ROWS]], "text"), ""]
    return "\n".join((*parts, "</details>", "", ""))


def _rows(change: Change) -> list[str]:
    """The differences as lines of a diff, with their signs in the first column, where GitHub colours them."""
    return [
        _signed(row) for diff in change.diffs for row in plain(diff_lines(diff, width=_WIDTH, indent="")).splitlines()
    ]


def _signed(row: str) -> str:
    """``~`` is ``!`` there; a row of a longer value has its sign behind an indent."""
    if row.startswith("~"):
        return f"!{row[1:]}"
    sign = row.lstrip()[:1]
    return row.replace(sign, " ", 1).replace(" ", sign, 1) if row.startswith(" ") and sign in {"+", "-"} else row


def _outlook(forecast: Forecast | None) -> Iterator[str]:
    if forecast is None:
        return
    if forecast.work:
        yield "| stage | what will run | takes | holds | |"
        yield "| --- | --- | --- | --- | --- |"
        for item in forecast.work[:_ROWS]:
            yield (
                f"| {item.stage} | {escaped(item.what)} {coded(str(item.ref))} | {takes_words(item)} | "
                f"{holds_words(item.cpus, item.gpus)} | {escaped(item.basis)} |"
            )
        if len(forecast.work) > _ROWS:
            yield f"| | and {len(forecast.work) - _ROWS} more | | | |"
        yield ""
        yield escaped(" ".join(totals(forecast)))
        yield ""
    if forecast.endpoints:
        yield "| who notices | route | requests | meets it first |"
        yield "| --- | --- | --- | --- |"
        for met in forecast.endpoints[:_ROWS]:
            yield f"| {coded(str(met.ref))} | {coded(met.route)} | {share_words(met)} | {first_words(met)} |"
        if len(forecast.endpoints) > _ROWS:
            yield f"| and {len(forecast.endpoints) - _ROWS} more | | | |"
        yield ""


def _foot(plan: Plan) -> Iterator[str]:
    yield f"<sub>Made by mlopsctl at {plan.created:%Y-%m-%d %H:%M} UTC; digest {plan.digest}.</sub>"


def coded(text: str) -> str:
    """On one line as code; in a table, too."""
    code = shown(" ".join(text.split())).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", code)), default=0) + 1)
    pad = " " if code[:1] == "`" or code[-1:] == "`" or not code else ""
    return f"{fence}{pad}{code}{pad}{fence}"


def _bold(category: Category) -> str:
    return f"**{category.label}**" if category >= Category.MATERIALIZE else category.label


def _html_bold(category: Category) -> str:
    return f"<b>{category.label}</b>" if category >= Category.MATERIALIZE else category.label
