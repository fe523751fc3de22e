"""Which commit is in force, as the store remembers it."""

from __future__ import annotations

from collections.abc import Iterator

from framework.planning.grammar.reasons import TAKES_EFFECT
from framework.ports import Revision, StateStore

_PAGE = 50


def revisions(state: StateStore) -> Iterator[Revision]:
    """All of them, newest first, read as far as they are asked for."""
    skip = 0
    while page := state.revisions(_PAGE, skip):
        yield from page
        skip += len(page)


def in_force(state: StateStore) -> Revision | None:
    """The revision that was accepted last; None before the first. Where a newer one cannot be read, the log says
    whether it was accepted: both were written together."""
    doubtful = False
    found = None
    for revision in revisions(state):
        if revision.accepted:
            found = revision
            break
        doubtful = doubtful or revision.damaged
    if not doubtful:
        return found
    told = next(iter(state.events(limit=1, kinds=("",), reasons=TAKES_EFFECT)), None)
    if told is None or told.reason not in TAKES_EFFECT or (found is not None and told.time <= found.time):
        return found
    return Revision(commit=told.commit, digest="", accepted=True, time=told.time, subject=told.message)


def newest(state: StateStore) -> tuple[Revision, ...]:
    """Of the newest revisions those that can be read, newest first, with what is in force among them."""
    known = tuple(item for item in state.revisions() if not item.damaged)
    current = in_force(state)
    return known if current is None or current in known else (current, *known)
