"""Whether a trained model may serve: its measured metrics against the bars of the spec. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from framework.api.fairness import bar_name, group_name
from framework.api.metrics import Measures, bare, measure_of, written
from framework.api.perturbations import amount_of, check_name
from framework.api.printing import number
from framework.kinds.training_job.evaluation import Evaluation, Fairness, Gate, Robustness, Slice
from framework.kinds.training_job.recipe import KEY
from framework.ports import ModelVersion

_MOST_GROUPS = 6
"""That a message names."""
_NOT_FINITE = "not_finite"
"""What the training workload calls it; a test holds the two together."""
JUDGED = (
    "champion_metrics",
    "champion_told",
    "paired_metrics",
    "comparisons",
    "intervals",
    "slices",
    "fairness",
    "robustness",
    "hints",
)
"""What of a run's result is kept with the version beside its metrics: what bars go by, and what is told with them."""


def compares(evaluation: Evaluation) -> bool:
    """Whether some bar is against the live model, so that this has to be measured, too."""
    return any(gate.comparedTo == "live" for gate in evaluation.gates)


def judged(evaluation: Evaluation, version: ModelVersion) -> tuple[dict[str, Any], ...]:
    """``judge`` of a version by what was measured when it was trained, and whether it has the form that it was required
    to have."""
    bars = judge(evaluation, version.metrics, version.lineage)
    return (*bars, *_required_form(version.lineage))


