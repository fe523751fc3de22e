"""Everything that the report page shows, as plain JSON values. Pure; ``framework.render.report`` makes the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from framework.kinds.model_monitor.judgement import Judgement, summary
from framework.kinds.model_monitor.observed import Checked, Episode, MonitorObserved, ObservedWindow
from framework.kinds.model_monitor.spec import ModelMonitorSpec
from framework.planning.changes import Desired
from framework.ports import ColumnSummary, Json, ModelVersion

SHOWN_CATEGORIES = 12
MISSING = "missing"
OTHER = "other"


def report_content(
    desired: Desired[ModelMonitorSpec],
    live: ModelVersion,
    observed: MonitorObserved,
    window: ObservedWindow,
    judged: Judgement,
    history: Sequence[Checked],
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
        labels, left, right = _categories(before, after)
    elif before.edges == after.edges and before.edges:
        labels, left, right = _ranges(before.edges), list(before.counts), list(after.counts)
    else:
        return None
    if before.nulls or after.nulls:
        labels, left, right = [*labels, MISSING], [*left, float(before.nulls)], [*right, float(after.nulls)]
    return {"labels": labels, "reference": _normalised(left), "window": _normalised(right)}


def _categories(before: ColumnSummary, after: ColumnSummary) -> tuple[list[str], list[float], list[float]]:
    """The most frequent ones of either side by name, the rest together."""
    whole = _sum(before) or 1.0, _sum(after) or 1.0
    total = {
        name: max(before.categories.get(name, 0.0) / whole[0], after.categories.get(name, 0.0) / whole[1])
        for name in {*before.categories, *after.categories}
    }
    names = sorted(total, key=lambda name: (-total[name], name))
    shown, rest = sorted(names[:SHOWN_CATEGORIES]), names[SHOWN_CATEGORIES:]
    left = [before.categories.get(name, 0.0) for name in shown]
    right = [after.categories.get(name, 0.0) for name in shown]
    if rest:
        shown = [*shown, OTHER]
        left.append(sum(before.categories.get(name, 0.0) for name in rest))
        right.append(sum(after.categories.get(name, 0.0) for name in rest))
    return shown, left, right


def _sum(column: ColumnSummary) -> float:
    return sum(column.categories.values())


def _ranges(edges: Sequence[float]) -> list[str]:
    def text(low: float, high: float) -> str:
        if math.isinf(low) and math.isinf(high):
            return "all"
        if math.isinf(low):
            return f"up to {high:.4g}"
        return f"over {low:.4g}" if math.isinf(high) else f"{low:.4g} to {high:.4g}"

    return [text(low, high) for low, high in pairwise(edges)]


def _normalised(counts: Sequence[float]) -> list[float]:
    total = sum(counts) or 1.0
    return [round(count / total, 6) for count in counts]
