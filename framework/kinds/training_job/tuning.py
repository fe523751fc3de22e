"""The search for good parameters, as a user writes it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import Duration, exactly_one
from framework.api.meta import Strict
from framework.api.metrics import NO_OWN, Measures, ValidationMetric, bare, measure_of


class SearchSpace(Strict):
    """One distribution of a parameter."""

    uniform: tuple[float, float] | None = Field(None, description="[low, high]: any number in between alike")
    loguniform: tuple[float, float] | None = Field(
        None, description="[low, high]: any number in between, every order of magnitude alike; low is above 0"
    )
    randint: tuple[int, int] | None = Field(None, description="[low, high): whole numbers, high left out")
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = Field(None, description="One of these values")

    @model_validator(mode="after")
    def _one(self) -> Self:
        name = exactly_one(self, *type(self).model_fields)
        bounds = getattr(self, name)
        if name != "choice" and bounds[0] >= bounds[1]:
            raise ValueError(f"{name}: the lower bound must be below the upper")
        if name == "loguniform" and bounds[0] <= 0:
            raise ValueError("loguniform needs positive bounds")
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
    scheduler: Literal["asha", "pbt", "median", "none"] = Field(
        "asha", description="Which trials are stopped early; none lets each go to its end"
    )
    budget: Duration | None = Field(
        None, description="No trial starts or goes on after that long; default: trials alone decide"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        wrong = self.misdirected(NO_OWN)
        if wrong is not None:
            raise ValueError(wrong)
        if self.algorithm == "grid":
            lists = [space.choice for space in self.search.values() if space.choice is not None]
            if len(lists) < len(self.search):
                raise ValueError("algorithm: grid needs choice for every parameter")
            if math.prod(map(len, lists)) > self.trials:
                raise ValueError(f"the grid has {math.prod(map(len, lists))} combinations, but trials is {self.trials}")
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
