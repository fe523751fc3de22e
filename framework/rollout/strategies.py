"""The rollout strategies as a user writes them. Words follow Argo Rollouts where it has one."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from framework.api.errors import FieldError
from framework.api.fields import Duration, DurationOrZero, Probability, default_duration, exactly_one
from framework.api.meta import Strict
from framework.api.written import Text

_MOST = 1e12
"""Of a bound: what is measured may be added to it and multiplied by it."""
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header(name: str) -> str:
    if _HEADER.fullmatch(name):
        return name
    likely = re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-")
    raise FieldError(f"{name!r} is not the name of an HTTP header", likely or None)


Header = Annotated[str, AfterValidator(_header), WithJsonSchema({"type": "string", "pattern": f"^{_HEADER.pattern}$"})]
"""The name of an HTTP header (RFC 9110, section 5.6.2)."""


class Hold(Strict):
    """Wait, and go on watching."""

    for_: DurationOrZero | None = Field(None, alias="for", description="How long; default: until a person promotes")


class AnalyzeStep(Strict):
    """Compare the candidate with stable."""

    for_: Duration = Field(alias="for", description="How long at least; a failure ends it at once")


class Step(Strict):
    """One step of a rollout. Exactly one of the three."""

    setWeight: Annotated[int, Field(ge=0, le=100)] | None = Field(
        None, description="Percent of the traffic that the candidate gets from here on"
    )
    analyze: AnalyzeStep | None = Field(None, description="Go on only if the candidate is not worse than stable")
    pause: Hold | None = Field(None, description="Wait a time, or for a person")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "setWeight", "analyze", "pause")
        return self


class Sticky(Strict):
    """Keeps a caller on one version."""

    header: Header = Field(description="Callers with the same value of this request header stay together")


class Match(Strict):
    """Requests that always go to the candidate."""

    header: dict[Header, str] = Field(
        min_length=1, max_length=1, description="One request header and its value, e.g. {x-canary: always}"
    )


class AnalysisMetric(Strict):
    """One bound on the candidate against stable: ``maxIncrease`` (difference), ``maxRatio`` (quotient) or ``max``."""

    metric: Literal[
        "error_rate", "refusal_rate", "latency_p50", "latency_p95", "latency_p99", "prediction_drift", "custom"
    ] = Field(
        description="error_rate: share of requests that fail; refusal_rate: share that is refused as bad input; "
        "latency: quantiles in seconds; custom: what query gives"
    )
    maxIncrease: float | None = Field(
        None, ge=0, le=_MOST, description="The most that the candidate may lie above stable, in the metric's unit"
    )
    maxRatio: float | None = Field(
        None, ge=1, le=_MOST, description="The most that the candidate may be of stable: 1.25 is a quarter more"
    )
    max: float | None = Field(
        None, ge=0, le=_MOST, description="The most at all, whatever stable does, in the metric's unit"
    )
    query: Text | None = Field(
        None,
        description="For custom: a query to Prometheus that gives one number; without a bound, nothing or 0 passes",
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.metric == "custom") != (self.query is not None):
            raise ValueError("query belongs to metric: custom, and only to it")
        if self.metric != "custom" or any(bound is not None for bound in (self.maxIncrease, self.maxRatio, self.max)):
            exactly_one(self, "maxIncrease", "maxRatio", "max")
        return self


class Abort(Strict):
    """What becomes of a candidate that was turned away."""

    scaleDownDelay: DurationOrZero = default_duration("30s", "How long it stays, without traffic")


class RollbackWindow(Strict):
    """A version among the last ``revisions`` promoted ones returns at once, without analysis."""

    revisions: int = Field(5, ge=0, description="How many versions back; 0: every version is analyzed anew")


class Canary(Strict):
    """Traffic in steps, each judged before the next."""

    steps: tuple[Step, ...] = Field(min_length=1, description="In order; the last setWeight is 100")
    sticky: Sticky | None = Field(None, description="Keeps a caller on one version; default: each request for itself")
    match: Match | None = Field(None, description="Requests that always go to the candidate; default: none")
    analysis: tuple[AnalysisMetric, ...] = Field((), description="What the candidate is compared by")
    falseAlarmRate: Probability = Field(
        0.01, description="The chance to turn a good candidate away, over the whole rollout, however often it looks"
    )
    minRequests: int = Field(200, ge=1, description="Fewer requests to a version are Inconclusive, never a silent pass")
    onInconclusive: Literal["pause", "promote", "rollback"] = Field(
        "pause", description="What to do when an analysis ends without an answer"
    )
    shield: bool = Field(
        True,
        description="A request that the candidate fails is answered by stable, and counted against the candidate; "
        "false for models with side effects",
    )
    abort: Abort = Field(Abort(), description="What becomes of a candidate that was turned away")
    scaleDownDelay: DurationOrZero = default_duration("30s", "How long the old version stays after a promotion")
    startDeadline: Duration = default_duration("5m", "A candidate that is not running by then is rejected")
    rollbackWindow: RollbackWindow = Field(RollbackWindow(), description="Which versions return at once")

    @model_validator(mode="after")
    def _ends_at_all(self) -> Self:
        weights = [step.setWeight for step in self.steps if step.setWeight is not None]
        if not weights or weights[-1] != 100:
            raise ValueError("the last setWeight must be 100")
        if weights != sorted(weights):
            raise ValueError("weights must not fall")
        return self


class BlueGreen(Strict):
    """The new version starts beside the old one, and gets all traffic at once."""

    autoPromote: bool = Field(True, description="Switch as soon as it is ready; false: when a person promotes")
    analyze: AnalyzeStep | None = Field(None, description="Watch it after the switch, and switch back if it is worse")
    scaleDownDelay: DurationOrZero | None = Field(None, description="How long the old version stays after the switch")


class Shadow(Strict):
    """The new version gets copies of requests, and its answers go nowhere."""

    for_: Duration = Field(alias="for", description="How long, before it takes over")
    fraction: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="The share of requests that are copied")


class AbTest(Strict):
    """Two versions side by side for a time, each with callers of its own."""

    weight: Annotated[int, Field(ge=1, le=99)] = Field(description="Percent of the callers that get the new version")
    for_: Duration = Field(alias="for", description="How long")
    sticky: Sticky = Field(description="What tells callers apart")


class Recreate(Strict):
    """The old version stops before the new one starts; callers see a gap."""


class Strategy(Strict):
    """How the next version gets there. Exactly one."""

    canary: Canary | None = Field(None, description="Traffic in steps, each judged before the next")
    blueGreen: BlueGreen | None = Field(None, description="All traffic at once, with the old version kept ready")
    shadow: Shadow | None = Field(None, description="Copies of requests first, whose answers go nowhere")
    abTest: AbTest | None = Field(None, description="Two versions side by side for a time")
    recreate: Recreate | None = Field(None, description="Stop the old one, then start the new one; callers see a gap")

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, *type(self).model_fields)
        return self
