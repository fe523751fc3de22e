"""The bars of a TrainingJob, and what is measured for them, as a user writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import DurationOrZero, Entrypoint, exactly_one, ordered
from framework.api.meta import Strict
from framework.api.metrics import CV, NO_OWN, Measures, MetricOrOwn, OwnName, bare, measure_of, own_measures


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
        if self.confidence is not None and self.comparedTo is None:
            raise ValueError("confidence needs comparedTo")
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
        needed, other = ("maxRise", "maxDrop") if loss else ("maxDrop", "maxRise")
        if getattr(self, other) is not None:
            better = "smaller" if loss else "larger"
            yield f"{self.metric} is better when {better}: bound it with {needed}, not {other}"


def _needed(metric: str) -> str:
    return {None: "maxDrop or maxRise", True: "maxRise", False: "maxDrop"}[_loss(metric, NO_OWN)]


def _loss(metric: str, own: Measures) -> bool | None:
    try:
        return measure_of(bare(metric), own).loss
    except KeyError:
        return None


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
        if self.metric.startswith(CV):
            raise ValueError(f"{self.metric} is of folds, and a slice is a part of the test rows: leave out {CV}")
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
    """A bound on how differently groups of people are treated."""

    attribute: str = Field(description="The column whose values make the groups")
    metric: Literal["demographic_parity_difference", "equalized_odds_difference"] = Field(
        description="Largest difference between two groups: of the share predicted positive, or of the error rates"
    )
    max: float = Field(ge=0, le=1, description="The most that passes, as a difference of shares: 0 to 1")


class OwnMetric(Strict):
    """A metric that a function of the repository measures."""

    name: OwnName = Field(description="What gates, slices, tune and earlyStopping call it")
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
