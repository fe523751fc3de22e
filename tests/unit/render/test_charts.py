from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from framework.render.charts import HEIGHT, Scale, bars, drifted, performance

START = datetime(2026, 11, 20, tzinfo=UTC)


def window(index: int, value: float | None = None, spread: float | None = 0.02, *, drifted: int = 0) -> dict[str, Any]:
    low, high = (None, None) if value is None or spread is None else (value - spread, value + spread)
    until = (START + timedelta(minutes=5 * index)).isoformat()
    counts = {"rows": 9, "judged": 4, "drifted": drifted, "labelled": 9}
    return {"until": until, "value": value, "low": low, "high": high, **counts}


@pytest.mark.parametrize(
    ("low", "high", "lines"),
    [
        (0.61, 0.74, ["0.60", "0.65", "0.70", "0.75"]),
        (0.0, 3.0, ["0", "1", "2", "3"]),
        (0.7, 0.7, ["0.6", "0.8"]),
        (0.0, 120.0, ["0", "50", "100", "150"]),
        (0.9999, 1.0, ["0.99990", "0.99995", "1.00000"]),
    ],
)
def test_a_scale_has_round_lines_and_holds_what_it_is_for(low: float, high: float, lines: list[str]) -> None:
    scale = Scale.over(low, high)
    found = list(scale.levels())
    assert scale.low <= low <= high <= scale.high
    assert [level.text for level in found] == lines
    assert 0 < min(level.y for level in found) <= max(level.y for level in found) < HEIGHT


def test_a_scale_of_counts_has_no_halves() -> None:
    assert [level.text for level in Scale.over(0.0, 1.0, whole=True).levels()] == ["0", "1"]


def test_performance_lies_within_the_chart_and_in_the_order_of_time() -> None:
    verdict = {"metric": "auc", "baseline": 0.7, "bound": 0.65}
    history = [window(0), window(1, 0.72), window(2, 0.60, None), window(4, 0.68)]
    plot = performance(verdict, history)
    assert [round(point.x) for point in plot.points] == [3, 34, 97]
    assert [point.window for point in plot.points] == [history[1], history[2], history[3]]
    for point in plot.points:
        assert 0 < point.top <= point.y <= point.bottom < HEIGHT
    assert plot.points[1].top == plot.points[1].bottom, "an interval that is unknown has no length"
    tested, allowed = (level for level in plot.levels if level.style)
    assert tested.y < allowed.y
    assert (plot.first, plot.last) == (history[1], history[3])


def test_one_point_is_in_the_middle_and_needs_no_baseline() -> None:
    plot = performance({"metric": "auc", "baseline": None, "bound": None}, [window(0, 0.7)])
    assert [point.x for point in plot.points] == [50.0]
    assert not [level for level in plot.levels if level.style]


def test_windows_stand_side_by_side_as_high_as_they_have_drifted_columns() -> None:
    plot = drifted([window(index, drifted=count) for index, count in enumerate([0, 4, 2, 0])])
    heights = [column.height for column in plot.columns]
    assert (heights[0], heights[1]) == (0.0, 2 * heights[2])
    assert all(column.x > 0.0 and column.x + column.width < 100.0 for column in plot.columns)
    assert not any(column.height for column in drifted([window(0)]).columns)


def test_the_longest_bar_of_a_distribution_takes_all_of_the_width() -> None:
    found = bars({"labels": ["a", "b"], "reference": [0.5, 0.1], "window": [0.25, 0.0]})
    assert [(bar.label, bar.reference_length, bar.window_length) for bar in found] == [("a", 100, 50), ("b", 20, 0)]
    (nothing,) = bars({"labels": ["a"], "reference": [0.0], "window": [0.0]})
    assert nothing.reference_length == 0.0
