"""What a fitted model is worth: a threshold where one is asked for, then everything that is measured of its answers to
rows that it has never seen. What a version says of its quality comes from here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from framework.answers import Matrix, ModelOutput
from framework.api.metrics import VALIDATION, bare, own_measures
from framework.api.tasks import Task
from framework.ports import TrainRequest
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training import decision, evaluation, fairness, labels, metrics, robustness
from framework.workloads.training.champion import LiveAnswers, live_answers
from framework.workloads.training.diagnosis import diagnose
from framework.workloads.training.importance import contributions, permutation
from framework.workloads.training.leakage import PartsLook, leakage
from framework.workloads.training.own_metrics import own_metrics
from framework.workloads.training.trainer import Artifact, TrainingData


@dataclass(frozen=True)
class Judged:
    """``metrics`` are those of the test rows, and under ``validation_`` those of the rows that the model was chosen on;
    ``champion`` the live model's on the same test rows, None where nothing is live, empty where ``problem`` says why it
    could not be asked. Where it was asked other than all test rows as they are, ``told`` says what, and ``paired`` are
    this model's metrics on those. ``importance`` and ``contributions`` None where the spec says never."""

    metrics: dict[str, float]
    champion: dict[str, float] | None
    problem: str
    told: str
    paired: dict[str, float]
    comparisons: dict[str, dict[str, Any]]
    intervals: dict[str, list[float]]
    slices: list[dict[str, Any]]
    fairness: list[dict[str, Any]]
    robustness: list[dict[str, Any]]
    importance: dict[str, Any] | None
    contributions: dict[str, Any] | None
    leakage: dict[str, Any]
    diagnosis: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        """As the run returns it."""
        return {
            "metrics": self.metrics,
            "champion_metrics": self.champion,
            "champion_told": self.told,
            "paired_metrics": self.paired,
            "comparisons": self.comparisons,
            "intervals": self.intervals,
            "slices": self.slices,
            "fairness": self.fairness,
            "robustness": self.robustness,
            "importance": self.importance,
            "contributions": self.contributions,
            "leakage": self.leakage,
            "hints": self.leakage["hints"],
            "diagnosis": self.diagnosis,
        }


def wanted(bars: Mapping[str, Any], task: Task) -> list[str]:
    """The metrics that a spec's ``evaluation`` names, as results have them.

    Raises:
        WorkloadError: "UnknownMetric", "PackageMissing": a bar that could not be measured once a model is there.
    """
    own = own_measures(bars)
    fairness.check(bars.get("fairness", ()), task, own)
    robustness.check(bars.get("robustness", ()), task, own)
    named = [bar["metric"] for bar in (*bars.get("gates", ()), *bars.get("slices", ()))]
    return list(dict.fromkeys(metrics.checked(bare(one), task, own) for one in named))


def decided(spec: Mapping[str, Any], output: ModelOutput, data: TrainingData, answers: Matrix) -> ModelOutput:
    """The output with the threshold that the spec's ``decision`` chooses on the validation rows; ``answers`` are those
    to them."""
    if spec.get("decision") is None or metrics.not_finite(answers):  # then no gate is passed anyway
        return output
    return replace(output, threshold=decision.threshold(spec["decision"], data.validation.y, answers))


def judge(
    asked: TrainRequest,
    artifact: Artifact,
    predictor: models.Predictor,
    output: ModelOutput,
    parts: Mapping[str, pl.DataFrame],
    data: TrainingData,
    validated: Matrix,
    wanted: Sequence[str],
    seen: PartsLook,
    beside: Executor,
) -> Judged:
    """
    Args:
        output: with its threshold, which ``predictor`` may have been opened without.
        parts: of the training set, by name.
        validated: the answers to the validation rows.
        wanted: metrics that the spec names, beside those of every model of the task.
        seen: what was seen of the parts before there was a model.
        beside: looks inside the model while its answers are measured.

    Raises:
        WorkloadError: what ``evaluation.slices`` and ``fairness`` raise.
    """
    spec, task, test = asked.spec, output.task, parts["test"]
    lists = labels.lists(test, spec["dataset"].get("query"), task)
    own, bars = data.own, spec["evaluation"]
    known = metrics.answered(output, output.truth(test), predictor.predict(test), lists, own, own.rows(test))
    spine = asked.views[spec["dataset"]["spine"]]
    looked, always = bars.get("importance") != "never", bars.get("importance") == "always"
    moved = explained = None
    if looked:
        moved = beside.submit(permutation, predictor, output, test, lists, asked.seed, always=always)
        explained = beside.submit(contributions, artifact, predictor.signature, test, asked.seed, always=always)
    live, champion = LiveAnswers(None, "nothing is live"), None
    if asked.champion is not None:
        live = live_answers(asked.champion, test, task, lists, spine.named_by)
        live = _measurable(live, asked.champion, bars, test)
        champion = {} if live.answered is None else metrics.measure(live.answered, also=wanted)
    chosen_by = metrics.validated(replace(data, output=output), validated)
    return Judged(
        metrics={**metrics.measure(known, also=wanted), **metrics.measure(chosen_by, VALIDATION, wanted)},
        champion=champion,
        problem=live.problem,
        told=live.told,
        paired={} if live.rows is None else metrics.measure(live.beside(known), also=wanted),
        comparisons=evaluation.comparisons(
            bars.get("gates", ()), live.beside(known), live.answered, asked.seed, also=asked.compare, own=own.measures
        ),
        slices=evaluation.slices(bars.get("slices", ()), test, known, asked.seed, own.measures),
        intervals=evaluation.intervals(wanted, known, asked.seed),
        fairness=fairness.fairness(bars.get("fairness", ()), test, known, own.measures),
        robustness=robustness.robustness(bars.get("robustness", ()), predictor, output, test, lists, asked.seed, own),
        importance=moved.result() if moved else None,
        contributions=explained.result() if explained else None,
        leakage=leakage(seen, known, spec["dataset"]["split"]["by"]),
        diagnosis=diagnose(known, output.classes),
    )


def _measurable(
    live: LiveAnswers, champion: Mapping[str, Any], bars: Mapping[str, Any], test: pl.DataFrame
) -> LiveAnswers:
    """With the metrics of the spec's own, which look at columns of the new training set."""
    if live.answered is None:
        return live
    try:
        own = own_metrics(bars, ModelOutput.of(champion["signature"]), test.columns)
    except WorkloadError as error:
        return LiveAnswers(None, f"the live model {champion['version']} cannot be measured: {error}")
    rows = own.rows(test if live.rows is None else test[live.rows])
    return replace(live, answered=replace(live.answered, own=own.functions, rows=rows))
