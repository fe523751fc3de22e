"""Which files a source is at a commit. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import NamedTuple

from framework.ports import Held
from framework.sources.listing import CommitListing
from framework.sources.pointers import Pointer


class Chosen(NamedTuple):
    """A file, or a folder that a commit points to. Without ``held`` and ``pointer`` it is in no commit, and what lies
    there counts."""

    label: str
    held: Held | None = None
    pointer: Pointer | None = None


def choose(path: str, listing: CommitListing, untracked: Iterable[str] = ()) -> list[Chosen]:
    """The files that ``path`` names, sorted by label: those of the commit, those that it points to, and of those that
    ``lie`` at that path all of which it says nothing. What has exactly that name goes before what matches it as a
    pattern, and a folder means the files directly in it.

    Raises:
        TerminalError: what :meth:`CommitListing.followed` raises.
    """
    exact = listing.followed(path)
    found = {label: Chosen(label, held=held) for label, held in listing.named(exact)}
    found |= {pointer.path: Chosen(pointer.path, pointer=pointer) for pointer in listing.pointed(exact)}
    for label in untracked:
        if not listing.covers(label):
            listing.followed(label)  # not in a submodule
            found.setdefault(label, Chosen(label))
    ordered = [item for _, item in sorted(found.items())]
    named = [item for item in ordered if item.label == exact]
    return named or [item for item in ordered if posixpath.dirname(item.label) == exact] or ordered
