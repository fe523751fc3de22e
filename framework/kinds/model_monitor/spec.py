"""The ModelMonitor as a user writes it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from framework.api.addresses import mistake
from framework.api.categories import Category
from framework.api.fields import Duration, Fraction, Probability, SecretRef, exactly_one
from framework.api.meta import Name, Strict
from framework.api.metrics import Metric, measure_of
from framework.api.written import Names

SHARES = frozenset({"js", "hellinger", "ks"})
"""Statistics that lie between 0 and 1."""


class ReferenceWindow(Strict):
    """Earlier requests instead of the training data."""

    window: Duration = Field(description="How far back from the window that is judged")


class Drift(Strict):
    """Whether the inputs and predictions are distributed otherwise than in the reference."""

    statistic: Literal["psi", "js", "hellinger", "ks"] = Field(
        "psi",
        description="Population stability index, Jensen-Shannon distance, Hellinger distance or Kolmogorov-Smirnov",
    )
    threshold: float = Field(
        0.2, gt=0, description="An effect below it is no drift, however certain; in the statistic's unit"
    )
    columns: Names | Literal["all"] = Field(
        "all", description="Which of the model's inputs, and its label's name for the predictions"
    )
    falseAlarmRate: Probability = Field(
        0.01, description="The chance of an alarm in a window without drift, over all columns together"
    )
    statistics: dict[str, Literal["psi", "js", "hellinger", "ks"]] = Field(
        default_factory=dict, description="Another statistic for a column"
    )


class Labels(Strict):
    """A FeatureView with the true outcome, which arrives later than the prediction."""

    view: Name = Field(description="The FeatureView")
    key: str = Field(
        description="Its column, of whole numbers or Strings, that holds what the deployment logs as "
        "serving.profiling.key"
    )
    column: str = Field(description="Its column that holds the outcome, as the label of the model's training set is")


class Performance(Strict):
    """How good the predictions were, once the labels have arrived."""

    labels: Labels = Field(description="Where the true outcome comes from")
    metric: Metric | None = Field(
        None, description="What is measured; default: auc of a binary label, accuracy, rmse or pinball by its task"
    )
    maxDrop: float = Field(0.05, ge=0, description="How much below the test part's value is no loss yet")
    maxRise: float | None = Field(
        None,
        ge=0,
        description="For a metric that is better when smaller, which needs it: how much above is allowed",
    )
    window: Duration | None = Field(
        None, description="Predictions this far back are judged; default: all of the live version"
    )
    minLabels: int = Field(200, ge=1, description="Fewer labels are Inconclusive")

    @model_validator(mode="after")
    def _direction(self) -> Self:
        if self.metric is None:
            return self
        if not measure_of(self.metric).loss and self.maxRise is not None:
            raise ValueError(f"{self.metric} is better when larger: bound it with maxDrop, not maxRise")
        if measure_of(self.metric).loss and self.maxRise is None:
            raise ValueError(f"{self.metric} is better when smaller: say by maxRise how much more is no loss yet")
        return self


class Quality(Strict):
    """What is wrong with the inputs whatever their distribution. A bound that is absent is not checked."""

    maxNullRate: Fraction | None = Field(
        None, description="The largest share of missing values in a column: 0.05 is 5 %"
    )
    unseenCategories: Fraction | None = Field(
        None, description="The largest share of values that the training data did not have: 0.01 is 1 %"
    )

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.maxNullRate is None and self.unseenCategories is None:
            raise ValueError("maxNullRate or unseenCategories is needed")
        return self


def _url(value: str) -> str:
    why = mistake(value) if re.match(r"https?://", value) else "it starts with neither http:// nor https://"
    if why is not None:
        raise ValueError(f"is no http or https URL: {why}")
    return value


class Webhook(Strict):
    """An HTTP POST of the alert as JSON. Exactly one of ``url`` and ``urlFrom``."""

    url: Annotated[str, Field(max_length=1024), AfterValidator(_url)] | None = Field(
        None, description="Where, if the address is no secret: nothing but plain words in its path"
    )
    urlFrom: SecretRef | None = Field(None, description="Where the address is read from, if it is a secret")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "url", "urlFrom")
        return self


class AlertTarget(Strict):
    """Who is told. Exactly one."""

    webhook: Webhook | None = Field(None, description="An HTTP POST of the alert as JSON")
    file: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="JSON lines: a file of its own in the project, whose name ends in .jsonl"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "webhook", "file")
        return self


class MonitorAction(Strict):
    """What is done besides telling somebody. Exactly one of ``retrain`` and ``rollback``."""

    on: Literal["drift", "performance", "quality"] = Field(description="Which finding it answers")
    retrain: Name | None = Field(None, description="The TrainingJob to train again")
    rollback: bool | None = Field(None, description="true: go back to the version before")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "retrain", "rollback")
        if self.rollback is False:
            raise ValueError("rollback: false does nothing; leave the action out")
        return self


class ModelMonitorSpec(Strict):
    deployment: Name = Field(description="The ModelDeployment that is watched")
    window: Duration = Field(
        description="Requests of so long a time are judged together; no shorter than the deployment's profiling.flush"
    )
    segments: tuple[str, ...] = Field((), description="Columns whose values make parts that are also judged each alone")
    reference: Literal["training"] | ReferenceWindow = Field(
        "training", description="What is compared with: the training profile of the live version, or earlier requests"
    )
    drift: Drift | None = Field(None, description="Watch the distributions; default: not")
    performance: Performance | None = Field(None, description="Watch the predictions against labels; default: not")
    quality: Quality | None = Field(None, description="Watch missing and unseen values; default: not")
    minRows: int = Field(200, ge=1, description="A window with fewer rows is Inconclusive")
    alerts: tuple[AlertTarget, ...] = Field((), description="Who is told, once per episode and when it is over")
    actions: tuple[MonitorAction, ...] = Field((), description="What is done besides telling somebody")


CATEGORIES = {"": Category.RELOAD}
