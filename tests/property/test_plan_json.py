"""Any plan survives its JSON form, and its text never holds a control character."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.categories import Category
from framework.api.credentials import redacted, redacted_value
from framework.api.meta import Ref
from framework.planning.grammar.actions import DeleteApp, DeleteTable, StopRun
from framework.planning.grammar.changes import Change, FieldDiff, NewEvent, Plan, Refusal, Verb
from framework.planning.grammar.forecast import Endpoint, Forecast, Work
from framework.ports import Capacity
from framework.render.plan import plan_text
from framework.render.plan_document import plan_from_json, plan_json
from tests.unit.render.samples import ACTIONS, status

TEXT = st.text().map(redacted)
"""As a plan has it: what looks like a secret was hidden when it was made."""
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
).map(redacted_value)
REFS = st.builds(
    Ref,
    st.sampled_from(["FeatureView", "TrainingJob", "ModelDeployment"]),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True),
)
ACTION = (
    st.sampled_from(ACTIONS)
    | st.builds(StopRun, TEXT, TEXT)
    | st.builds(DeleteApp, TEXT)
    | st.builds(DeleteTable, TEXT)
)
STATUS = st.builds(
    lambda reason, message, summary, reconciling: status(
        "aa11bb22cc", reason, message, summary=summary, reconciling=reconciling
    ),
    st.text(min_size=1).map(redacted),
    TEXT,
    TEXT,
    st.booleans(),
)
CHANGES = st.builds(
    Change,
    ref=REFS,
    verb=st.sampled_from(Verb),
    category=st.sampled_from(Category),
    reason=TEXT,
    status=st.none() | STATUS,
    diffs=st.lists(
        st.builds(FieldDiff, path=TEXT, before=JSON, after=JSON, category=st.sampled_from(Category)), max_size=3
    ).map(tuple),
    actions=st.lists(ACTION, max_size=3).map(tuple),
    inventory=st.frozensets(TEXT, max_size=3),
    requeue_after=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)),
    events=st.lists(
        st.builds(NewEvent, TEXT, TEXT, st.dictionaries(TEXT, JSON, max_size=2).map(redacted_value)), max_size=2
    ).map(tuple),
    waits_for=st.lists(REFS, max_size=2).map(tuple),
    causes=st.lists(REFS, max_size=2).map(tuple),
)
AMOUNTS = st.floats(min_value=0, max_value=1e6)
FORECASTS = st.builds(
    Forecast,
    endpoints=st.lists(
        st.builds(Endpoint, REFS, TEXT, st.none() | st.floats(0, 1), st.integers(0, 100)), max_size=2
    ).map(tuple),
    work=st.lists(
        st.builds(Work, REFS, TEXT, st.integers(1, 9), st.none() | AMOUNTS, TEXT, AMOUNTS, AMOUNTS),
        max_size=2,
    ).map(tuple),
    seconds=st.none() | AMOUNTS,
    gpu_hours=st.none() | AMOUNTS,
    extra_gpus=AMOUNTS,
    extra_cpus=AMOUNTS,
    capacity=st.none() | st.builds(Capacity, st.dictionaries(TEXT, AMOUNTS), st.dictionaries(TEXT, AMOUNTS)),
    lacking=st.lists(TEXT, max_size=2).map(tuple),
)
PLANS = st.builds(
    Plan,
    environment=TEXT,
    commit=TEXT,
    snapshot_digest=TEXT,
    observation_digest=TEXT,
    changes=st.lists(CHANGES, max_size=4).map(tuple),
    created=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    base=TEXT,
    forecast=st.none() | FORECASTS,
    refusals=st.lists(st.builds(Refusal, REFS, TEXT, TEXT), max_size=2).map(tuple),
)


@given(PLANS)
def test_round_trip(plan: Plan) -> None:
    text = plan_json(plan)
    assert plan_from_json(text) == plan
    assert plan_json(plan_from_json(text)) == text
    assert plan_from_json(text).digest == plan.digest


@given(PLANS, CHANGES)
def test_a_document_that_was_changed_by_hand_is_refused(plan: Plan, extra: Change) -> None:
    document = json.loads(plan_json(plan))
    document["changes"].append(json.loads(plan_json(replace(plan, changes=(extra,))))["changes"][0])
    if extra.verb is Verb.NOOP:
        return
    with pytest.raises(ValueError, match="changed after it was made"):
        plan_from_json(json.dumps(document))


@given(PLANS, st.integers(1, 200), st.booleans())
def test_text_is_printable_at_every_width(plan: Plan, width: int, unchanged: bool) -> None:
    text = plan_text(plan, width=width, unchanged=unchanged)
    assert text.endswith("\n")
    assert all(character.isprintable() or character in "\n\u00a0\u3000" or character.isspace() for character in text)
    assert not set(text) & set("\x1b\r\x07\x00\u202e")
