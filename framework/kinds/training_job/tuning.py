"""The search for good parameters, as a user writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.api import spaces
from framework.api.fields import Duration, exactly_one, ordered
from framework.api.meta import Strict
from framework.api.metrics import NO_OWN, Measures, ValidationMetric, bare, measure_of

Range = tuple[float, float]
SteppedRange = tuple[float, float, float]
WholeRange = tuple[int, int]
SteppedWholeRange = tuple[int, int, int]
Values = Annotated[tuple[Any, ...], Field(min_length=1)]


class ParameterSpace(Strict):
    """One distribution of a parameter. Exactly one."""

    uniform: Range | None = Field(None, description="[low, high]: any number in between alike")
    quniform: SteppedRange | None = Field(
        None, description="[low, high, step]: multiples of step in between alike, both bounds among them"
    )
    loguniform: Range | None = Field(
        None, description="[low, high]: any number in between, every order of magnitude alike; low is above 0"
    )
    qloguniform: SteppedRange | None = Field(
        None, description="[low, high, step]: multiples of step, every order of magnitude alike"
    )
    randint: WholeRange | None = Field(None, description="[low, high): whole numbers, high left out")
    qrandint: SteppedWholeRange | None = Field(
        None, description="[low, high, step]: whole multiples of step in between alike, both bounds among them"
    )
    lograndint: WholeRange | None = Field(
        None, description="[low, high): whole numbers, every order of magnitude alike, high left out"
    )
    qlograndint: SteppedWholeRange | None = Field(
        None, description="[low, high, step]: whole multiples of step, every order of magnitude alike"
    )
    choice: Values | None = Field(None, description="One of these values")
    when: Annotated[dict[str, Values], Field(min_length=1)] | None = Field(
        None,
        description="The parameter exists only where each of these other searched ones has one of these values; "
        "elsewhere params decide; default: always",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        name = exactly_one(self, *(field for field in type(self).model_fields if field != spaces.WHEN))
        if name != spaces.NESTED:
            spaces.domain({name: getattr(self, name)})
        return self


class SearchSpace(ParameterSpace):
    """One distribution of a parameter, or those of each value of a mapping. Exactly one."""

    search: Annotated[dict[str, ParameterSpace], Field(min_length=1)] | None = Field(
        None, description="Of a parameter that is a mapping: a distribution by name of the value; params have the rest"
    )


class Latency(Strict):
    """How long the model takes to answer a single row, by itself: without reading a request or writing an answer."""

    max: Duration = Field(description="The most that the best trial may take: the median over single rows, e.g. 2ms")


class Constraint(Strict):
    """A bound that the best trial keeps. Exactly one of metric and latency."""

    metric: ValidationMetric | None = Field(None, description="What is bounded: validation_ and a metric of the task")
    min: float | None = Field(None, description="The least that the metric may be")
    max: float | None = Field(None, description="The most that the metric may be")
    latency: Latency | None = Field(None, description="How long the answer to a single row may take")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if exactly_one(self, "metric", "latency") == "metric":
            ordered(self, "min", "max")
        elif self.min is not None or self.max is not None:
            raise ValueError("min and max bound a metric; latency has a max of its own")
        return self


class Tune(Strict):
    """A search for good parameters before the final fit. Trials learn from the train part, and the validation part
    chooses."""

    search: dict[str, SearchSpace] = Field(
        min_length=1,
        description="What to vary: a distribution by name of the trainer's parameter; it goes before params",
    )
    metric: ValidationMetric = Field(
        "validation_auc", description="What the trials are compared by: validation_ and a metric of the task"
    )
    mode: Literal["max", "min"] = Field("max", description="Whether more of the metric is better, or less")
    trials: int = Field(10, ge=1, description="How many combinations are tried")
    concurrency: int = Field(1, ge=1, description="Trials at a time; with more than one the search is not reproducible")
    algorithm: Literal["optuna", "random", "grid", "hyperopt"] = Field(
        "optuna", description="How the next combination is chosen; grid tries every one of choices alone"
    )
    scheduler: Literal["asha", "hyperband", "pbt", "median", "none"] = Field(
        "asha",
        description="Which trials are stopped early; none lets each go to its end; pbt stops none, but has the worst "
        "go on from a model of the best with parameters slightly changed",
    )
    budget: Duration | None = Field(
        None, description="No trial starts or goes on after that long; default: trials alone decide"
    )

    constraints: tuple[Constraint, ...] = Field(
        (), description="Bounds on other metrics: the best trial is the best of those that keep all of them"
    )
    refit: Literal["train", "trainAndValidation"] = Field(
        "train",
        description="What the model learns from in the end; trainAndValidation: once more with what was found, of both",
    )

    @property
    def parameters(self) -> Mapping[str, spaces.Space]:
        """The space in the form that ``framework.api.spaces`` reads."""
        return {name: space.model_dump(mode="json", exclude_none=True) for name, space in self.search.items()}

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        wrong = self.misdirected(NO_OWN)
        if wrong is not None:
            raise ValueError(wrong)
        return self

    def misdirected(self, own: Measures) -> str | None:
        """Why ``mode`` does not suit the metric, which ``own`` may hold; None where it does, or nobody knows."""
        try:
            loss = measure_of(bare(self.metric), own).loss
        except KeyError:
            return None
        if loss == (self.mode == "min"):
            return None
        better = "smaller" if loss else "larger"
        return f"{self.metric} is better when {better}: mode must be {'min' if loss else 'max'}"
