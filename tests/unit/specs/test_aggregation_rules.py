"""What the aggregations of a view and its columns demand of each other, told where it stands."""

from __future__ import annotations

import pytest

from tests.unit.specs.conftest import Project
from tests.unit.specs.rules import WEATHER, Rule, project, told

__all__ = ["project"]

COLUMNS = "    - {name: rain, dtype: Float64}\n"
ASKED = f"""\
{COLUMNS}    - {{name: rain_1d, dtype: Float64}}
  aggregations:
    - {{name: rain_1d, column: rain, function: sum, window: 1d}}
"""
MEAN = ASKED[len(COLUMNS) :].replace("Float64", "Int64").replace("sum", "mean")


@pytest.mark.parametrize(
    "aggregation",
    [
        "{name: rain_1d, column: rain, function: sum, window: 1d}",
        "{name: rain_1d, column: rain, function: last, lag: 3, session: 2h, where: rain > 0}",
        "{name: rain_1d, column: not_declared, function: count_distinct}",
        "{name: rain_1d, function: count, window: 90m}",
        "{name: rain_1d, function: count, window: 1d}\n  materialization: {mode: incremental, lookback: 24h}",
    ],
)
def test_what_may_be_asked(project: Project, aggregation: str) -> None:
    project.edit(WEATHER, (COLUMNS, ASKED))
    project.edit(WEATHER, ("{name: rain_1d, column: rain, function: sum, window: 1d}", aggregation))
    assert not project.check().errors


@pytest.mark.parametrize(
    "rule",
    [
        Rule(WEATHER, "function: sum", "function: summe", "spec.aggregations[0].function", "", "sum", "count_distinct"),
        Rule(WEATHER, "window: 1d", "window: 0s", "spec.aggregations[0].window", "longer than nothing"),
        Rule(WEATHER, "window: 1d", "window: 1d, session: 1h", "spec.aggregations[0]", "exclude each other"),
        Rule(WEATHER, "window: 1d", "lag: 1", "spec.aggregations[0]", "lag belongs to last, and this is sum"),
        Rule(WEATHER, "function: sum, window: 1d", "function: last, lag: 0", "spec.aggregations[0].lag", "at least 1"),
        Rule(WEATHER, "column: rain, ", "", "spec.aggregations[0]", "sum needs a column"),
        Rule(WEATHER, "{name: rain_1d, column", "{name: rain1d, column", "spec.aggregations[0].name",
            "no column 'rain1d' is declared", "rain_1d", "rain"),
        Rule(WEATHER, "{name: rain_1d, column", "{name: time, column", "spec.aggregations[0].name",
            "time is a key or a time, which the rows have"),
        Rule(WEATHER, "window: 1d}", "window: 1d}\n    - {name: rain_1d, function: count}", "spec.aggregations[1].name",
            "is the name of an aggregation before"),
        Rule(WEATHER, "column: rain,", "column: rain_1d,", "spec.aggregations[0].column", "is an aggregate itself"),
        Rule(WEATHER, "column: rain,", "column: time,", "spec.aggregations[0].function",
            "time is Datetime; sum needs a number"),
        Rule(WEATHER, "rain_1d, dtype: Float64", "rain_1d, dtype: String", "spec.aggregations[0].name",
            "rain_1d is String; sum gives a number"),
        Rule(WEATHER, ASKED[len(COLUMNS):], MEAN, "spec.aggregations[0].name", "rain_1d is Int64; mean gives a float"),
        Rule(WEATHER, "column: rain, function: sum", "column: time, function: first", "spec.aggregations[0].name",
            "rain_1d is Float64, and time, of which it is one, Datetime"),
        Rule(WEATHER, "timestamp: time", "timestamp: time\n  available: time", "spec.aggregations",
            "would count before they are known"),
        Rule(WEATHER, "  aggregations:", "  materialization: {mode: incremental, lookback: 23h}\n  aggregations:",
            "spec.materialization.lookback", "is shorter than what rain_1d looks back"),
        Rule(WEATHER, "  timestamp: time\n", "", "spec.aggregations", "the view has no timestamp"),
    ],
    ids=lambda rule: f"{rule.says or rule.meant}"[:40],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(project: Project, rule: Rule) -> None:
    project.edit(WEATHER, (COLUMNS, ASKED))
    told(project, rule)


def test_what_looks_back_without_end_takes_no_lookback(project: Project) -> None:
    project.edit(WEATHER, (COLUMNS, ASKED.replace("window: 1d", "session: 1h")))
    project.edit(
        WEATHER, ("  aggregations:", "  materialization: {mode: incremental, lookback: 900d}\n  aggregations:")
    )
    (problem,) = project.check().errors
    assert problem.path == "spec.materialization.lookback"
