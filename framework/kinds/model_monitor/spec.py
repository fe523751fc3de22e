"""The ModelMonitor as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import Duration, Fraction, Probability, SecretRef, exactly_one
from framework.api.meta import Name, Strict


class ReferenceWindow(Strict):
    window: Duration


class Drift(Strict):
    statistic: Literal["psi", "js", "hellinger", "ks"] = "psi"
    threshold: float = Field(0.2, gt=0)
    columns: tuple[str, ...] | Literal["all"] = "all"
    falseAlarmRate: Probability = 0.01
    statistics: dict[str, Literal["psi", "js", "hellinger", "ks"]] = Field(
        default_factory=dict, description="Another statistic for a column"
    )


class Labels(Strict):
    """A FeatureView with the true outcome, which arrives later than the prediction."""

    view: Name
    key: str
    column: str


class Performance(Strict):
    labels: Labels
    metric: Literal["auc"] = "auc"
    maxDrop: float = Field(0.05, ge=0)
    window: Duration | None = Field(
        None, description="Predictions this far back are judged; default: all of the live version"
    )
    minLabels: int = Field(200, ge=1)


class Quality(Strict):
    maxNullRate: Fraction | None = None
    unseenCategories: Fraction | None = None


class Webhook(Strict):
    url: str | None = None
    urlFrom: SecretRef | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "url", "urlFrom")
        return self


class AlertTarget(Strict):
    webhook: Webhook | None = None
    file: str | None = Field(None, description="JSON lines, relative to the project's root")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "webhook", "file")
        return self


class MonitorAction(Strict):
    on: Literal["drift", "performance", "quality"]
    retrain: Name | None = None
    rollback: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "retrain", "rollback")
        return self


class ModelMonitorSpec(Strict):
    deployment: Name
    window: Duration
    segments: tuple[str, ...] = ()
    reference: Literal["training"] | ReferenceWindow = "training"
    drift: Drift | None = None
    performance: Performance | None = None
    quality: Quality | None = None
    minRows: int = Field(200, ge=1, description="A window with fewer rows is Inconclusive")
    alerts: tuple[AlertTarget, ...] = ()
    actions: tuple[MonitorAction, ...] = ()


CATEGORIES = {"": Category.RELOAD}
