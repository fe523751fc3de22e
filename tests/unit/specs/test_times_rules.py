"""What goes by event times, where a view has none or says when its rows became known."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import DEPLOYMENT, JOB, VIEW, WEATHER, Rule, project, told

__all__ = ["project"]

NOTED = ("timestamp: time", "timestamp: time\n  available: time")


def problems(project: Project) -> dict[str, str]:
    return {one.path: one.message for one in project.check().errors}


def test_a_reference_table_is_joined_by_its_keys_alone(project: Project) -> None:
    project.edit(WEATHER, ("  timestamp: time\n", ""), ("    - {name: time, dtype: Datetime}\n", ""))
    assert not problems(project)
    project.edit(JOB, ("columns: [rain]", "columns: [rain], maxAge: 1h, delay: 0s"))
    told = "FeatureView/weather has no event time and is joined by its keys alone"
    assert problems(project) == {f"spec.dataset.features[0].{name}": told for name in ("maxAge", "delay")}


def test_what_needs_an_event_time_of_the_spine_is_named_all_at_once(project: Project) -> None:
    project.edit(VIEW, ("  timestamp: time\n", ""), ("unique: [trip]", "freshness: 1d"))
    project.edit(JOB, ("label: late", "label: late\n    labelDelay: 1d"))
    found = problems(project)
    assert list(found) == [
        "spec.expectations[0].freshness",
        "spec.dataset.features[0].view",
        "spec.dataset.labelDelay",
        "spec.dataset.window",
        "spec.dataset.split.by",
    ]
    assert found["spec.dataset.window"] == "goes by event times, and the spine has none"
    assert "nobody can tell what was known" in found["spec.dataset.features[0].view"]


@pytest.mark.parametrize(
    "rule",
    [
        Rule(WEATHER, "timestamp: time", "timestamp: time\n  available: rain", "spec.available",
            "rain is Float64; an event time is a Datetime or a Date"),
        Rule(WEATHER, "timestamp: time", "available: time", "spec", "it needs timestamp"),
        Rule(WEATHER, "timestamp: time", "timestamp: time\n  available: tiem", "spec", "columns lack tiem"),
        Rule(JOB, "columns: [rain]", "columns: [rain], keys: {trp: trip}", "spec.dataset.features[0].keys",
            "FeatureView/weather has no entity 'trp'", "trip", "trip"),
        Rule(JOB, "columns: [rain]", "columns: [rain], keys: {trip: trp}", "spec.dataset.features[0].keys",
            "joined by 'trp', which the training set does not have", "trip", "late"),
        Rule(JOB, "columns: [rain]", "columns: [rain], keys: {trip: time}", "spec.dataset.features[0].keys",
            "time is Datetime in the training set and Int64 in FeatureView/weather"),
    ],
    ids=lambda rule: rule.says[:40],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(project: Project, rule: Rule) -> None:
    told(project, rule)


def test_a_delay_beside_what_the_view_says_is_refused(project: Project) -> None:
    project.edit(WEATHER, NOTED)
    assert not problems(project)
    project.edit(JOB, ("columns: [rain]", "columns: [rain], delay: 1h"))
    assert problems(project) == {
        "spec.dataset.features[0].delay": "FeatureView/weather says by time when a row became known"
    }


def test_a_view_is_joined_twice_with_a_prefix(project: Project) -> None:
    twice = "{view: weather, columns: [rain]}\n      - {view: weather, columns: [rain]%s}"
    project.edit(JOB, ("{view: weather, columns: [rain]}", twice % ""))
    assert "which the training set has already; rename one of them, or give prefix" in str(problems(project))
    project.edit(JOB, (twice % "", twice % ", prefix: before_"))
    assert not problems(project)


def test_a_view_that_is_joined_twice_is_not_looked_up_while_serving(project: Project) -> None:
    """A look-up finds one row of a view: the other inputs would be null without anybody noticing."""
    project.edit(WEATHER, ("  sources:", "  online: {}\n  sources:"))
    project.edit(DEPLOYMENT, ("route: /late", "route: /late\n    onlineFeatures: [weather]"))
    assert not problems(project)
    both = "{view: weather, columns: [rain]}\n      - {view: weather, columns: [rain], prefix: before_}"
    project.edit(JOB, ("{view: weather, columns: [rain]}", both))
    assert "joins FeatureView/weather more than once" in problems(project)["spec.serving.onlineFeatures[0]"]
