"""The ModelDeployment as a user writes it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from framework.api.categories import Category
from framework.api.fields import Duration, Entrypoint, default_duration
from framework.api.meta import Name, Strict
from framework.rollout.strategies import Strategy


class ModelRef(Strict):
    """``version``: latest (that of the training job's current spec, once it passed its gates) or a version's name."""

    training: Name
    version: str = "latest"


class Replicas(Strict):
    min: int = Field(1, ge=1)
    max: int = Field(1, ge=1)
    targetOngoingRequests: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError("min must not exceed max")
        return self


class ServingResources(Strict):
    cpus: float = Field(0.5, gt=0)
    gpus: float = Field(0.0, ge=0)


class Batching(Strict):
    maxSize: int = Field(64, ge=1)
    wait: Duration = default_duration("2ms")


class Profiling(Strict):
    """Profiles and the prediction log leave a replica this often."""

    flush: Duration = default_duration("10s")
    key: str | None = Field(None, description="Request field that later joins a label, e.g. flight_id")


class Serving(Strict):
    route: Annotated[str, Field(pattern=r"^/[a-z0-9]([-a-z0-9/]*[a-z0-9])?$")]
    replicas: Replicas = Replicas()
    resources: ServingResources = ServingResources()
    batching: Batching | None = None
    transformer: Entrypoint | None = Field(None, description="Rows (list of dict) in, rows out; runs before the model")
    onlineFeatures: tuple[Name, ...] = ()
    profiling: Profiling = Profiling()
    timeout: Duration = default_duration("2s")
    maxQueued: int = Field(200, ge=1)


class ModelDeploymentSpec(Strict):
    model: ModelRef
    serving: Serving
    strategy: Strategy


CATEGORIES = {
    "": Category.REDEPLOY,
    "strategy": Category.METADATA,
    "serving.route": Category.REROUTE,
    "serving.timeout": Category.REROUTE,
    "serving.maxQueued": Category.REROUTE,
    "serving.replicas": Category.RELOAD,
}
