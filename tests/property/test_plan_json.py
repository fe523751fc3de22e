"""Any plan survives its JSON form, and its text never holds a control character."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from framework.api.categories import Category
from framework.api.meta import Ref
from framework.planning.actions import DeleteApp, DeleteTable, StopRun
from framework.planning.changes import Change, FieldDiff, Happening, Plan, Verb
from framework.render.plan import plan_from_json, plan_json, plan_text
from tests.unit.render.samples import ACTIONS, status

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
REFS = st.builds(
    Ref,
    st.sampled_from(["FeatureView", "TrainingJob", "ModelDeployment"]),
    st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True),
)
ACTION = (
    st.sampled_from(ACTIONS)
    | st.builds(StopRun, st.text(), st.text())
    | st.builds(DeleteApp, st.text())
    | st.builds(DeleteTable, st.text())
)
STATUS = st.builds(
    lambda reason, message, summary, reconciling: status(
        "aa11bb22cc", reason, message, summary=summary, reconciling=reconciling
    ),
    st.text(min_size=1),
    st.text(),
    st.text(),
    st.booleans(),
)
CHANGES = st.builds(
    Change,
    ref=REFS,
    verb=st.sampled_from(Verb),
    category=st.sampled_from(Category),
    reason=st.text(),
    status=st.none() | STATUS,
    diffs=st.lists(
        st.builds(FieldDiff, path=st.text(), before=JSON, after=JSON, category=st.sampled_from(Category)), max_size=3
    ).map(tuple),
    actions=st.lists(ACTION, max_size=3).map(tuple),
    inventory=st.frozensets(st.text(), max_size=3),
    requeue_after=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400)),
    happenings=st.lists(
        st.builds(Happening, st.text(), st.text(), st.dictionaries(st.text(), JSON, max_size=2)), max_size=2
    ).map(tuple),
    waits_for=st.lists(REFS, max_size=2).map(tuple),
)
PLANS = st.builds(
    Plan,
    environment=st.text(),
    commit=st.text(),
    snapshot_digest=st.text(),
    observation_digest=st.text(),
    changes=st.lists(CHANGES, max_size=4).map(tuple),
    created=st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)


@given(PLANS)
def test_round_trip(plan: Plan) -> None:
    text = plan_json(plan)
    assert plan_from_json(text) == plan
    assert plan_json(plan_from_json(text)) == text


@given(PLANS, st.integers(1, 200), st.booleans())
def test_text_is_printable_at_every_width(plan: Plan, width: int, unchanged: bool) -> None:
    text = plan_text(plan, width=width, unchanged=unchanged)
    assert text.endswith("\n")
    assert all(character.isprintable() or character in "\n\u00a0\u3000" or character.isspace() for character in text)
    assert not set(text) & set("\x1b\r\x07\x00\u202e")
