"""When the rows of a FeatureView are computed and where they are kept, as a user writes it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import CronExpression, Duration, DurationOrZero, Timezone, default_duration
from framework.api.meta import Strict


class Materialization(Strict):
    """When rows are computed again besides a change of the spec. Without ``schedule`` and ``every``: never."""

    mode: Literal["full", "incremental"] = Field(
        "full", description="full: all rows anew; incremental: only those of event times since the last run"
    )
    lateness: DurationOrZero = default_duration(
        "0s", "For incremental: rows may come so long after newer ones; later ones are left out, and counted"
    )
    lookback: Duration | None = Field(
        None,
        description="For incremental: how far the transform looks back from a row; default: sources are read whole",
    )
    schedule: CronExpression | None = Field(None, description="Look for new source data then: cron of five fields")
    timezone: Timezone | None = Field(None, description="For schedule, an IANA name, e.g. Europe/Vienna; default: UTC")
    every: Duration | None = Field(None, description="Look for new source data this often")
    retention: Duration | None = Field(
        None,
        description="Rows of whole days that lie further back from the newest event time are dropped; default: none",
    )

    @model_validator(mode="after")
    def _one_clock(self) -> Self:
        if self.schedule is not None and self.every is not None:
            raise ValueError("schedule and every exclude each other")
        if self.timezone is not None and self.schedule is None:
            raise ValueError("timezone is for schedule, and there is none")
        if self.mode == "full" and (self.lateness or self.lookback is not None):
            raise ValueError("lateness and lookback are for mode: incremental, and this one is full")
        return self

    @property
    def zone(self) -> str:
        return self.timezone or "UTC"


class Online(Strict):
    """The newest row of every entity in the Environment's online store, for lookups while serving."""

    enabled: bool = Field(True, description="Keep it there; the default where online is given")
    ttl: Duration | None = Field(None, description="Rows with an older event time are not found; default: all are")
    delay: DurationOrZero | None = Field(
        None,
        description="How long after its event time a row becomes available, as the features of a TrainingJob say it; "
        "until then the one before it is found",
    )
