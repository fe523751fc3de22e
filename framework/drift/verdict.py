"""Which columns of a window drifted from the reference, with the numbers that say so. Pure.

Drift is a difference of distributions. It says nothing about whether predictions are still right: see
``framework.drift.performance`` for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from framework.api.meta import Stored
from framework.drift.bins import NotComparableError, align
from framework.drift.calibration import DriftLimit, limit, movements, reach
from framework.drift.statistics import STATISTICS
from framework.drift.summaries import outside_of, rows_of
from framework.ports import ColumnSummary, ReferenceProfile

CONSPICUOUS = 0.01
"""A share of the rows that is worth a word."""


class DriftFinding(StrEnum):
    DRIFT = "Drift"
    NO_DRIFT = "NoDrift"
    INCONCLUSIVE = "Inconclusive"


class ColumnVerdict(Stored):
    """``value`` beyond ``limit`` is drift. ``limit`` is ``threshold`` or, if that is more, what ``natural`` movement
    and sampling ``noise`` reach together; all in the units of ``statistic``."""

    column: str
    finding: DriftFinding
    statistic: str
    value: float | None = None
    limit: float | None = None
    threshold: float
    natural: float | None = None
    noise: float | None = None
    rows: int = 0
    reference_rows: int = 0
    message: str = ""


class DriftVerdict(Stored):
    """``columns`` with the drifted ones first, farthest beyond their limit first. ``alpha`` is the chance of a false
    alarm that each column was given, so that the whole window keeps ``falseAlarmRate``."""

    finding: DriftFinding
    columns: tuple[ColumnVerdict, ...]
    rows: int
    alpha: float

    @property
    def drifted(self) -> tuple[ColumnVerdict, ...]:
        return tuple(column for column in self.columns if column.finding is DriftFinding.DRIFT)


@dataclass(frozen=True)
class DriftRules:
    """What the spec asks for. ``columns`` None means every column of the reference."""

    threshold: float
    false_alarm_rate: float
    min_rows: int
    statistic: str = "psi"
    statistics: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None


def judge_window(rules: DriftRules, reference: ReferenceProfile, window: Mapping[str, ColumnSummary]) -> DriftVerdict:
    """Judge every column; the false alarm rate is split evenly over them (Bonferroni)."""
    names = rules.columns if rules.columns is not None else tuple(sorted(reference.whole))
    alpha = rules.false_alarm_rate / max(1, len(names))
    verdicts = [_judge(name, rules, reference, window, alpha) for name in names]
    verdicts.sort(key=_rank)
    rows = max((round(rows_of(column)) for column in window.values()), default=0)
    return DriftVerdict(finding=_overall(verdicts), columns=tuple(verdicts), rows=rows, alpha=alpha)


def _overall(verdicts: list[ColumnVerdict]) -> DriftFinding:
    findings = {verdict.finding for verdict in verdicts}
    return next(
        (item for item in (DriftFinding.DRIFT, DriftFinding.NO_DRIFT) if item in findings), DriftFinding.INCONCLUSIVE
    )


def _rank(verdict: ColumnVerdict) -> tuple[int, float, str]:
    order = (DriftFinding.DRIFT, DriftFinding.NO_DRIFT, DriftFinding.INCONCLUSIVE).index(verdict.finding)
    beyond = (verdict.value or 0.0) / verdict.limit if verdict.limit else 0.0
    return order, -beyond, verdict.column


def _judge(
    name: str, rules: DriftRules, reference: ReferenceProfile, window: Mapping[str, ColumnSummary], alpha: float
) -> ColumnVerdict:
    chosen = rules.statistics.get(name, rules.statistic)
    statistic, before, after = STATISTICS[chosen], reference.whole.get(name), window.get(name)
    unknown = ColumnVerdict(
        column=name, finding=DriftFinding.INCONCLUSIVE, statistic=chosen, threshold=rules.threshold, message=""
    )
    if before is None or after is None:
        where = "the reference" if before is None else "the window"
        return unknown.model_copy(update={"message": f"not in {where}"})
    rows, reference_rows = round(rows_of(after)), round(rows_of(before))
    unknown = unknown.model_copy(update={"rows": rows, "reference_rows": reference_rows})
    if rows < rules.min_rows:
        return unknown.model_copy(update={"message": f"{rows:,} rows; needs {rules.min_rows:,}"})
    try:
        bins = align(before, after, ordered=statistic.ordered)
    except NotComparableError as error:
        return unknown.model_copy(update={"message": str(error)})
    value = statistic.distance(bins)
    bound = limit(statistic, bins, movements(statistic, name, reference.periods), rules.threshold, alpha)
    judged = unknown.model_copy(
        update={"value": value, "limit": bound.value, "natural": bound.natural, "noise": bound.noise}
    )
    if bound.value >= reach(statistic, bins):
        message = f"moves so much by itself that no {chosen} would exceed {bound.value:.3g}"
        return judged.model_copy(update={"message": message})
    if value > bound.value:
        words = (f"{chosen} {value:.3g} beyond {_explained(bound)}", *_conspicuous(before, after))
        return judged.model_copy(update={"finding": DriftFinding.DRIFT, "message": "; ".join(words)})
    if bins.blurred:
        message = "has too many categories to be named, and none of them is frequent"
        return judged.model_copy(update={"message": message})
    message = f"{chosen} {value:.3g} within {_explained(bound)}"
    return judged.model_copy(update={"finding": DriftFinding.NO_DRIFT, "message": message})


def _explained(bound: DriftLimit) -> str:
    """The limit, and why it is more than the spec's threshold where it is."""
    if bound.value <= bound.threshold:
        return f"{bound.value:.3g}"
    alone = f"{bound.noise:.3g} by sampling"
    moves = alone if bound.natural is None else f"{bound.natural:.3g} by itself and {alone}"
    return f"{bound.value:.3g} (it moves {moves}; the threshold is {bound.threshold:g})"


def _conspicuous(before: ColumnSummary, after: ColumnSummary) -> Iterator[str]:
    """What is easily told of how a column drifted."""
    missing = before.nulls / before.count, after.nulls / after.count
    if abs(missing[1] - missing[0]) >= CONSPICUOUS:
        yield f"{missing[0]:.1%} missing in training, {missing[1]:.1%} now"
    outside = outside_of(before, after) / after.count
    if outside >= CONSPICUOUS:
        yield f"{outside:.1%} where training has nothing"
