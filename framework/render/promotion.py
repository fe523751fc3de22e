"""What a promotion would pin and what was proposed, for people and for programs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from framework.api.credentials import redacted_source
from framework.planning.admission.promotion import Item, Promotion, PromotionCourse
from framework.ports import Proposed
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED
from framework.render.terminal import DEFAULT_WIDTH, LONGEST_MESSAGE, Line, Span, one_line, paragraph, table, text_of
from framework.render.wording import short

FORMAT = 1

_STYLES: Mapping[PromotionCourse, str] = {
    PromotionCourse.PINS: ADDED,
    PromotionCourse.SAME: QUIET,
    PromotionCourse.SKIPPED: CHANGED,
    PromotionCourse.REFUSED: REMOVED,
}
_MARKS = {"+": ADDED, "-": REMOVED, "@": QUIET}


def promotion_text(promotion: Promotion, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Every deployment with what becomes of it, and the difference to the target's file."""
    title = f"Promote from {promotion.source} to {promotion.target} at {short(promotion.base)}"
    lines: list[Line] = [*paragraph(title, width=width, style="bold"), ()]
    if promotion.items:
        lines += table([_row(item) for item in promotion.items], width)
    else:
        lines.append((Span(f"{promotion.source} has no deployments."),))
    if promotion.text:
        lines += [(), *((Span(row, _style(row)),) for row in diff(promotion))]
    return text_of(lines, colour=colour)


def _row(item: Item) -> Line:
    return (
        Span(f"  {item.course}", _STYLES[item.course]),
        Span(str(item.ref)),
        Span(one_line(item.message, LONGEST_MESSAGE)),
    )


def _style(row: str) -> str:
    return "bold" if row.startswith(("+++", "---")) else _MARKS.get(row[:1], "")


def diff(promotion: Promotion) -> tuple[str, ...]:
    """The difference to the file as a unified diff, line by line."""
    old, new = promotion.old.splitlines(), promotion.text.splitlines()
    names = f"a/{promotion.file}", f"b/{promotion.file}"
    rows = difflib.unified_diff(old, new, *names, lineterm="") if promotion.text else ()
    return tuple(map(redacted_source, rows))


def proposed_text(proposed: Proposed) -> str:
    """Where the commit is and how it takes effect."""
    lines = [f"Commit {short(proposed.commit)} on branch {proposed.branch}{' (pushed)' if proposed.pushed else ''}."]
    lines.append(
        f"It takes effect once a pull request for {proposed.branch} is merged."
        if proposed.pushed
        else f"It takes effect once it is merged: git merge {proposed.branch}"
    )
    return "\n".join(lines) + "\n"


def promotion_json(promotion: Promotion, proposed: Proposed | None) -> str:
    """The same as a JSON document; ``proposed`` is null where no commit was made."""
    return document(promotion_document(promotion, proposed))


def promotion_document(promotion: Promotion, proposed: Proposed | None) -> dict[str, Any]:
    """What the JSON document holds."""
    return {
        "format": FORMAT,
        "from": promotion.source,
        "to": promotion.target,
        "base": promotion.base,
        "deployments": [
            {
                "ref": item.ref,
                "course": item.course,
                "message": item.message,
                "before": item.before or None,
                "version": item.version or None,
                "adopts": item.adopt is not None,
            }
            for item in promotion.items
        ],
        "file": promotion.file or None,
        "diff": list(diff(promotion)),
        "proposed": proposed,
    }
