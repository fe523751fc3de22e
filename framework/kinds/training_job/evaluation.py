"""The bars of a TrainingJob, and what is measured for them, as a user writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fairness import FairnessMetric
from framework.api.fields import DurationOrZero, Entrypoint, exactly_one, ordered
from framework.api.meta import Name, Strict
from framework.api.metrics import CV, NO_OWN, Measures, MetricOrOwn, OwnName, bare, measure_of, own_measures
from framework.api.perturbations import PERTURBATIONS, Perturbation


class Gate(Strict):
    """A bar on a test metric: absolute (``min``, ``max``), or against the live model on the same rows."""

    metric: MetricOrOwn = Field(
        description="What is measured on the test part; cv_ and a metric: the mean over the folds of crossValidation"
    )
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
        if self.comparedTo is not None and self.metric.startswith(CV):
            raise ValueError(f"{self.metric} is of folds that the live model was not fitted on: bound it by min or max")
        if self.comparedTo is not None and bare(self.metric) != self.metric:
            raise ValueError(f"models are compared on the test rows: write metric: {bare(self.metric)}")
        if self.comparedTo is not None and (self.min is not None or self.max is not None):
            raise ValueError(f"comparedTo needs {_needed(self.metric)} and excludes min and max")
        if self.comparedTo is None:
            if self.maxDrop is not None or self.maxRise is not None:
                raise ValueError(f"{'maxDrop' if self.maxRise is None else 'maxRise'} needs comparedTo")
            if self.min is None and self.max is None:
                raise ValueError("a gate needs min, max or comparedTo")
        for wrong in self.misdirected(NO_OWN):
            raise ValueError(wrong)
        if self.comparedTo is not None:
            if self.maxDrop is None and self.maxRise is None:
                raise ValueError(f"comparedTo needs {_needed(self.metric)} and excludes min and max")
        else:
            ordered(self, "min", "max")
        for name in ("confidence", "deployment"):
            if getattr(self, name) is not None and self.comparedTo is None:
                raise ValueError(f"{name} needs comparedTo")
        return self

    def misdirected(self, own: Measures) -> Iterator[str]:
        """Why the bar is on the side where the model is good. Nothing where nobody knows the metric, which ``own`` may
        hold."""
        loss = _loss(self.metric, own)
        if loss is None:
            return
        if self.comparedTo is None:
            yield from _unbounded(self.metric, loss, self.min, self.max)
            return
        yield from _worse(self.metric, loss, self.maxDrop, self.maxRise)


def _needed(metric: str) -> str:
    return {None: "maxDrop or maxRise", True: "maxRise", False: "maxDrop"}[_loss(metric, NO_OWN)]


def _loss(metric: str, own: Measures) -> bool | None:
    try:
        return measure_of(bare(metric), own).loss
    except KeyError:
        return None


def _worse(metric: str, loss: bool, drop: float | None, rise: float | None) -> Iterator[str]:
    """How much worse a metric may be has to be bounded on the side where it gets worse."""
    needed, other = ("maxRise", "maxDrop") if loss else ("maxDrop", "maxRise")
    if (drop if loss else rise) is not None:
        better = "smaller" if loss else "larger"
        yield f"{metric} is better when {better}: bound it with {needed}, not {other}"


def _unbounded(metric: str, loss: bool, least: float | None, most: float | None) -> Iterator[str]:
    """A bar has to have a bound on the side where the model is bad, or the worst one passes it."""
    if loss and most is None:
        yield f"{metric} is better when smaller: bound it with max"
    if not loss and least is None:
        yield f"{metric} is better when larger: bound it with min"


class Slice(Strict):
    """A bar that every part of the test rows must pass for itself. Where no part has enough rows, it fails."""

    by: str = Field(description="The column whose values make the parts")
    metric: MetricOrOwn = Field(description="What is measured on each part")
    min: float | None = Field(None, description="The least that passes, of a metric that is better when larger")
    max: float | None = Field(None, description="The most that passes, of a metric that is better when smaller")
    minRows: int = Field(1, ge=1, description="Parts with fewer test rows are not judged")

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if bare(self.metric) != self.metric:
            raise ValueError(f"slices are parts of the test rows: write metric: {bare(self.metric)}")
        for wrong in self.misdirected(NO_OWN):
            raise ValueError(wrong)
        exactly_one(self, "min", "max")
        return self

    def misdirected(self, own: Measures) -> Iterator[str]:
        """As of a ``Gate``."""
        loss = _loss(self.metric, own)
        if loss is not None:
            yield from _unbounded(self.metric, loss, self.min, self.max)


class Fairness(Strict):
    """A bound on how differently groups of people are treated. Where there are no two groups to compare, it fails."""

    attribute: str = Field(description="The column whose values make the groups; it need not be an input")
    metric: FairnessMetric = Field(
        description="Largest difference between two groups: of the share predicted positive, of the share of the "
        "positives that is found, of either that or the false alarms, or of a loss"
    )
    loss: MetricOrOwn | None = Field(
        None,
        description="For group_loss_difference, which loss, one of metrics or cost among them; default: rmse, pinball, "
        "or of classes log_loss",
    )
    max: float = Field(ge=0, description="The most that passes: of shares 0 to 1, of a loss in its own unit")
    minRows: int = Field(1, ge=1, description="Groups with fewer test rows are not compared")

    @model_validator(mode="after")
    def _of_loss(self) -> Self:
        if self.loss is None:
            return self
        if self.metric is not FairnessMetric.GROUP_LOSS:
            raise ValueError(f"loss is for {FairnessMetric.GROUP_LOSS}, not for {self.metric}")
        if bare(self.loss) != self.loss:
            raise ValueError(f"groups are parts of the test rows: write loss: {bare(self.loss)}")
        for wrong in self.misdirected(NO_OWN):
            raise ValueError(wrong)
        return self

    def misdirected(self, own: Measures) -> Iterator[str]:
        """Why its loss is none. Nothing where nobody knows the metric, which ``own`` may hold."""
        if self.loss is not None and _loss(self.loss, own) is False:
            yield f"{self.loss} is no loss: it is better when larger"


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
    metric: MetricOrOwn = Field(description="What is measured, with and without")
    maxDrop: float | None = Field(None, ge=0, description="How much less still passes")
    maxRise: float | None = Field(
        None, ge=0, description="For a metric that is better when smaller: how much more still passes"
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if bare(self.metric) != self.metric:
            raise ValueError(f"the test rows are disturbed: write metric: {bare(self.metric)}")
        for wrong in self.misdirected(NO_OWN):
            raise ValueError(wrong)
        if (self.maxDrop is None) == (self.maxRise is None):
            raise ValueError(f"robustness in {self.metric} needs {_needed(self.metric)}")
        most = PERTURBATIONS[self.perturb].most
        if self.amount is not None and not self.amount <= most:
            raise ValueError(f"amount of {self.perturb} is a share: {most:g} at most, found {self.amount:g}")
        if self.columns != "all" and len(set(self.columns)) < max(len(self.columns), 1):
            raise ValueError("columns names inputs, each once, or all")
        return self

    def misdirected(self, own: Measures) -> Iterator[str]:
        """As of a ``Gate``."""
        loss = _loss(self.metric, own)
        if loss is not None:
            yield from _worse(self.metric, loss, self.maxDrop, self.maxRise)


class OwnMetric(Strict):
    """A metric that a function of the repository measures."""

    name: OwnName = Field(description="What bars, tune and earlyStopping call it")
    entrypoint: Entrypoint = Field(
        description="package.module:attribute, called with (truth, answers, rows); returns a number"
    )
    better: Literal["larger", "smaller"] = Field(description="Which values are the good ones")
    columns: tuple[str, ...] = Field((), description="Columns of the training set that the function is given as rows")


class CrossValidation(Strict):
    """Fits on parts of the train and validation rows, each measured on rows that it has not seen. split.by says how
    the rows are divided; by time, each fit learns from all that is earlier than what it is measured on."""

    folds: int = Field(5, ge=2, le=50, description="How many fits")
    gap: DurationOrZero | None = Field(
        None,
        description="For split.by: time, how long before what it is measured on a fit learns no more; default: "
        "that of dataset.split",
    )


Price = Annotated[float, Field(allow_inf_nan=False)]


class Evaluation(Strict):
    """What a model must achieve to be deployable. One that fails is recorded, and never serves."""

    gates: tuple[Gate, ...] = Field((), description="Bars on the whole test part")
    slices: tuple[Slice, ...] = Field((), description="Bars on parts of the test rows")
    fairness: tuple[Fairness, ...] = Field((), description="Bounds on differences between groups")
    robustness: tuple[Robustness, ...] = Field((), description="Bars on disturbed test rows")
    importance: Literal["auto", "always", "never"] = Field(
        "auto", description="What the model goes by, told on its card; auto: where a run takes hardly longer for it"
    )

    metrics: tuple[OwnMetric, ...] = Field((), description="Metrics of your own")
    costs: dict[str, dict[str, Price]] | None = Field(
        None,
        description="What a row costs by its true class and the predicted one, 0 where nothing is said; the metric "
        "cost is the mean over the rows",
    )
    crossValidation: CrossValidation | None = Field(
        None, description="Metrics of several fits beside that of the model, under cv_; default: none"
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        named = sorted({gate.deployment for gate in self.gates if gate.deployment is not None})
        if len(named) > 1:
            raise ValueError(f"gates compare with the live models of {' and '.join(named)}: a run compares with one")
        names = [one.name for one in self.metrics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"metrics has {twice} twice")
        if self.costs is not None and not any(price for prices in self.costs.values() for price in prices.values()):
            raise ValueError("costs must name something that costs")
        return self

    @property
    def own(self) -> Measures:
        """Metrics that are measured here and nowhere else."""
        return own_measures({"metrics": [one.model_dump() for one in self.metrics], "costs": self.costs})

    @property
    def deployment(self) -> str | None:
        """Whose live model gates compare with, where they say so."""
        return next((gate.deployment for gate in self.gates if gate.deployment is not None), None)
