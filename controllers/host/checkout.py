"""The work tree beside the commit that is checked out. Light: ``validate`` loads it."""

from __future__ import annotations

from pathlib import Path

from framework.backends.git.uncommitted import tracked, uncommitted
from framework.planning.reports.asked import Uncommitted, uncommitted_of


def uncommitted_specs(root: Path, specs: str) -> Uncommitted | None:
    """What of the specs differs from the checked-out commit; None where nobody can tell."""
    found = uncommitted(root, [specs])
    return uncommitted_of(*found, lambda file: False) if found else None


def is_committed(path: Path) -> bool:
    """Whether writing to ``path`` changes a file that git tracks."""
    return path.exists() and tracked(path.resolve())
