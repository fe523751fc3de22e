"""Everything that the report page shows, as plain JSON values. Pure; ``framework.render.report`` makes the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from framework.drift.summaries import values_of
from framework.kinds.model_monitor.judgement import Judgement, summary
from framework.kinds.model_monitor.observed import Episode, JudgedWindow, MonitorObserved, ObservedWindow
from framework.kinds.model_monitor.spec import ModelMonitorSpec
from framework.planning.grammar.changes import Desired
from framework.ports import ColumnSummary, Json, ModelVersion

SHOWN_CATEGORIES = 12
MISSING = "missing"
OTHER = "other"
PRESENT = "any value"

Row = tuple[str, float, float]
"""A label, and the rows of the reference and of the window there."""


def report_content(
    desired: Desired[ModelMonitorSpec],
    live: ModelVersion,
    observed: MonitorObserved,
    window: ObservedWindow,
    judged: Judgement,
    history: Sequence[JudgedWindow],
    episodes: dict[str, Episode],
    now: datetime,
) -> dict[str, Json]:
    """One window in full, and the windows before it in short."""
    before = observed.reference.whole if observed.reference else {}
    columns = judged.drift.columns if judged.drift else ()
    return {
        "monitor": desired.ref.name,
        "deployment": desired.spec.deployment,
        "environment": desired.environment,
        "app": observed.app,
        "version": f"{live.training}@{live.version}",
        "model_commit": live.commit,
        "commit": desired.commit,
        "live_since": observed.live_since.isoformat() if observed.live_since else None,
        "generated": now.isoformat(),
        "window": {"since": window.since.isoformat(), "until": window.until.isoformat(), "rows": judged.rows},
        "summary": summary(judged.drift, judged.performance, len(judged.quality)),
        "finding": judged.drift.finding.value if judged.drift else None,
        "false_alarm_rate": desired.spec.drift.falseAlarmRate if desired.spec.drift else None,
        "reference_periods": len(observed.reference.periods) if observed.reference else 0,
        "remarks": list(judged.remarks),
        "columns": [
            {
                **column.model_dump(mode="json"),
                "shares": shares(before.get(column.column), window.columns.get(column.column)),
            }
            for column in columns
        ],
        "performance": judged.performance.model_dump(mode="json") if judged.performance else None,
        "quality": [item.model_dump(mode="json") for item in judged.quality],
        "history": [item.model_dump(mode="json") for item in history],
        "episodes": [{"subject": subject, **item.model_dump(mode="json")} for subject, item in episodes.items()],
    }


def shares(before: ColumnSummary | None, after: ColumnSummary | None) -> dict[str, Json] | None:
    """Both distributions as shares of their rows on the same labels; None where they have no bins in common."""
    if before is None or after is None:
        return None
    if before.categories or after.categories:
        rows = _categories(before, after)
    elif before.edges == after.edges and before.edges:
        rows = _ranges(before, after)
    elif values_of(before) == 0:
        rows = [(PRESENT, 0.0, values_of(after))]
    else:
        return None
    if before.nulls or after.nulls:
        rows = [*rows, (MISSING, float(before.nulls), float(after.nulls))]
    labels, left, right = zip(*rows, strict=True)
    return {"labels": list(labels), "reference": _normalised(left), "window": _normalised(right)}


def _categories(before: ColumnSummary, after: ColumnSummary) -> list[Row]:
    """The most frequent ones of either side by name, the rest together."""
    whole = values_of(before) or 1.0, values_of(after) or 1.0
    largest = {
        name: max(before.categories.get(name, 0.0) / whole[0], after.categories.get(name, 0.0) / whole[1])
        for name in {*before.categories, *after.categories}
    }
    names = sorted(largest, key=lambda name: (-largest[name], name))[:SHOWN_CATEGORIES]
    rows = [(name, before.categories.get(name, 0.0), after.categories.get(name, 0.0)) for name in sorted(names)]
    rest = values_of(before) - sum(row[1] for row in rows), values_of(after) - sum(row[2] for row in rows)
    return [*rows, (OTHER, *rest)] if max(rest) > 0 else rows


def _ranges(before: ColumnSummary, after: ColumnSummary) -> list[Row]:
    """The bins of the reference. The outer ones, where it has nothing, only if the window has something there."""
    pairs = zip(pairwise(before.edges), before.counts, after.counts, strict=True)
    rows = [(_range(low, high, outside=not a), a, b) for (low, high), a, b in pairs]
    empty = [not (a or b) for _, a, b in rows]
    return rows[empty[0] : len(rows) - empty[-1]] or rows


def _range(low: float, high: float, *, outside: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return "all"
    if math.isinf(low):
        return f"under {_edge(high)}" if outside else f"up to {_edge(high)}"
    if math.isinf(high):
        return f"over {_edge(low)}"
    return _edge(high) if math.nextafter(low, high) == high else f"{_edge(low)} to {_edge(high)}"


def _edge(value: float) -> str:
    """An edge may lie one step below a value, which nobody can see but next to zero."""
    return f"{0.0 if abs(value) <= math.ulp(0.0) else value:.4g}"


def _normalised(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [round(count / total, 6) for count in counts]
