"""One window, judged: drift, performance and quality, each for itself. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from framework.api.metrics import measure_of, written
from framework.api.tasks import TASKS, of_signature
from framework.drift.performance import PerformanceFinding, PerformanceVerdict, files_left_out, judge_performance
from framework.drift.quality import QualityFinding, judge_quality, not_judged
from framework.drift.summaries import rows_of
from framework.drift.verdict import ColumnVerdict, DriftFinding, DriftRules, DriftVerdict, judge_window
from framework.kinds.model_monitor.episodes import Sighting
from framework.kinds.model_monitor.observed import JudgedWindow, MonitorObserved, ObservedWindow
from framework.kinds.model_monitor.spec import ModelMonitorSpec, Performance
from framework.ports import Json, ModelVersion

EVIDENCE_COLUMNS = 20
"""An alert names at most this many columns, worst first; the report has them all."""


@dataclass(frozen=True)
class Judgement:
    """None and empty where the spec does not ask for it, or nothing could be compared. ``remarks``: what could not be
    judged, or was left out."""

    rows: int
    drift: DriftVerdict | None
    performance: PerformanceVerdict | None
    quality: tuple[QualityFinding, ...]
    remarks: tuple[str, ...]


def judge(spec: ModelMonitorSpec, live: ModelVersion, observed: MonitorObserved, window: ObservedWindow) -> Judgement:
    drift = performance = None
    quality: tuple[QualityFinding, ...] = ()
    if spec.drift is not None and observed.reference is not None:
        rules = DriftRules(
            threshold=spec.drift.threshold,
            false_alarm_rate=spec.drift.falseAlarmRate,
            min_rows=spec.minRows,
            statistic=spec.drift.statistic,
            statistics=spec.drift.statistics,
            columns=None if spec.drift.columns == "all" else spec.drift.columns,
        )
        drift = judge_window(rules, observed.reference, window.columns)
    if spec.performance is not None and observed.performance is not None:
        performance = judge_performance(
            observed.performance,
            live.metrics.get(metric_of(spec.performance, live)),
            allowed=spec.performance.maxRise if _loss(spec.performance, live) else spec.performance.maxDrop,
            min_labels=spec.performance.minLabels,
        )
    if spec.quality is not None:
        quality = judge_quality(
            observed.reference,
            window.columns,
            max_null_rate=spec.quality.maxNullRate,
            unseen_categories=spec.quality.unseenCategories,
            min_rows=spec.minRows,
            trained=_trained(live),
        )
    rows = max((round(rows_of(column)) for column in window.columns.values()), default=0)
    return Judgement(rows, drift, performance, quality, tuple(_remarks(spec, live, observed, window, performance)))


def metric_of(asked: Performance, live: ModelVersion) -> str:
    """What is measured of a version, as its metrics have it."""
    return written(asked.metric or TASKS[of_signature(live.signature)].headline)


def _loss(asked: Performance, live: ModelVersion) -> bool:
    return measure_of(metric_of(asked, live)).loss


def _trained(live: ModelVersion) -> dict[str, Collection[str]]:
    """Every category of a text column that the model knows, however many."""
    return {item["name"]: item["categories"] for item in live.signature.get("inputs", ()) if "categories" in item}


def _remarks(
    spec: ModelMonitorSpec,
    live: ModelVersion,
    observed: MonitorObserved,
    window: ObservedWindow,
    performance: PerformanceVerdict | None,
) -> Iterator[str]:
    if window.damaged:
        yield files_left_out(window.damaged, "the window's profiles")
    if observed.reference is not None and observed.reference.damaged:
        yield files_left_out(observed.reference.damaged, "the training profile")
    if spec.quality is not None and spec.quality.unseenCategories is not None:
        untold = not_judged(
            observed.reference,
            window.columns,
            unseen_categories=spec.quality.unseenCategories,
            min_rows=spec.minRows,
            trained=_trained(live),
        )
        yield from (f"unseen categories cannot be told of {item}" for item in untold)
    if performance is not None and performance.value is None:
        yield performance.message


def sightings(spec: ModelMonitorSpec, judged: Judgement) -> dict[str, Sighting]:
    """What this window says about each subject. A subject that the spec no longer names is over."""
    return {
        "drift": _drift(spec, judged.drift),
        "performance": _performance(spec, judged.performance),
        "quality": _quality(spec, judged),
    }


def _drift(spec: ModelMonitorSpec, drift: DriftVerdict | None) -> Sighting:
    if spec.drift is None:
        return Sighting(False, "no longer watched", {})
    if drift is None or drift.finding is DriftFinding.INCONCLUSIVE:
        return Sighting(None, "cannot tell", {})
    listed = [_evidence(column) for column in drift.drifted[:EVIDENCE_COLUMNS]]
    evidence = {
        "rows": drift.rows,
        "columns": listed,
        "note": "the inputs' distributions changed; whether predictions suffered shows in performance alone",
    }
    return Sighting(drift.finding is DriftFinding.DRIFT, drift_words(drift), evidence)


def _evidence(column: ColumnVerdict) -> dict[str, Json]:
    fields = {"column", "statistic", "value", "limit", "threshold", "natural", "noise", "rows", "message"}
    return column.model_dump(mode="json", include=fields)


def _performance(spec: ModelMonitorSpec, found: PerformanceVerdict | None) -> Sighting:
    if spec.performance is None:
        return Sighting(False, "no longer watched", {})
    if found is None or found.finding is PerformanceFinding.INCONCLUSIVE:
        return Sighting(None, "cannot tell", {})
    return Sighting(found.finding is PerformanceFinding.DEGRADED, found.message, found.model_dump(mode="json"))


def _quality(spec: ModelMonitorSpec, judged: Judgement) -> Sighting:
    if spec.quality is None:
        return Sighting(False, "no longer watched", {})
    if judged.rows < spec.minRows:
        return Sighting(None, "cannot tell", {})
    if not judged.quality:
        return Sighting(False, "every column is within its bounds", {})
    evidence = {"columns": [item.model_dump(mode="json") for item in judged.quality[:EVIDENCE_COLUMNS]]}
    more = f" and {len(judged.quality) - 1} more" if len(judged.quality) > 1 else ""
    return Sighting(True, f"{judged.quality[0].message}{more}", evidence)


def drift_words(drift: DriftVerdict) -> str:
    """``3 of 12 columns drift (max psi 4.1 temp)``."""
    judged = [column for column in drift.columns if column.finding is not DriftFinding.INCONCLUSIVE]
    if not judged:
        return f"drift cannot be judged on {drift.rows:,} rows"
    worst = max(drift.drifted or judged, key=lambda column: column.value or 0.0)
    count = f"{len(drift.drifted)} of {len(judged)}" if drift.drifted else f"none of {len(judged)}"
    verb = "drifts" if len(drift.drifted) == 1 else "drift"
    return f"{count} columns {verb} (max {worst.statistic} {worst.value or 0.0:.2g} {worst.column})"


def performance_words(found: PerformanceVerdict) -> str:
    """``AUC 0.66 on 1,204 labels (baseline 0.70)``."""
    name, digits = found.metric.upper(), ".2f" if measure_of(found.metric).bounded else ".4g"
    if found.value is None:
        return f"{name} unknown on {found.labelled:,} labels"
    baseline = "none" if found.baseline is None else f"{found.baseline:{digits}}"
    return f"{name} {found.value:{digits}} on {found.labelled:,} labels (baseline {baseline})"


def summary(drift: DriftVerdict | None, performance: PerformanceVerdict | None, quality: int) -> str:
    """One line for the status table."""
    parts = [drift_words(drift)] if drift else []
    parts += [performance_words(performance)] if performance else []
    parts += [f"{quality} quality finding{'' if quality == 1 else 's'}"] if quality else []
    return ", ".join(parts) or "watches; no window judged yet"


def checked(judged: Judgement, window: ObservedWindow) -> JudgedWindow:
    drift, performance = judged.drift, judged.performance
    columns = drift.columns if drift else ()
    return JudgedWindow(
        until=window.until,
        rows=judged.rows,
        judged=sum(column.finding is not DriftFinding.INCONCLUSIVE for column in columns),
        drifted=len(drift.drifted) if drift else 0,
        value=performance.value if performance else None,
        low=performance.low if performance else None,
        high=performance.high if performance else None,
        labelled=performance.labelled if performance else 0,
    )
