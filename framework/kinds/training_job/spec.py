"""The TrainingJob as a user writes it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import CronExpression, Duration, Entrypoint, Fraction, default_duration, exactly_one
from framework.api.meta import Name, Strict


class FeatureRef(Strict):
    """Columns of a FeatureView, joined as of the spine's event time."""

    view: Name
    columns: tuple[str, ...] | Literal["all"] = "all"
    maxAge: Duration | None = Field(None, description="Older rows count as missing")
    delay: Duration | None = Field(
        None, description="How long after its event time a row becomes available; never joined before"
    )


class Window(Strict):
    """Half-open [from, to) in event time, or the last so-much before the newest spine row."""

    from_: date | None = Field(None, alias="from")
    to: date | None = None
    last: Duration | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.last is not None and (self.from_ or self.to):
            raise ValueError("last excludes from and to")
        if self.last is None and (self.from_ is None or self.to is None):
            raise ValueError("give from and to, or last")
        if self.from_ and self.to and self.from_ >= self.to:
            raise ValueError("from must be before to")
        return self


class Fractions(Strict):
    train: Fraction
    validation: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.train + self.validation + self.test - 1.0) > 1e-9:
            raise ValueError("train, validation and test must add up to 1")
        return self


class SplitAt(Strict):
    """Dates that start the validation and the test part."""

    validation: date
    test: date


class Split(Strict):
    by: Literal["time", "random", "stratified", "group"] = "time"
    fractions: Fractions | None = None
    at: SplitAt | None = Field(None, description="For by: time, calendar dates instead of fractions")
    group: str | None = None

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        exactly_one(self, "fractions", "at")
        if self.at is not None and self.by != "time":
            raise ValueError("at needs by: time")
        if (self.by == "group") != (self.group is not None):
            raise ValueError("group names the column for by: group, and only for it")
        return self


class Dataset(Strict):
    spine: Name = Field(description="FeatureView with the entity rows, the event time and the label")
    columns: tuple[str, ...] = Field((), description="Columns of the spine itself that are features")
    features: tuple[FeatureRef, ...] = ()
    label: str
    window: Window
    split: Split


class SklearnTrainer(Strict):
    """``estimator`` is a class below sklearn, e.g. ``sklearn.linear_model.LogisticRegression``."""

    estimator: Annotated[str, Field(pattern=r"^sklearn(\.\w+)+$")]
    params: dict[str, Any] = Field(default_factory=dict)


class BoostedTrainer(Strict):
    params: dict[str, Any] = Field(default_factory=dict)
    rounds: int = Field(100, ge=1)


class TorchTrainer(Strict):
    entrypoint: Entrypoint
    params: dict[str, Any] = Field(default_factory=dict)


class FunctionTrainer(Strict):
    entrypoint: Entrypoint
    params: dict[str, Any] = Field(default_factory=dict)


class Trainer(Strict):
    """Exactly one."""

    sklearn: SklearnTrainer | None = None
    xgboost: BoostedTrainer | None = None
    lightgbm: BoostedTrainer | None = None
    torch: TorchTrainer | None = None
    function: FunctionTrainer | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self

    @property
    def name(self) -> str:
        return exactly_one(self, *type(self).model_fields)


class SearchSpace(Strict):
    """One distribution of a parameter."""

    uniform: tuple[float, float] | None = None
    loguniform: tuple[float, float] | None = None
    randint: tuple[int, int] | None = Field(None, description="[low, high)")
    choice: tuple[Any, ...] | None = None

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
    search: dict[str, SearchSpace] = Field(min_length=1)
    metric: str = "validation_auc"
    mode: Literal["max", "min"] = "max"
    trials: int = Field(10, ge=1)
    concurrency: int = Field(1, ge=1, description="Trials at a time")
    algorithm: Literal["optuna", "random", "grid", "hyperopt"] = "optuna"
    scheduler: Literal["asha", "pbt", "median", "none"] = "asha"
    budget: Duration | None = None


class Elastic(Strict):
    min: int = Field(ge=1)
    max: int = Field(ge=1)


class Resources(Strict):
    workers: int = Field(1, ge=1)
    cpusPerWorker: float = Field(1.0, gt=0)
    gpusPerWorker: float = Field(0.0, ge=0)
    accelerator: str | None = None
    elastic: Elastic | None = None


class Gate(Strict):
    """A bar on a test metric: absolute (``min``, ``max``), or against the live model on the same rows."""

    metric: str
    min: float | None = None
    max: float | None = None
    comparedTo: Literal["live"] | None = None
    maxDrop: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.comparedTo is not None:
            if self.maxDrop is None or self.min is not None or self.max is not None:
                raise ValueError("comparedTo needs maxDrop and excludes min and max")
        elif self.maxDrop is not None:
            raise ValueError("maxDrop needs comparedTo")
        elif self.min is None and self.max is None:
            raise ValueError("a gate needs min, max or comparedTo")
        return self


class Slice(Strict):
    by: str
    metric: str
    min: float
    minRows: int = Field(1, ge=1)


class Fairness(Strict):
    attribute: str
    metric: Literal["demographic_parity_difference", "equalized_odds_difference"]
    max: float = Field(ge=0)


class Evaluation(Strict):
    gates: tuple[Gate, ...] = ()
    slices: tuple[Slice, ...] = ()
    fairness: tuple[Fairness, ...] = ()


class Checkpoint(Strict):
    every: int = Field(1, ge=1)
    keep: int = Field(2, ge=1)


class Retries(Strict):
    limit: int = Field(2, ge=0)
    backoff: Duration = default_duration("30s")


class Retrain(Strict):
    schedule: CronExpression | None = None
    onDrift: tuple[Name, ...] = ()
    mode: Literal["pullRequest", "direct"] = "pullRequest"
    cooldown: Duration | None = None


class TrainingJobSpec(Strict):
    dataset: Dataset
    trainer: Trainer
    tune: Tune | None = None
    resources: Resources = Resources()
    seed: int = 0
    evaluation: Evaluation = Evaluation()
    checkpoint: Checkpoint = Checkpoint()
    retries: Retries = Retries()
    timeout: Duration | None = None
    retrain: Retrain | None = None
    deletion: Literal["keep", "delete"] = "keep"


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
