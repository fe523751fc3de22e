"""The TrainingJob as a user writes it."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from framework.api.categories import Category
from framework.api.errors import FieldError
from framework.api.fields import (
    Cpus,
    CronExpression,
    Duration,
    DurationOrZero,
    Entrypoint,
    Gpus,
    Workers,
    default_duration,
    exactly_one,
    ordered,
)
from framework.api.meta import Name, Strict
from framework.api.metrics import PATTERN, VALIDATION, known_of_validation, measure_of
from framework.api.written import Text
from framework.kinds.training_job.dataset import Dataset
from framework.kinds.training_job.decision import DecisionRule
from framework.kinds.training_job.evaluation import Evaluation

_ESTIMATOR = re.compile(r"sklearn(\.\w+)+")
_ESTIMATOR_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_ESTIMATOR.pattern}$"}


def _estimator(value: str) -> str:
    if _ESTIMATOR.fullmatch(value):
        return value
    below = value.removeprefix("scikit-learn.").replace(":", ".")
    likely = below if _ESTIMATOR.fullmatch(below) else f"sklearn.{below}"
    message = f"{value!r} is no class below sklearn, such as sklearn.linear_model.LogisticRegression"
    raise FieldError(message, likely if _ESTIMATOR.fullmatch(likely) and "." in below else None)


class SklearnTrainer(Strict):
    """A scikit-learn estimator behind one-hot encoding, imputing and scaling."""

    estimator: Annotated[str, AfterValidator(_estimator), WithJsonSchema(_ESTIMATOR_SCHEMA)] = Field(
        description="A class below sklearn, e.g. sklearn.linear_model.LogisticRegression"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Arguments of the class; default: its own")


class BoostedTrainer(Strict):
    """Boosted trees; a run that was interrupted goes on from its checkpoint."""

    params: dict[str, Any] = Field(default_factory=dict, description="The library's own parameters; default: its own")
    rounds: int = Field(100, ge=1, description="Boosting rounds: how many trees")


class TorchTrainer(Strict):
    """A network of PyTorch, fitted by a loop that is not yours to write; a run that was interrupted goes on from its
    checkpoint."""

    entrypoint: Entrypoint = Field(
        description="package.module:attribute, called with (data, params); returns the torch.nn.Module"
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")
    epochs: int = Field(10, ge=1, description="How often the network sees all rows")
    batchSize: int = Field(256, ge=1, description="Rows of a step at most, those of all workers together")
    learningRate: float = Field(0.001, gt=0, description="How far a step goes; a search may vary it")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="What turns gradients into steps")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: what gains by it is computed in half the bits while it learns (autocast)"
    )


class FunctionTrainer(Strict):
    """Code of your own that returns a fitted scikit-learn estimator, or a Booster of LightGBM or XGBoost."""

    entrypoint: Entrypoint = Field(description="package.module:attribute, called with (data, params, seed)")
    params: dict[str, Any] = Field(default_factory=dict, description="Handed to the function as they are")


class Trainer(Strict):
    """What fits the model. Exactly one."""

    sklearn: SklearnTrainer | None = Field(None, description="Any scikit-learn classifier or regressor")
    xgboost: BoostedTrainer | None = Field(None, description="Boosted trees of XGBoost")
    lightgbm: BoostedTrainer | None = Field(None, description="Boosted trees of LightGBM")
    torch: TorchTrainer | None = Field(None, description="A network of PyTorch")
    function: FunctionTrainer | None = Field(None, description="A function of your own")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def name(self) -> str:
        return exactly_one(self, *type(self).model_fields)


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


ValidationMetric = Annotated[
    str,
    AfterValidator(known_of_validation),
    WithJsonSchema({"type": "string", "pattern": PATTERN.replace("^", f"^{VALIDATION}", 1)}),
]


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
        loss = measure_of(self.metric.removeprefix(VALIDATION)).loss
        if loss != (self.mode == "min"):
            better = "smaller" if loss else "larger"
            raise ValueError(f"{self.metric} is better when {better}: mode must be {'min' if loss else 'max'}")
        if self.algorithm == "grid":
            lists = [space.choice for space in self.search.values() if space.choice is not None]
            if len(lists) < len(self.search):
                raise ValueError("algorithm: grid needs choice for every parameter")
            if math.prod(map(len, lists)) > self.trials:
                raise ValueError(f"the grid has {math.prod(map(len, lists))} combinations, but trials is {self.trials}")
        return self


class Elastic(Strict):
    """Go on with fewer workers where the cluster shrinks, and with more where it grows."""

    min: Workers = Field(description="The fewest workers to train with")
    max: Workers = Field(description="The most workers to train with")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


class Resources(Strict):
    """What one run takes from the cluster."""

    workers: Workers = Field(1, description="Processes that train together; part of the model's identity")
    cpusPerWorker: Cpus = Field(1.0, description="CPUs of each worker")
    gpusPerWorker: Gpus = Field(0.0, description="GPUs of each worker")
    accelerator: Text | None = Field(None, description="Only nodes with this accelerator, e.g. H100; default: any")
    elastic: Elastic | None = Field(None, description="A range instead of a fixed number of workers")


class Checkpoint(Strict):
    """What a run goes on from where a worker dies."""

    every: int = Field(
        1, ge=1, description="Checkpoint at every so-many-th report; a fit in rounds or epochs reports ten times"
    )
    keep: int = Field(2, ge=1, description="How many of the newest are kept")


class Retries(Strict):
    """What happens when a run's process is lost. Errors of code or data are not retried: they would come again."""

    limit: int = Field(2, ge=0, le=100, description="How often a run is started again")
    backoff: DurationOrZero = default_duration("30s", "How long to wait before that; it doubles each time")


