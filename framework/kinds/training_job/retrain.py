"""When a model is trained again though nobody changed how, as a user writes it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import CronExpression, Duration, DurationOrZero, Timezone, default_duration
from framework.api.meta import Name, Strict

Rows = Annotated[int, Field(ge=1, le=10**15)]
Runs = Annotated[int, Field(ge=1, le=1_000)]
GpuHours = Annotated[float, Field(gt=0.0, le=1e9)]


class NewData(Strict):
    """How much has to be new."""

    rows: Rows = Field(description="So many more rows in the spine than when the model was trained")


class RetrainBudget(Strict):
    """What triggers may spend within a time that moves along; a person's commits count for nothing here."""

    runs: Runs | None = Field(None, description="Retrainings; a proposal counts as one")
    gpuHours: GpuHours | None = Field(
        None, description="GPU-hours of their runs: once these are used up, no other one is begun"
    )
    per: Duration = default_duration("7d", "The time that is looked back on")

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if self.runs is None and self.gpuHours is None:
            raise ValueError("runs or gpuHours is needed, or the budget bounds nothing")
        return self


class Retrain(Strict):
    """When to train again on newer data. Each trigger asks for a commit that raises ``dataset.refresh``."""

    schedule: CronExpression | None = Field(None, description="Cron of five fields, e.g. 0 3 * * 1")
    timezone: Timezone | None = Field(None, description="For schedule, an IANA name, e.g. Europe/Vienna; default: UTC")
    onNewData: bool | NewData = Field(
        False, description="true: as soon as a view holds other rows than the model was trained on; or {rows: N}"
    )
    onDrift: tuple[Name, ...] = Field((), description="ModelMonitors whose drift asks for it, once an episode")
    mode: Literal["pullRequest", "direct"] = Field(
        "pullRequest",
        description="pullRequest: propose it on a branch, with the evidence; direct: commit it to the followed branch",
    )
    cooldown: DurationOrZero | None = Field(
        None, description="The least time from one that a trigger asked for to the next; default: none"
    )
    budget: RetrainBudget | None = Field(None, description="What triggers may spend; default: what they like")

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if self.schedule is None and not self.onDrift and not self.onNewData:
            raise ValueError("retrain needs schedule, onNewData or onDrift, or nothing ever triggers it")
        if self.timezone is not None and self.schedule is None:
            raise ValueError("timezone is for schedule, and there is none")
        return self