def _required_form(lineage: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    asked = ((lineage.get(KEY) or {}).get("spec") or {}).get("export") or {}
    if asked.get("onnx") == "required":
        made = (lineage.get("forms") or {}).get("onnx") or {"passed": False, "reason": "it was not made"}
        value, bar = made.get("deviation"), f"<= {made.get('bound', 0):g} from what the model answers"
        verdict = "answers as the model does" if made["passed"] else f"may not serve: {made['reason']}"
        yield {
            "gate": "onnx",
            "value": value,
            "bar": bar,
            "passed": made["passed"],
            "message": f"the graph of ONNX {verdict}",
        }


def failed(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """What there is to say of bars that were not passed."""
    return [row["message"] for row in gates if not row["passed"]]


def fairness_of(evaluation: Evaluation, gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """What there is to say of bars on fairness that were passed: what each group has is told wherever a version is."""
    names = {bar_name(bar.metric, bar.loss, bar.attribute) for bar in evaluation.fairness}
    return [row["message"] for row in gates if row["passed"] and row["gate"] in names]


def best(evaluation: Evaluation, versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """Of builds of one identity, newest first, the newest that passes; where none does, the newest."""
    passing = (version for version in versions if not failed(judged(evaluation, version)))
    return next(passing, next(iter(versions), None))


def judge(
    evaluation: Evaluation, metrics: Mapping[str, float], known: Mapping[str, Any] = MappingProxyType({})
) -> tuple[dict[str, Any], ...]:
    """One row per bar: ``{gate, value, bar, passed, message}``, and one for answers that are no numbers, if there are.

    A bar against the live model passes when nothing is live yet. A metric that was not measured fails its bar, because
    a bar that cannot be checked must not let a model through.

    Args:
        metrics: of the test rows; ``not_finite`` among them says how many answers to these were NaN or infinite.
        known: what else was measured, as a version's lineage has it, each left out where it was not:
            champion_metrics, the live model's on the same rows, champion_problem, why it was not measured, and
            champion_deployment, whose it is; champion_told, on what else it was measured, and paired_metrics on that;
            comparisons, by metric how much better the version is than the live model, with ``quantiles`` of that at
            steps of 0.005; slices, rows {by, value, metric, score, rows}: a bar that none of them is large enough for
            fails, too; fairness and robustness, see these workloads.
    """
    unscored = int(metrics.get(_NOT_FINITE, 0))
    why = f"{unscored:,} answers to test rows are not finite" if unscored else ""
    own = evaluation.own
    undefined = {one.name: f"{one.entrypoint} gave no finite number" for one in evaluation.metrics}
    rows = [_gate(gate, metrics, known, why or undefined.get(bare(gate.metric), ""), own) for gate in evaluation.gates]
    for bar in evaluation.slices:
        measured = [
            row for row in known.get("slices") or () if row.get("by") == bar.by and row.get("metric") == bar.metric
        ]
        rows += _slice_rows(bar, measured, why or undefined.get(bar.metric, ""))
    rows += [_fairness_row(item, known.get("fairness") or ()) for item in evaluation.fairness]
    rows += [_robustness_row(check, known.get("robustness") or (), own) for check in evaluation.robustness]
    counted = [name for name in (_NOT_FINITE, f"validation_{_NOT_FINITE}") if name in metrics]
    return (*rows, *(_unscored(name, int(metrics[name])) for name in counted))


def _unscored(name: str, count: int) -> dict[str, Any]:
    told = f"{count:,} answers to {'validation' if name.startswith('validation') else 'test'} rows are not finite"
    return {"gate": "every answer is a number", "value": float(count), "bar": "0", "passed": False, "message": told}


def _gate(
    gate: Gate, metrics: Mapping[str, float], known: Mapping[str, Any], why: str, own: Measures
) -> dict[str, Any]:
    """``why`` says why there may be no value."""
    metric = written(gate.metric, own)
    value = metrics.get(metric)
    why = why if value is None else ""
    if gate.comparedTo is None:
        return _row(gate.metric, value, _bar(gate.min, gate.max), _within(value, gate.min, gate.max), why)
    name, problem = f"{gate.metric} against live", known.get("champion_problem")
    champion: Mapping[str, float] | None = known.get("champion_metrics")
    if champion is None:
        return _row(name, value, "nothing is live", True, why)
    other = known.get("champion_deployment")
    if gate.deployment is not None and other not in (None, gate.deployment):
        told = f"unknown: it was compared with the live model of ModelDeployment/{other}, not of {gate.deployment}"
        return _row(name, value, told, False, why)
    value = (known.get("paired_metrics") or {}).get(metric, value)
    live = champion.get(metric)
    if live is None:
        unknown = f"unknown: {problem}; lift this gate for one commit if that is meant" if problem else "not measured"
        return _row(name, value, unknown, False, why)
    loss, allowed = measure_of(gate.metric, own).loss, gate.maxDrop or gate.maxRise or 0.0
    sign = "<= {:.4f} + {:g}" if loss else ">= {:.4f} - {:g}"
    bar = f"{sign.format(live, allowed)} (live, {known.get('champion_told') or 'same rows'})"
    passed = _within(value, None, live + allowed) if loss else _within(value, live - allowed, None)
    spread = (known.get("comparisons") or {}).get(metric, {}).get("quantiles")
    if spread:
        bar += f"; difference {_at(spread, 0.025):+.4f} to {_at(spread, 0.975):+.4f} in 95 of 100 draws"
    if gate.confidence is None:
        return _row(name, value, bar, passed, why)
    if not spread:
        return _row(name, value, f"{bar}, sure by {gate.confidence:g}: how sure it is was not measured", False, why)
    worst = _at(spread, gate.confidence if loss else 1 - gate.confidence)
    sure = worst <= allowed if loss else worst >= -allowed
    return _row(name, value, f"{bar}, sure by {gate.confidence:g}: at worst {worst:+.4f}", passed and sure, why)


def _at(quantiles: Sequence[float], level: float) -> float:
    """Of quantiles at 0.005, 0.01, ..., 0.995 the one nearest to ``level``."""
    return float(quantiles[min(max(round(level * (len(quantiles) + 1)) - 1, 0), len(quantiles) - 1)])


def _slice_rows(bar: Slice, measured: Sequence[Mapping[str, Any]], why: str) -> Iterator[dict[str, Any]]:
    name, bound = f"{bar.metric} where {bar.by} =", _bar(bar.min, bar.max)
    large = [row for row in measured if row.get("value") is not None and row.get("rows", 0) >= bar.minRows]
    for row in large:
        score = row.get("score")
        told = why if score is None else worst_of(row) if "of" in row else ""
        yield _row(f"{name} {row['value']}", score, bound, _within(score, bar.min, bar.max), told)
    if not large:
        largest = max((row.get("rows", 0) for row in measured), default=0)
        small = f"no part has {bar.minRows:,} test rows, the largest has {largest:,}"
        yield _row(f"{bar.metric} by {bar.by}", None, bound, False, small)


def worst_of(row: Mapping[str, Any]) -> str:
    """``the worst of 3 parts, 800 rows, 0.5812 to 0.6634 in 95 of 100 draws``."""
    parts = [f"the worst of {row['of']:,} parts"] if row["of"] > 1 else []
    ends = row.get("interval")
    drawn = [f"{number(ends[0])} to {number(ends[1])} in 95 of 100 draws"] if ends else []
    return ", ".join([*parts, f"{row['rows']:,} rows", *drawn])


def _fairness_row(bar: Fairness, measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    asked = {"attribute": bar.attribute, "metric": bar.metric.value, "loss": bar.loss, "minRows": bar.minRows}
    row = next((row for row in measured if {key: row.get(key) for key in asked} == asked), None)
    name = bar_name(bar.metric, bar.loss, bar.attribute)
    value, problem = (row.get("value"), row.get("problem") or "") if row is not None else (None, "")
    told = of_groups(row["groups"]) if row is not None and not problem else problem
    return _row(name, value, _bar(None, bar.max), _within(value, None, bar.max), told)


def _robustness_row(check: Robustness, measured: Sequence[Mapping[str, Any]], own: Measures) -> dict[str, Any]:
    name, amount = check_name(check.metric, check.perturb, check.amount), amount_of(check.perturb, check.amount)
    asked: dict[str, Any] = {"perturb": check.perturb.value, "amount": amount, "metric": check.metric}
    columns = None if check.columns == "all" else list(check.columns)
    row = next(
        (
            row
            for row in measured
            if {key: row.get(key) for key in asked} == asked and columns in (None, row.get("columns"))
        ),
        {},
    )
    value, clean = row.get("value"), row.get("clean")
    loss, allowed = measure_of(check.metric, own).loss, check.maxDrop or check.maxRise or 0.0
    if value is None or clean is None:
        bar = f"{'a rise' if loss else 'a drop'} of at most {allowed:g}"
        return _row(name, None, bar, False, str(row.get("problem") or ""))
    sign = "<= {:.4f} + {:g}" if loss else ">= {:.4f} - {:g}"
    passed = value <= clean + allowed if loss else value >= clean - allowed
    return _row(name, value, f"{sign.format(clean, allowed)} (the rows as they are)", passed)


def of_groups(groups: Sequence[Mapping[str, Any]]) -> str:
    """``selection_rate EWR 0.5210, JFK 0.2100``: the values of each group, of many those furthest apart."""
    told = []
    for name in groups[0]["values"]:
        ranked = sorted(groups, key=lambda row: -row["values"][name])
        shown = groups if len(groups) <= _MOST_GROUPS else (ranked[0], ranked[-1])
        rest = f", {len(groups) - 2} in between" if len(groups) > _MOST_GROUPS else ""
        each = [f"{group_name(row['group'])} {number(row['values'][name])}" for row in shown]
        told.append(f"{name} {', '.join(each)}{rest}")
    return "; ".join(told)


def _bar(least: float | None, most: float | None) -> str:
    parts = [f">= {least:g}"] if least is not None else []
    return " and ".join([*parts, *([f"<= {most:g}"] if most is not None else [])])


def _within(value: float | None, least: float | None, most: float | None) -> bool:
    return value is not None and (least is None or value >= least) and (most is None or value <= most)


def _row(gate: str, value: float | None, bar: str, passed: bool, told: str = "") -> dict[str, Any]:
    """``told`` says more of the value, or why there is none."""
    shown = f"{'not measured' if value is None else f'{value:.4f}'}{f' ({told})' if told else ''}"
    return {"gate": gate, "value": value, "bar": bar, "passed": passed, "message": f"{gate} = {shown}, bar {bar}"}
