"""A plan for machines: JSON, format 2, as docs/plan.md describes it field by field."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.grammar.actions import Action
from framework.planning.grammar.changes import Change, FieldDiff, NewEvent, Plan, Refusal, Status, Verb
from framework.planning.grammar.forecast import Endpoint, Forecast, Work
from framework.ports import Capacity
from framework.render.actions import describe
from framework.render.canonical import document, plain_value

FORMAT = 2
"""Of the JSON document. Grows when a reader of the old one would go wrong."""


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
            "base": plan.base,
            "created": plan.created,
            "digest": plan.digest,
            "snapshot_digest": plan.snapshot_digest,
            "observation_digest": plan.observation_digest,
            "summary": {verb.value: verbs[verb] for verb in Verb},
            "refusals": plan.refusals,
            "unseen": plan.unseen,
            "changes": [_change_document(change) for change in plan.changes],
            "forecast": plan.forecast,
        }
    )


def plan_from_json(text: str) -> Plan:
    """A plan that ``plan_json`` wrote.

    Raises:
        ValueError: not such a document, of a format that this version does not know, or changed since it was written.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ValueError(f"not a plan of format {FORMAT}")
    try:
        plan = Plan(
            environment=data["environment"],
            commit=data["commit"],
            snapshot_digest=data["snapshot_digest"],
            observation_digest=data["observation_digest"],
            changes=tuple(_read_change(item) for item in data["changes"]),
            created=datetime.fromisoformat(data["created"]),
            base=data["base"],
            forecast=None if data["forecast"] is None else _read_forecast(data["forecast"]),
            refusals=tuple(Refusal(**{**item, "ref": Ref.parse(item["ref"])}) for item in data["refusals"]),
            unseen=tuple(data.get("unseen", ())),
        )
        written = data["digest"]
    except (KeyError, TypeError, AttributeError, OverflowError, ValidationError) as error:
        raise ValueError(f"not a plan of format {FORMAT}: {error!r}") from error
    if plan.digest != written:
        raise ValueError(
            f"the plan was changed after it was made: its content has the digest {plan.digest}, and it says {written}"
        )
    return plan


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "ref": change.ref,
        "verb": change.verb,
        "category": change.category.label,
        "reason": change.reason,
        "causes": change.causes,
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
        "happenings": [{"reason": item.reason, "message": item.message, "data": item.data} for item in change.events],
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
        status=None if data["status"] is None else _read_status(data["status"]),
        diffs=tuple(FieldDiff(**{**item, "category": _CATEGORIES[item["category"]]}) for item in data["diffs"]),
        actions=tuple(_action_readers()[item["type"]].validate_python(item["arguments"]) for item in data["actions"]),
        inventory=frozenset(data["inventory"]),
        requeue_after=None if after is None else timedelta(seconds=after),
        events=tuple(NewEvent(**item) for item in data["happenings"]),
        waits_for=_read_refs(data["waits_for"]),
        causes=_read_refs(data["causes"]),
    )


def _read_status(data: Mapping[str, Any]) -> Status:
    return Status.model_validate({**data, "waits_for": _read_refs(data.get("waits_for", []))})


def _read_forecast(data: Mapping[str, Any]) -> Forecast:
    capacity = data["capacity"]
    return Forecast(
        **{
            **data,
            "endpoints": tuple(Endpoint(**{**item, "ref": Ref.parse(item["ref"])}) for item in data["endpoints"]),
            "work": tuple(Work(**{**item, "ref": Ref.parse(item["ref"])}) for item in data["work"]),
            "capacity": None if capacity is None else TypeAdapter(Capacity).validate_python(capacity),
            "lacking": tuple(data["lacking"]),
        }
    )


def _read_refs(texts: list[str]) -> tuple[Ref, ...]:
    return tuple(Ref.parse(text) for text in texts)
