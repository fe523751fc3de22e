"""When a model is trained again though nothing in git changed, as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import CronExpression, DurationOrZero
from framework.api.meta import Name, Strict


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
