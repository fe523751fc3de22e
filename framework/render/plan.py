"""A plan for people (text) and for machines (JSON, format 1). Neither decides anything."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.actions import Action
from framework.planning.changes import Change, FieldDiff, Happening, Plan, Status, Verb
from framework.render.actions import describe
from framework.render.canonical import document, plain_value
from framework.render.diffs import ADDED, CHANGED, QUIET, REMOVED, diff_lines
from framework.render.terminal import DEFAULT_WIDTH, LONGEST_MESSAGE, Line, Span, one_line, paragraph, text_of
from framework.render.wording import count, short, span

FORMAT = 1
"""Of the JSON document. Grows when a reader of the old one would go wrong."""

_SYMBOLS: Mapping[Verb, tuple[str, str]] = {
    Verb.CREATE: ("+", ADDED),
    Verb.UPDATE: ("~", CHANGED),
    Verb.REPLACE: ("-/+", "magenta"),
    Verb.DELETE: ("-", REMOVED),
    Verb.WAIT: ("…", "cyan"),
    Verb.NOOP: (".", QUIET),
}
_INDENT = " " * 6


# ------------------------------------------------------------------- text


def plan_text(plan: Plan, *, width: int = DEFAULT_WIDTH, colour: bool = False, unchanged: bool = False) -> str:
    """The plan as people read it: what changes, why, what will run, and a summary line.

    Resources without work are hidden unless ``unchanged``.
    """
    return text_of(_lines(plan, width, unchanged), colour=colour)


def summary(plan: Plan) -> str:
    """``Plan: 3 to create, 1 to update, 0 to delete, 5 unchanged.`` or ``Nothing to do: ...``."""
    verbs = Counter(change.verb for change in plan.changes)
    if verbs.total() == verbs[Verb.NOOP]:
        agree = "matches" if verbs[Verb.NOOP] == 1 else "match"
        return f"Nothing to do: {count(verbs[Verb.NOOP], 'resource')} {agree} commit {short(plan.commit)}."
    parts = [
        f"{verbs[Verb.CREATE]} to create",
        f"{verbs[Verb.UPDATE]} to update",
        *([f"{verbs[Verb.REPLACE]} to replace"] if verbs[Verb.REPLACE] else []),
        f"{verbs[Verb.DELETE]} to delete",
        *([f"{verbs[Verb.WAIT]} waiting"] if verbs[Verb.WAIT] else []),
        f"{verbs[Verb.NOOP]} unchanged",
    ]
    return f"Plan: {', '.join(parts)}."


def _lines(plan: Plan, width: int, unchanged: bool) -> list[Line]:
    shown = [change for change in plan.changes if unchanged or change.verb is not Verb.NOOP]
    lines: list[Line] = []
    if shown:
        lines += [(Span(f"Environment {plan.environment} at commit {short(plan.commit)}", "bold"),), ()]
    for change in shown:
        lines += [*_change(change, width), ()]
    return [*lines, (Span(summary(plan), "bold"),)]


def _change(change: Change, width: int) -> list[Line]:
    symbol, style = _SYMBOLS[change.verb]
    category = () if change.category is Category.NOOP else (Span(f"  {change.category.label}", QUIET),)
    lines: list[Line] = [(Span(f"{symbol:>3} ", style), Span(str(change.ref), f"bold {style}"), *category)]
    lines += paragraph(one_line(change.reason, LONGEST_MESSAGE), width=width, indent=_INDENT)
    if change.verb not in (Verb.CREATE, Verb.DELETE):  # where everything is new or gone, the file itself says it better
        for diff in change.diffs:
            lines += diff_lines(diff, width=width, indent=_INDENT)
    lines += [(Span(f"{_INDENT}> "), Span(describe(action))) for action in change.actions]
    unnamed = [str(ref) for ref in change.waits_for if str(ref) not in change.reason]
    if unnamed:
        lines.append((Span(f"{_INDENT}waits for {', '.join(unnamed)}", QUIET),))
    if change.verb is Verb.WAIT and change.requeue_after is not None:
        lines.append((Span(f"{_INDENT}looks again in {span(change.requeue_after)}", QUIET),))
    return lines


# ------------------------------------------------------------------- JSON


def plan_json(plan: Plan) -> str:
    """The plan as a JSON document. Equal plans give equal bytes; ``plan_from_json`` reads it back.

    ``summary``, and ``key`` and ``description`` of an action, are there for readers and ignored by ``plan_from_json``.
    """
    verbs = Counter(change.verb for change in plan.changes)
    return document(
        {
            "format": FORMAT,
            "environment": plan.environment,
            "commit": plan.commit,
            "created": plan.created,
            "snapshot_digest": plan.snapshot_digest,
            "observation_digest": plan.observation_digest,
            "summary": {verb.value: verbs[verb] for verb in Verb},
            "changes": [_change_document(change) for change in plan.changes],
        }
    )


def plan_from_json(text: str) -> Plan:
    """A plan that ``plan_json`` wrote.

    Raises:
        ValueError: not such a document, or of a format that this version does not know.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"not a plan of format {FORMAT}")
    try:
        return Plan(
            environment=data["environment"],
            commit=data["commit"],
            snapshot_digest=data["snapshot_digest"],
            observation_digest=data["observation_digest"],
            changes=tuple(_read_change(item) for item in data["changes"]),
            created=datetime.fromisoformat(data["created"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a plan of format {FORMAT}: {error!r}") from error


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "ref": change.ref,
        "verb": change.verb,
        "category": change.category.label,
        "reason": change.reason,
        "diffs": [{**plain_value(diff), "category": diff.category.label} for diff in change.diffs],
        "actions": [
            {
                "type": type(action).__name__,
                "key": action.key,
                "description": describe(action),
                "arguments": plain_value(action),
            }
            for action in change.actions
        ],
        "inventory": change.inventory,
        "requeue_after_seconds": change.requeue_after,
        "happenings": change.happenings,
        "waits_for": change.waits_for,
        "status": change.status,
    }


_CATEGORIES = {category.label: category for category in Category}


@cache
def _action_readers() -> Mapping[str, TypeAdapter[Action]]:
    return {member.__name__: TypeAdapter(member) for member in get_args(Action)}


def _read_change(data: Mapping[str, Any]) -> Change:
    after = data["requeue_after_seconds"]
    return Change(
        ref=Ref.parse(data["ref"]),
        verb=Verb(data["verb"]),
        category=_CATEGORIES[data["category"]],
        reason=data["reason"],
        status=None if data["status"] is None else Status.model_validate(data["status"]),
        diffs=tuple(FieldDiff(**{**item, "category": _CATEGORIES[item["category"]]}) for item in data["diffs"]),
        actions=tuple(_action_readers()[item["type"]].validate_python(item["arguments"]) for item in data["actions"]),
        inventory=frozenset(data["inventory"]),
        requeue_after=None if after is None else timedelta(seconds=after),
        happenings=tuple(Happening(**item) for item in data["happenings"]),
        waits_for=tuple(Ref.parse(item) for item in data["waits_for"]),
    )
