"""The newest commit in git, and how it stands. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Stand(StrEnum):
    """What became of a commit."""

    IN_FORCE = "InForce"
    NEW = "NotLookedAt"
    """Nothing is wrong with it, and no controller has looked at it yet."""
    WRONG = "Wrong"
    """Its specs are wrong, and no controller has looked at it yet."""
    REFUSED = "Refused"
    """A controller looked at it, and it may not take effect."""
    WITHHELD = "Withheld"
    """It waits for a window or behind a pin."""
    UNREADABLE = "Unreadable"
    """Git cannot be read, so nobody can tell which one it is."""


@dataclass(frozen=True)
class Asked:
    """``commit`` is empty where git cannot be read; ``problems`` say why it is not in force."""

    stand: Stand
    commit: str = ""
    subject: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Uncommitted:
    """Files in the work tree that differ from ``commit``, the one that is looked at; sorted. ``how`` says of each
    whether it is modified, deleted, added or untracked. ``untracked`` are files of data in no commit, so they are
    read as they lie."""

    commit: str
    files: tuple[str, ...] = ()
    how: Mapping[str, str] = field(default_factory=dict)
    untracked: tuple[str, ...] = ()


def uncommitted_of(commit: str, how: Mapping[str, str], is_data: Callable[[str], bool]) -> Uncommitted:
    """``how`` files differ, by file; ``is_data`` tells which are read as data."""
    untracked = tuple(file for file, what in how.items() if what == "untracked" and is_data(file))
    differ = {file: what for file, what in how.items() if file not in untracked}
    return Uncommitted(commit, tuple(differ), differ, untracked)
