"""Whether a trained model may serve: its measured metrics against the bars of the spec. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from framework.kinds.training_job.spec import Evaluation, Gate


def compares(evaluation: Evaluation) -> bool:
    """Whether some bar is against the live model, so that this has to be measured, too."""
    return any(gate.comparedTo == "live" for gate in evaluation.gates)


def judge(
    evaluation: Evaluation,
    metrics: Mapping[str, float],
    champion: Mapping[str, float] | None,
    slices: Sequence[Mapping[str, Any]],
    champion_problem: str | None = None,
) -> tuple[dict[str, Any], ...]:
    """One row per bar: ``{gate, value, bar, passed, message}``.

    A bar against the live model passes when nothing is live yet. A metric that was not measured fails its bar, because
    a bar that cannot be checked must not let a model through; ``champion_problem`` says why the live model was not
    measured. ``slices`` are rows {by, value, metric, score, rows}.
    """
    rows = [_gate(gate, metrics, champion, champion_problem) for gate in evaluation.gates]
    for bar in evaluation.slices:
        measured = [row for row in slices if row.get("by") == bar.by and row.get("metric") == bar.metric]
        rows.extend(
            _row(
                f"{bar.metric} where {bar.by} = {row['value']}",
                row.get("score"),
                f">= {bar.min:g}",
                _at_least(row.get("score"), bar.min),
            )
            for row in measured
            if row.get("rows", 0) >= bar.minRows
        )
    return tuple(rows)


def _gate(
    gate: Gate, metrics: Mapping[str, float], champion: Mapping[str, float] | None, problem: str | None
) -> dict[str, Any]:
    value = metrics.get(gate.metric)
    if gate.comparedTo == "live":
        allowed = gate.maxDrop or 0.0
        if champion is None:
            return _row(f"{gate.metric} against live", value, "nothing is live", True)
        live = champion.get(gate.metric)
        unknown = f"unknown: {problem}; lift this gate for one commit if that is meant" if problem else "not measured"
        bar = f">= {live:.4f} - {allowed:g} (live, same rows)" if live is not None else unknown
        return _row(f"{gate.metric} against live", value, bar, live is not None and _at_least(value, live - allowed))
    parts = [
        *([f">= {gate.min:g}"] if gate.min is not None else []),
        *([f"<= {gate.max:g}"] if gate.max is not None else []),
    ]
    passed = (gate.min is None or _at_least(value, gate.min)) and (
        gate.max is None or (value is not None and value <= gate.max)
    )
    return _row(gate.metric, value, " and ".join(parts), passed)


def _at_least(value: float | None, bar: float) -> bool:
    return value is not None and value >= bar


def _row(gate: str, value: float | None, bar: str, passed: bool) -> dict[str, Any]:
    shown = "not measured" if value is None else f"{value:.4f}"
    return {"gate": gate, "value": value, "bar": bar, "passed": passed, "message": f"{gate} = {shown}, bar {bar}"}
