"""What a pass would do, told together with what changed in git to make it do so. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from framework.api.categories import Category
from framework.planning.grammar.changes import Change, FieldDiff, Verb

_BUILT = frozenset({Category.MATERIALIZE, Category.RETRAIN})
"""What costs a run, unless its result exists already."""
EXISTS = "what git asks for exists already: nothing is built"


def explained(planned: Sequence[Change], compared: Sequence[Change]) -> tuple[Change, ...]:
    """``planned`` with the category, the causes and the differences that ``compared`` found between the revision in
    force and the one to come. What is done, and in which order, stays as it was planned.

    A resource that waits for others, or is settled until somebody takes up the new commit, is shown as what will become
    of it. One whose result exists from before, as after ``git revert``, costs nothing whatever its fields would.
    """
    changed = {change.ref: change for change in compared if change.verb is not Verb.NOOP}
    return tuple(_explained(change, changed.get(change.ref)) for change in planned)


def _explained(planned: Change, git: Change | None) -> Change:
    if git is None or planned.verb is Verb.DELETE:
        return planned
    settled = planned.verb is Verb.NOOP
    category, reason = max(planned.category, git.category), planned.reason
    if settled:
        exists = git.category in _BUILT
        category = Category.METADATA if exists else git.category
        reason = EXISTS if exists else git.reason
    elif git.category is Category.BREAKING:
        reason = f"{git.reason}; {planned.reason}"
    else:
        reason = "; ".join(filter(None, (reason, git.proviso)))
    return replace(
        planned,
        verb=git.verb if settled or planned.waits_for else planned.verb,
        category=category,
        reason=reason,
        diffs=_together(planned.diffs, git.diffs),
        causes=git.causes,
        proviso="" if settled else git.proviso,
    )


def _together(planned: tuple[FieldDiff, ...], git: tuple[FieldDiff, ...]) -> tuple[FieldDiff, ...]:
    """Each path once. What git says of a field counts where both say it, because it knows what identity leaves out;
    what the record says counts where an earlier commit was never finished."""
    told = {diff.path: diff for diff in git}
    own = tuple(
        told[diff.path]
        if diff.path in told and told[diff.path].after == diff.after and told[diff.path].before == diff.before
        else diff
        for diff in planned
    )
    paths = {diff.path for diff in own}
    return (*own, *(diff for diff in git if diff.path not in paths))
