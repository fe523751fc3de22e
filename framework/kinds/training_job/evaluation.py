"""The bars of a TrainingJob as a user writes them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.fairness import FairnessMetric
from framework.api.fields import exactly_one, ordered
from framework.api.meta import Name, Strict
from framework.api.metrics import Metric, measure_of
from framework.api.perturbations import PERTURBATIONS, Perturbation


class Gate(Strict):
    """A bar on a test metric: absolute (``min``, ``max``), or against the live model on the same rows."""

    metric: Metric = Field(description="What is measured on the test part")
    min: float | None = Field(None, description="The least that passes")
    max: float | None = Field(None, description="The most that passes")
    comparedTo: Literal["live"] | None = Field(
        None, description="live: the model that serves now, on the same test rows"
    )
    deployment: Name | None = Field(
        None,
        description="Whose live model; to be said where several deployments serve models of this job",
    )
    maxDrop: float | None = Field(None, ge=0, description="How much below the live model's metric still passes")
    maxRise: float | None = Field(
        None, ge=0, description="For a metric that is better when smaller: how much above the live model's still passes"
    )
    confidence: float | None = Field(
        None,
        ge=0.5,
        le=0.99,
        description="How sure that must be, by a paired bootstrap; default: the values alone",
    )

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.comparedTo is not None:
            needed = _allowed(self.metric, self.maxDrop, self.maxRise)
            if getattr(self, needed) is None or self.min is not None or self.max is not None:
                raise ValueError(f"comparedTo needs {needed} and excludes min and max")
        elif self.maxDrop is not None or self.maxRise is not None:
            raise ValueError(f"{'maxDrop' if self.maxRise is None else 'maxRise'} needs comparedTo")
        elif self.min is None and self.max is None:
            raise ValueError("a gate needs min, max or comparedTo")
        else:
            _bounded(self.metric, self.min, self.max)
            ordered(self, "min", "max")
        for name in ("confidence", "deployment"):
            if getattr(self, name) is not None and self.comparedTo is None:
                raise ValueError(f"{name} needs comparedTo")
        return self


def _allowed(metric: str, drop: float | None, rise: float | None) -> str:
    """The name of the bound on how much worse a metric may be.

    Raises:
        ValueError: it is bounded on the side where it gets better.
    """
    loss = measure_of(metric).loss
    needed, other = ("maxRise", "maxDrop") if loss else ("maxDrop", "maxRise")
    if (drop if loss else rise) is not None:
        better = "smaller" if loss else "larger"
        raise ValueError(f"{metric} is better when {better}: bound it with {needed}, not {other}")
    return needed


def _bounded(metric: str, least: float | None, most: float | None) -> None:
    """A bar has to have a bound on the side where the model is bad, or the worst one passes it.

    Raises:
        ValueError: it has none.
    """
    loss = measure_of(metric).loss
    if loss and most is None:
        raise ValueError(f"{metric} is better when smaller: bound it with max")
    if not loss and least is None:
        raise ValueError(f"{metric} is better when larger: bound it with min")


class Slice(Strict):
    """A bar that every part of the test rows must pass for itself. Where no part has enough rows, it fails."""

    by: str = Field(description="The column whose values make the parts")
    metric: Metric = Field(description="What is measured on each part")
    min: float | None = Field(None, description="The least that passes, of a metric that is better when larger")
    max: float | None = Field(None, description="The most that passes, of a metric that is better when smaller")
    minRows: int = Field(1, ge=1, description="Parts with fewer test rows are not judged")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        _bounded(self.metric, self.min, self.max)
        exactly_one(self, "min", "max")
        return self


class Fairness(Strict):
    """A bound on how differently groups of people are treated. Where there are no two groups to compare, it fails."""

    attribute: str = Field(description="The column whose values make the groups; it need not be an input")
    metric: FairnessMetric = Field(
        description="Largest difference between two groups: of the share predicted positive, of the share of the "
        "positives that is found, of either that or the false alarms, or of a loss"
    )
    loss: Metric | None = Field(
        None, description="For group_loss_difference, which loss; default: rmse, pinball, or of classes log_loss"
    )
    max: float = Field(ge=0, description="The most that passes: of shares 0 to 1, of a loss in its own unit")
    minRows: int = Field(1, ge=1, description="Groups with fewer test rows are not compared")

    @model_validator(mode="after")
    def _of_loss(self) -> Self:
        if self.loss is None:
            return self
        if self.metric is not FairnessMetric.GROUP_LOSS:
            raise ValueError(f"loss is for {FairnessMetric.GROUP_LOSS}, not for {self.metric}")
        if not measure_of(self.loss).loss:
            raise ValueError(f"{self.loss} is no loss: it is better when larger")
        return self


class Robustness(Strict):
    """A bar on how much worse a model may be on test rows that were disturbed by chance, always the same one."""

    perturb: Perturbation = Field(
        description="noise is added to numbers, whole ones stay whole; values become missing, where they may; Strings "
        "become ones that training never saw"
    )
    amount: float | None = Field(
        None,
        gt=0,
        description="noise: in standard deviations of the column; else: the share of the values; default: 0.1",
    )
    columns: tuple[str, ...] | Literal["all"] = Field(
        "all", description="The inputs that it is done to; all: every one that it can be done to"
    )
    metric: Metric = Field(description="What is measured, with and without")
    maxDrop: float | None = Field(None, ge=0, description="How much less still passes")
    maxRise: float | None = Field(
        None, ge=0, description="For a metric that is better when smaller: how much more still passes"
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        needed = _allowed(self.metric, self.maxDrop, self.maxRise)
        if getattr(self, needed) is None:
            raise ValueError(f"robustness in {self.metric} needs {needed}")
        most = PERTURBATIONS[self.perturb].most
        if self.amount is not None and not self.amount <= most:
            raise ValueError(f"amount of {self.perturb} is a share: {most:g} at most, found {self.amount:g}")
        if self.columns != "all" and len(set(self.columns)) < max(len(self.columns), 1):
            raise ValueError("columns names inputs, each once, or all")
        return self


class Evaluation(Strict):
    """What a model must achieve to be deployable. One that fails is recorded, and never serves."""

    gates: tuple[Gate, ...] = Field((), description="Bars on the whole test part")
    slices: tuple[Slice, ...] = Field((), description="Bars on parts of the test rows")
    fairness: tuple[Fairness, ...] = Field((), description="Bounds on differences between groups")
    robustness: tuple[Robustness, ...] = Field((), description="Bars on disturbed test rows")
    importance: Literal["auto", "always", "never"] = Field(
        "auto", description="What the model goes by, told on its card; auto: where a run takes hardly longer for it"
    )

    @model_validator(mode="after")
    def _one_champion(self) -> Self:
        named = sorted({gate.deployment for gate in self.gates if gate.deployment is not None})
        if len(named) > 1:
            raise ValueError(f"gates compare with the live models of {' and '.join(named)}: a run compares with one")
        return self

    @property
    def deployment(self) -> str | None:
        """Whose live model gates compare with, where they say so."""
        return next((gate.deployment for gate in self.gates if gate.deployment is not None), None)
