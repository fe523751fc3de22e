"""When the rows of a FeatureView are computed and where they are kept, as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import CronExpression, Duration
from framework.api.meta import Strict


class Materialization(Strict):
    """When rows are computed again besides a change of the spec. Without ``schedule`` and ``every``: never."""

    mode: Literal["full", "incremental"] = Field(
        "full", description="full: all rows anew; incremental: only those of event times since the last run"
    )
    schedule: CronExpression | None = Field(None, description="Cron of five fields, in UTC, e.g. 0 * * * *")
    every: Duration | None = Field(None, description="Look for new source data this often")
    retention: Duration | None = Field(
        None, description="Rows with an older event time are dropped; default: all are kept"
    )

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.schedule is not None and self.every is not None:
            raise ValueError("schedule and every exclude each other")
        return self


class Online(Strict):
    """The newest row of every entity in the Environment's online store, for lookups while serving."""

    enabled: bool = Field(True, description="Keep it there; the default where online is given")
    ttl: Duration | None = Field(None, description="Rows with an older event time are not found; default: all are")
