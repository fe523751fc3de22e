"""The rollout strategies as a user writes them. Words follow Argo Rollouts where it has one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from framework.api.fields import Duration, Probability, default_duration, exactly_one
from framework.api.meta import Strict


class Hold(Strict):
    """``for`` absent means: until a person promotes."""

    for_: Duration | None = Field(None, alias="for")


class AnalyzeStep(Strict):
    for_: Duration = Field(alias="for")


class Step(Strict):
    """Exactly one of the three."""

    setWeight: Annotated[int, Field(ge=0, le=100)] | None = None
    analyze: AnalyzeStep | None = None
    pause: Hold | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "setWeight", "analyze", "pause")
        return self


class Sticky(Strict):
    header: str


class Match(Strict):
    header: dict[str, str] = Field(min_length=1, max_length=1)


class AnalysisMetric(Strict):
    """One bound on the candidate against stable: ``maxIncrease`` (difference), ``maxRatio`` (quotient) or ``max``."""

    metric: Literal["error_rate", "latency_p50", "latency_p95", "latency_p99", "prediction_drift", "custom"]
    maxIncrease: float | None = Field(None, ge=0)
    maxRatio: float | None = Field(None, ge=1)
    max: float | None = Field(None, ge=0)
    query: str | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        exactly_one(self, "maxIncrease", "maxRatio", "max")
        if (self.metric == "custom") != (self.query is not None):
            raise ValueError("query belongs to metric: custom, and only to it")
        return self


class Abort(Strict):
    scaleDownDelay: Duration = default_duration("30s")


class RollbackWindow(Strict):
    """A version among the last ``revisions`` promoted ones returns at once, without analysis."""

    revisions: int = Field(5, ge=0)


class Canary(Strict):
    steps: tuple[Step, ...] = Field(min_length=1)
    sticky: Sticky | None = None
    match: Match | None = None
    analysis: tuple[AnalysisMetric, ...] = ()
    falseAlarmRate: Probability = 0.01
    minRequests: int = Field(200, ge=1)
    onInconclusive: Literal["pause", "promote", "rollback"] = "pause"
    shield: bool = True
    abort: Abort = Abort()
    scaleDownDelay: Duration = default_duration("30s", "How long the old version stays after a promotion")
    startDeadline: Duration = default_duration("5m", "A candidate that is not running by then is rejected")
    rollbackWindow: RollbackWindow = RollbackWindow()

    @model_validator(mode="after")
    def _ends_at_all(self) -> Self:
        weights = [step.setWeight for step in self.steps if step.setWeight is not None]
        if not weights or weights[-1] != 100:
            raise ValueError("the last setWeight must be 100")
        if weights != sorted(weights):
            raise ValueError("weights must not fall")
        return self


class BlueGreen(Strict):
    autoPromote: bool = True
    analyze: AnalyzeStep | None = None
    scaleDownDelay: Duration | None = None


class Shadow(Strict):
    for_: Duration = Field(alias="for")
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0


class AbTest(Strict):
    weight: Annotated[int, Field(ge=1, le=99)]
    for_: Duration = Field(alias="for")
    sticky: Sticky


class Recreate(Strict):
    """The old version stops before the new one starts; callers see a gap."""


class Strategy(Strict):
    """Exactly one."""

    canary: Canary | None = None
    blueGreen: BlueGreen | None = None
    shadow: Shadow | None = None
    abTest: AbTest | None = None
    recreate: Recreate | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self
