"""The ModelDeployment as a user writes it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from framework.api.categories import Category
from framework.api.errors import FieldError
from framework.api.fields import (
    Cpus,
    Duration,
    DurationOrZero,
    Entrypoint,
    Gpus,
    Workers,
    default_duration,
    ordered,
)
from framework.api.meta import Name, Strict
from framework.api.written import Text
from framework.rollout.strategies import Strategy

_ROUTE = re.compile(r"(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")
_ROUTE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": f"^{_ROUTE.pattern}$", "maxLength": 200}


def _route(value: str) -> str:
    if _ROUTE.fullmatch(value):
        return value
    parts = [re.sub(r"[^a-z0-9]+", "-", part.casefold()).strip("-") for part in value.split("/")]
    likely = "".join(f"/{part}" for part in parts if part)
    raise FieldError(f"{value!r} is no route; write one or more parts such as /delay or /delay/v2", likely or None)


class ModelRef(Strict):
    """Which model serves."""

    training: Name = Field(description="The TrainingJob whose model it is")
    version: Annotated[str, Field(min_length=1)] = Field(
        "latest",
        description="latest: of the current spec of the training job, once it passed its gates; a version; or an alias "
        "of the training job",
    )


class Replicas(Strict):
    """How many processes answer. Each version has its own while a rollout lasts."""

    min: Workers = Field(1, description="The fewest, however little traffic there is")
    max: Workers = Field(1, description="The most, however much traffic there is")
    targetOngoingRequests: int = Field(
        8, ge=1, description="Requests per replica at a time; above it replicas are added"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        ordered(self, "min", "max")
        return self


class ServingResources(Strict):
    """What one replica takes from the cluster."""

    cpus: Cpus = Field(0.5, description="CPUs of each replica")
    gpus: Gpus = Field(0.0, description="GPUs of each replica")


class Batching(Strict):
    """Requests that arrive together are answered by one call of the model."""

    maxSize: int = Field(64, ge=1, description="The most requests in one call")
    wait: DurationOrZero = default_duration("2ms", "How long a request may wait for others")


class Profiling(Strict):
    """What a replica remembers of its requests, for monitors."""

    flush: Duration = default_duration("10s", "Profiles and the prediction log leave a replica this often")
    key: Text | None = Field(None, description="Request field that later joins a label, e.g. flight_id")


class Trial(Strict):
    """What a version is tried on before it answers anybody."""

    rows: tuple[dict[str, Any], ...] = Field(
        min_length=1, max_length=20, description="Rows as callers send them; each must be answered"
    )


class Serving(Strict):
    """Where and how requests are answered."""

    route: Annotated[str, Field(max_length=200), AfterValidator(_route), WithJsonSchema(_ROUTE_SCHEMA)] = Field(
        description="The URL path, e.g. /delay; no other deployment may have it, or one below it"
    )
    replicas: Replicas = Field(Replicas(), description="How many processes answer")
    resources: ServingResources = Field(ServingResources(), description="What one replica takes from the cluster")
    batching: Batching | None = Field(None, description="Answer requests together; default: each for itself")
    transformer: Entrypoint | None = Field(
        None, description="package.module:attribute; rows (list of dict) in, rows out; runs before the model"
    )
    form: Literal["native", "onnx", "quantized"] = Field(
        "native",
        description="native: the model as its library stores it; onnx, quantized: a form that the training job makes "
        "beside it; a version of which that may not serve is waited for",
    )
    trial: Trial | None = Field(
        None,
        description="What a version is tried on before it answers anybody; default: rows of its training set, "
        "as the model's inputs alone or whole",
    )
    onlineFeatures: tuple[Name, ...] = Field(
        (),
        description="FeatureViews that the model's inputs are looked up in, by the keys in a request; nobody sends "
        "them then",
    )
    onlineMissing: Literal["refuse"] | None = Field(
        None,
        description="What becomes of a key that nothing is found for: null: its inputs are missing, as in training; "
        "refuse: the request is refused",
    )
    profiling: Profiling = Field(Profiling(), description="What a replica remembers of its requests, for monitors")
    timeout: Duration = default_duration("2s", "A request that takes longer is answered 504")
    maxQueued: int = Field(200, ge=1, description="Requests that may wait; beyond it: 503 with Retry-After")

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.batching is not None and self.batching.wait >= self.timeout:
            raise ValueError("batching.wait must be shorter than timeout, or no request is answered in time")
        if len(set(self.onlineFeatures)) < len(self.onlineFeatures):
            raise ValueError("onlineFeatures repeat")
        if self.onlineMissing is not None and not self.onlineFeatures:
            raise ValueError("onlineMissing belongs to onlineFeatures, and there are none")
        return self


class ModelDeploymentSpec(Strict):
    model: ModelRef = Field(description="Which model serves")
    serving: Serving = Field(description="Where and how requests are answered")
    strategy: Strategy = Field(description="How the next version gets there; exactly one")


CATEGORIES = {
    "": Category.REDEPLOY,
    "strategy": Category.METADATA,
    "serving.route": Category.REROUTE,
    "serving.timeout": Category.REROUTE,
    "serving.maxQueued": Category.REROUTE,
    "serving.replicas": Category.RELOAD,
    "serving.trial": Category.METADATA,
}
