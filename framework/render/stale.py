"""How two plans differ, for whoever wants to apply the older one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from framework.planning.grammar.changes import Change, FieldDiff, Plan, Verb
from framework.render.canonical import plain_value
from framework.render.wording import count, short

_SHOWN = 20


def differences(planned: Plan, now: Plan) -> tuple[str, ...]:
    """What would be done now that was not planned, or no longer would; a line each, and empty where nothing differs."""
    if planned.digest == now.digest:
        return ()
    found = [*_heads(planned, now), *_changes(planned, now)] or ["other work than was planned"]
    left = len(found) - _SHOWN
    return (*found[:_SHOWN], *([f"and {count(left, 'more difference')}"] if left > 0 else []))


def _heads(planned: Plan, now: Plan) -> Iterator[str]:
    if planned.environment != now.environment:
        yield f"it is for environment {planned.environment}, not for {now.environment}"
    if planned.snapshot_digest != now.snapshot_digest:
        yield f"git asks for something else since: commit {short(now.commit)} instead of {short(planned.commit)}"


def _changes(planned: Plan, now: Plan) -> Iterator[str]:
    before = {change.ref: change for change in planned.changes if change.verb is not Verb.NOOP}
    after = {change.ref: change for change in now.changes if change.verb is not Verb.NOOP}
    for ref in (*after, *(ref for ref in before if ref not in after)):
        old, new = before.get(ref), after.get(ref)
        if old is None or new is None:
            yield f"{ref}: planned was {_what(old)}, now {_what(new)}"
        else:
            yield from (f"{ref}: {text}" for text in _between(old, new))


def _what(change: Change | None) -> str:
    return "nothing" if change is None else f"{change.verb} ({change.category.label})"


def _between(old: Change, new: Change) -> Iterator[str]:
    if (old.verb, old.category) != (new.verb, new.category):
        yield f"planned was {_what(old)}, now {_what(new)}"
    before, after = [action.key for action in old.actions], [action.key for action in new.actions]
    if before != after:
        gone = [key for key in before if key not in after]
        come = [key for key in after if key not in before]
        parts = [f"{word} {', '.join(keys)}" for word, keys in (("no longer", gone), ("now also", come)) if keys]
        yield "; ".join(parts) or "the same actions in another order"
    fields = set(map(_essence, old.diffs)) ^ set(map(_essence, new.diffs))
    if fields:
        yield f"differs otherwise in {', '.join(sorted({path for path, *_ in fields}))}"


def _essence(diff: FieldDiff) -> tuple[str, str, str, str]:
    """A plan that was written and read again has lists for tuples, words for infinities, and keys in another order."""
    before, after = (json.dumps(plain_value(value), sort_keys=True) for value in (diff.before, diff.after))
    return diff.path, before, after, diff.category.label
