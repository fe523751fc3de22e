"""That files of the work tree are not what was looked at: where it would be taken for granted that they were."""

from __future__ import annotations

from framework.planning.reports.asked import Uncommitted
from framework.render.terminal import one_line
from framework.render.wording import count, short, some

TRY_THEM = "mlopsctl plan --base HEAD --head worktree"
"""Shows what they would change."""


def not_looked_at(found: Uncommitted) -> str:
    """For what follows the commit."""
    return (
        f"{_differ(found)} and {_are(found)} not looked at: {_names(found)}; commit them, or try them with: {TRY_THEM}"
    )


def untracked(found: Uncommitted) -> str:
    """For files of data of which no commit says anything."""
    names, one = some([one_line(name) for name in found.untracked]), len(found.untracked) == 1
    are, they = ("is", "it lies") if one else ("are", "they lie")
    return f"{count(len(found.untracked), 'file')} of data {are} in no commit and {are} read as {they}: {names}"


def not_committed(found: Uncommitted) -> str:
    """For what looks at the files."""
    return f"{_differ(found)}, and what runs follows commits: {_names(found)}"


def _differ(found: Uncommitted) -> str:
    differ = "differs" if len(found.files) == 1 else "differ"
    return f"{count(len(found.files), 'file')} {differ} from commit {short(found.commit)}"


def _are(found: Uncommitted) -> str:
    return "is" if len(found.files) == 1 else "are"


def _names(found: Uncommitted) -> str:
    """With how they differ, where it is not by what they hold."""
    how = {file: "" if what == "modified" else f" ({what})" for file, what in found.how.items()}
    return some([f"{one_line(name)}{how.get(name, '')}" for name in found.files])
