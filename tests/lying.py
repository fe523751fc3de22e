"""Sources whose files lie in a folder that no git tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.backends.memory import MemorySource
from framework.ports import SourceData
from framework.sources.catalog import GitSources
from framework.sources.contents import Contents
from framework.specs.worktree import WORKTREE


def catalog(contents: Contents | None = None) -> GitSources:
    return GitSources(MemorySource(), contents or Contents(), lambda root: frozenset(), "memory://store", WORKTREE)


def data(sources: Mapping[str, Mapping[str, Any]], root: Path | str, contents: Contents | None = None) -> SourceData:
    """What they hold, and where it lies."""
    found = catalog(contents)
    return found.located(found.held(sources, str(root), WORKTREE), sources, str(root), WORKTREE)


def digest(sources: Mapping[str, Mapping[str, Any]], root: Path | str, contents: Contents | None = None) -> str:
    return catalog(contents).held(sources, str(root), WORKTREE).digest