class Retrain(Strict):
    """When to train again though nothing in git changed."""

    schedule: CronExpression | None = Field(None, description="Cron of five fields, in UTC, e.g. 0 3 * * 1")
    onDrift: tuple[Name, ...] = Field((), description="ModelMonitors whose drift asks for it")
    mode: Literal["pullRequest", "direct"] = Field(
        "pullRequest", description="pullRequest: propose it, with the evidence; direct: commit it"
    )
    cooldown: DurationOrZero | None = Field(None, description="The least time between two of them; default: none")

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.schedule is None and not self.onDrift:
            raise ValueError("retrain needs schedule or onDrift, or nothing ever triggers it")
        return self


_LARGEST_SEED = 2**32 - 1
"""Of numpy and scikit-learn."""


def _seed(value: int) -> int:
    if not 0 <= value <= _LARGEST_SEED:
        raise FieldError(f"a seed is a whole number from 0 to {_LARGEST_SEED}, found {value}")
    return value


Seed = Annotated[
    int, AfterValidator(_seed), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": _LARGEST_SEED})
]


class TrainingJobSpec(Strict):
    dataset: Dataset = Field(description="What is learned from")
    trainer: Trainer = Field(description="What fits the model; exactly one")
    tune: Tune | None = Field(None, description="A search for good parameters before the final fit; default: none")
    resources: Resources = Field(Resources(), description="What one run takes from the cluster")
    seed: Seed = Field(0, description="Of everything random: splits, searches and fits")
    decision: DecisionRule | None = Field(
        None, description="For a binary label: from which probability on a row counts as positive; default: 0.5, unsaid"
    )
    evaluation: Evaluation = Field(Evaluation(), description="What a model must achieve to be deployable")
    checkpoint: Checkpoint = Field(Checkpoint(), description="What a run goes on from where a worker dies")
    retries: Retries = Field(Retries(), description="What happens when a run's process is lost")
    timeout: Duration | None = Field(None, description="A run that takes longer is stopped and fails; default: none")
    retrain: Retrain | None = Field(
        None, description="When to train again though nothing in git changed; default: never"
    )
    deletion: Literal["keep", "delete"] = Field(
        "keep", description="What happens to the model versions when the spec leaves git"
    )


CATEGORIES = {
    "": Category.RETRAIN,
    "retries": Category.METADATA,
    "timeout": Category.METADATA,
    "retrain": Category.METADATA,
    "deletion": Category.METADATA,
    "evaluation": Category.METADATA,
}
"""Gates judge a model that exists already; slices and fairness are measured in the run."""
CATEGORIES |= {"evaluation.slices": Category.RETRAIN, "evaluation.fairness": Category.RETRAIN}
