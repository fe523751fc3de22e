"""What the models of a branch are worth, for whoever decides about merging it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from framework.api.meta import Ref
from framework.planning.grammar.changes import FieldDiff
from framework.planning.reports.models import ModelDifference, ModelRow, compared, figures, is_loss
from framework.ports import Json, ModelVersion

SURE = 0.95
"""Of 100 draws of the test rows, in so many lies the difference within the interval that is shown."""
_TOLD = frozenset({"task", "parameters", "inputs", "rows", "data", "libraries"})
"""What is told of the differences between two models; metrics have a table of their own."""


class PreviewOutcome(StrEnum):
    """What became of one build."""

    BUILT = "built"
    """A run made it while somebody waited."""
    THERE = "there"
    """It was there already: nothing ran."""
    FAILED = "failed"
    """It could not be made."""
    UNDER_WAY = "under way"
    """Nobody waited any longer; what was started goes on."""


class PreviewVerdict(StrEnum):
    """A preview in one word."""

    PASSED = "passed"
    FAILED = "failed"
    """A gate was not passed, or something could not be built."""
    UNFINISHED = "unfinished"


@dataclass(frozen=True)
class PreviewCost:
    """Of one run: seconds, None where nobody knows, and what it takes of the cluster while it lasts."""

    seconds: float | None
    cpus: float
    gpus: float


@dataclass(frozen=True)
class PreviewedView:
    """A view as the branch has it, declared in ``file``. ``reason`` and ``message`` say why it failed, or what it waits
    for; ``rows`` and ``version`` are None while nothing is there. ``apart``: it lies in a folder of its own, because
    readers of the environment have the one that a merge would publish to."""

    ref: Ref
    outcome: PreviewOutcome
    file: str = ""
    reason: str = ""
    message: str = ""
    build: str = ""
    rows: int | None = None
    version: int | None = None
    cost: PreviewCost | None = None
    apart: bool = False


@dataclass(frozen=True)
class PreviewFigure:
    """One metric of the test rows, beside that of another model. ``difference`` is new less other, ``interval`` its
    bounds by a paired bootstrap (see ``SURE``), None where that was not drawn. ``loss``: better when smaller, None
    where nobody knows the metric."""

    name: str
    value: float | None
    other: float | None = None
    interval: tuple[float, float] | None = None
    loss: bool | None = None

    @property
    def difference(self) -> float | None:
        return None if self.value is None or self.other is None else self.value - self.other

    @property
    def word(self) -> str:
        """``better``, ``worse``, ``unclear`` where the interval holds 0, ``equal``, or nothing."""
        difference = self.difference
        if difference is None or self.loss is None:
            return ""
        if difference == 0:
            return "equal"
        if self.interval is not None and self.interval[0] <= 0 <= self.interval[1]:
            return "unclear"
        return "better" if (difference < 0) == self.loss else "worse"


@dataclass(frozen=True)
class PreviewBeside:
    """The model that a new one is compared with. ``role`` says what it is: ``live`` serves now, ``base`` is what the
    base asks for. ``same_rows``: both were measured on the same test rows; else figures of it are left out, and
    ``problem`` says why where somebody knows; ``told`` where these are not the test rows as they are."""

    row: ModelRow
    role: str
    same_rows: bool
    problem: str = ""
    told: str = ""


@dataclass(frozen=True)
class PreviewedJob:
    """A training job as the branch has it. ``diffs`` are the fields that differ from the base, ``differences`` those of
    the models; ``gates`` are rows {gate, value, bar, passed, message}, ``slices`` rows {by, value, metric, rows,
    score}, the worst first, ``fairness`` those of ``workloads.training.fairness``. ``model`` is None while there is
    none, ``beside`` where nothing is compared with it."""

    ref: Ref
    outcome: PreviewOutcome
    diffs: tuple[FieldDiff, ...] = ()
    file: str = ""
    reason: str = ""
    message: str = ""
    model: ModelRow | None = None
    beside: PreviewBeside | None = None
    figures: tuple[PreviewFigure, ...] = ()
    gates: tuple[Mapping[str, Any], ...] = ()
    slices: tuple[Mapping[str, Any], ...] = ()
    fairness: tuple[Mapping[str, Any], ...] = ()
    differences: tuple[ModelDifference, ...] = ()
    cost: PreviewCost | None = None
    cards: tuple[str, ...] = ()

    @property
    def failed_gates(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(gate for gate in self.gates if not gate["passed"])


@dataclass(frozen=True)
class PreviewReport:
    """``base`` and ``head`` are commits, ``head`` perhaps ``worktree``; ``seconds`` is how long it was waited."""

    environment: str
    base: str
    head: str
    views: tuple[PreviewedView, ...]
    jobs: tuple[PreviewedJob, ...]
    seconds: float

    @property
    def built(self) -> tuple[Ref, ...]:
        return self._of(PreviewOutcome.BUILT)

    def _of(self, outcome: PreviewOutcome) -> tuple[Ref, ...]:
        items: tuple[PreviewedView | PreviewedJob, ...] = (*self.views, *self.jobs)
        return tuple(item.ref for item in items if item.outcome is outcome)

    @property
    def verdict(self) -> PreviewVerdict:
        if self._of(PreviewOutcome.FAILED) or any(job.failed_gates for job in self.jobs):
            return PreviewVerdict.FAILED
        return PreviewVerdict.UNFINISHED if self._of(PreviewOutcome.UNDER_WAY) else PreviewVerdict.PASSED

    @property
    def conclusion(self) -> str:
        """In a sentence."""
        if not self.views and not self.jobs:
            return "the branch changes no feature view and no training job"
        wrong = [f"{job.ref}: {gate['message']}" for job in self.jobs for gate in job.failed_gates]
        lost, left = self._of(PreviewOutcome.FAILED), self._of(PreviewOutcome.UNDER_WAY)
        parts = [
            *([f"could not be built: {', '.join(map(str, lost))}"] if lost else []),
            *([f"{len(wrong)} gate{'s' if len(wrong) > 1 else ''} failed: {'; '.join(wrong)}"] if wrong else []),
            *([f"not finished, and goes on: {', '.join(map(str, left))}"] if left else []),
        ]
        if parts:
            return "; ".join(parts)
        if not self.built:
            return "nothing to train: all builds exist, and every gate is passed"
        return f"built {', '.join(map(str, self.built))}; every gate is passed"


def beside(
    model: ModelVersion, other: ModelRow | None, role: str, *, same_split: bool
) -> tuple[PreviewBeside | None, tuple[PreviewFigure, ...]]:
    """``model`` next to ``other``, None where there is none. Its run may have asked that one its own test rows; else
    what is on record of it counts where both were judged on the same rows: of equal training sets, ``same_split``."""
    if other is None or other.model.version == model.version:
        return None, tuple(PreviewFigure(one.name, one.test, loss=one.loss) for one in _tested(model))
    lineage, theirs = model.lineage, other.model.lineage
    asked = lineage.get("champion") == other.model.version
    measured: Mapping[str, float] = (lineage.get("champion_metrics") or {}) if asked else {}
    problem = str(lineage.get("champion_problem") or "") if asked and not measured else ""
    if not measured and same_split and lineage.get("dataset") and lineage.get("dataset") == theirs.get("dataset"):
        measured, problem = other.model.metrics, ""
    drawn = lineage.get("comparisons") or {} if asked else {}
    paired: Mapping[str, float] = (lineage.get("paired_metrics") or {}) if asked else {}
    found = tuple(
        PreviewFigure(
            one.name, paired.get(one.name, one.test), measured.get(one.name), _interval(drawn.get(one.name)), one.loss
        )
        for one in _tested(model)
    )
    told = str(lineage.get("champion_told") or "") if asked else ""
    return PreviewBeside(other, role, bool(measured), problem, told), found


def _tested(model: ModelVersion) -> Iterable[Any]:
    return (one for one in figures(model) if one.test is not None)


def differences(model: ModelRow, other: ModelRow | None) -> tuple[ModelDifference, ...]:
    """In what the new model differs from the other one, metrics aside."""
    if other is None:
        return ()
    return tuple(item for item in compared(other, model).differences if item.about in _TOLD)


def worst_first(slices: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """By bar, in the order of bars; within one the worst part first, and parts that could not be measured before it."""
    rows = [dict(row) for row in slices]
    bars = list(dict.fromkeys((row["by"], row["metric"]) for row in rows))

    def rank(row: Mapping[str, Any]) -> tuple[int, bool, float]:
        score, place = row.get("score"), bars.index((row["by"], row["metric"]))
        if score is None:
            return place, False, 0.0
        return place, True, -float(score) if row.get("loss", is_loss(row["metric"])) else float(score)

    return tuple(sorted(rows, key=rank))


def _interval(drawn: Json) -> tuple[float, float] | None:
    """``drawn`` has the quantiles of the difference at steps of 0.005."""
    quantiles = drawn.get("quantiles") if isinstance(drawn, Mapping) else None
    if not isinstance(quantiles, Sequence) or not quantiles:
        return None
    low, high = (_at(quantiles, level) for level in ((1 - SURE) / 2, (1 + SURE) / 2))
    return low, high


def _at(quantiles: Sequence[Any], level: float) -> float:
    return float(quantiles[min(max(round(level * (len(quantiles) + 1)) - 1, 0), len(quantiles) - 1)])
