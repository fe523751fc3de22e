"""What rolling back would do and what it did, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.planning.admission.restore import Prospect, Return, Way
from framework.ports import Proposed
from framework.render.canonical import document
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED
from framework.render.terminal import DEFAULT_WIDTH, LONGEST_MESSAGE, Line, Span, one_line, paragraph, table, text_of
from framework.render.wording import commit_title, count, short

FORMAT = 1

_STYLES: Mapping[Way, str] = {
    Way.SAME: QUIET,
    Way.RETURNS: ADDED,
    Way.SETTINGS: ADDED,
    Way.WAITS: CHANGED,
    Way.BUILDS: CHANGED,
    Way.BLOCKED: REMOVED,
    Way.GOES: REMOVED,
}


@dataclass(frozen=True)
class Done:
    """``controller`` leads now and takes the pin up by itself, None where nobody does; ``revert`` is None where none
    was made."""

    controller: str | None
    revert: Proposed | None


def prospect_text(prospect: Prospect, *, width: int = DEFAULT_WIDTH, colour: bool = False) -> str:
    """Every resource with what becomes of it, and a sentence that sums up."""
    title = f"Environment {prospect.environment}: back to {commit_title(prospect.commit.sha, prospect.commit.subject)}"
    lines: list[Line] = [
        *paragraph(title, width=width, style="bold"),
        *paragraph(f"instead of {commit_title(prospect.over.sha, prospect.over.subject)}", width=width, style=QUIET),
        (),
        *table([_row(item) for item in prospect.returns], width),
        (),
        *paragraph(_sum(prospect), width=width, style="bold"),
    ]
    if not prospect.accepted:
        lines += paragraph("That commit was never in force here.", width=width, style=CHANGED)
    return text_of(lines, colour=colour)


def _row(item: Return) -> Line:
    style = _STYLES[item.way]
    return (
        Span(f"  {item.way}", style),
        Span(str(item.ref)),
        Span(item.cost.label if item.cost else "", CHANGED),
        Span(one_line(item.message, LONGEST_MESSAGE), QUIET if item.way is Way.SAME else ""),
    )


def _sum(prospect: Prospect) -> str:
    returns = prospect.returns
    if all(item.way is Way.SAME for item in returns):
        return "Nothing changes: what is in force is what that commit asks for."
    trained, built = len(prospect.retrained), sum(item.way is Way.BUILDS for item in returns)
    blocked = sum(item.way is Way.BLOCKED for item in returns)
    parts = [
        f"{count(trained, 'model')} would be trained again" if trained else "nothing is trained again",
        *([f"{count(built - trained, 'table')} would be computed again"] if built > trained else []),
        *([f"{count(blocked, 'resource')} will not come back"] if blocked else []),
    ]
    return f"{'; '.join(parts)}.".capitalize()


def done_text(prospect: Prospect, done: Done) -> str:
    """What is in force from now on, who brings it about, and what is left to do in git."""
    short_commit, newest = short(prospect.commit.sha), short(prospect.over.sha)
    lines = [f"Pinned: {short_commit} is in force until git asks for something else than at {newest}."]
    if done.controller:
        lines.append(f"The controller {done.controller} takes it up at its next look: mlopsctl status --watch")
    else:
        lines.append("No controller runs; bring it about with: mlopsctl reconcile --once")
    revert = done.revert
    if revert is not None and revert.commit == prospect.over.sha:
        lines.append("Git says the same already: there is nothing to revert.")
    elif revert is not None:
        where = "pushed" if revert.pushed else "in this repository"
        lines.append(f"The revert for git is commit {short(revert.commit)} on branch {revert.branch} ({where}).")
        lines.append(
            f"Open a pull request for {revert.branch} and merge it: then the pin ends by itself."
            if revert.pushed
            else f"Merge it, then the pin ends by itself: git merge --ff-only {revert.branch}"
        )
    lines.append("To take it back: mlopsctl rollback --end")
    return "\n".join(lines) + "\n"


def rollback_json(prospect: Prospect, done: Done | None) -> str:
    """The prospect, and what was done about it: ``done`` is null where nothing was."""
    return document(rollback_document(prospect, done))


def rollback_document(prospect: Prospect, done: Done | None) -> dict[str, Any]:
    """What the JSON document holds."""
    revert = done.revert if done else None
    return {
        "format": FORMAT,
        "environment": prospect.environment,
        "commit": prospect.commit,
        "over": prospect.over,
        "same": prospect.same,
        "accepted": prospect.accepted,
        "resources": [
            {
                "ref": item.ref,
                "way": item.way,
                "message": item.message,
                "category": item.cost.label,
                "before": item.before,
                "after": item.after,
            }
            for item in prospect.returns
        ],
        "done": None if done is None else {"pinned": True, "controller": done.controller, "revert": revert},
    }
