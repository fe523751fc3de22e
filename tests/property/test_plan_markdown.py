"""Any plan is a comment of bounded length that contains nothing but text and our own markup."""

from __future__ import annotations

from hypothesis import given

from framework.planning.grammar.changes import Plan
from framework.render.markdown import LIMIT, plan_markdown
from tests.property.test_plan_json import PLANS
from tests.unit.render.test_markdown import harmless


@given(PLANS)
def test_any_plan_is_short_and_harmless(plan: Plan) -> None:
    text = plan_markdown(plan)
    assert len(text) < LIMIT
    assert text.startswith("<!-- mlopsctl-plan:")
    harmless(text)
