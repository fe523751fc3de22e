"""The BatchInference as a user writes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.api.categories import Category
from framework.api.fields import Cpus, CronExpression, DataPath, Duration, Gpus, Workers
from framework.api.meta import Name, Strict
from framework.kinds.model_deployment.spec import ModelRef


class Model(ModelRef):
    """Which model predicts."""


class InputWindow(Strict):
    """Which rows, by event time."""

    last: Duration = Field(description="So far back from the newest row")


class Input(Strict):
    """The rows to predict for."""

    view: Name = Field(description="The FeatureView that has them")
    window: InputWindow | None = Field(None, description="Which of its rows; default: all")


class Output(Strict):
    """Where predictions go."""

    format: Literal["delta", "parquet"] = Field("delta", description="delta: a table with versions; parquet: files")
    path: DataPath = Field(
        description="Below the environment's storage, or any fsspec URL; no other job may write there"
    )


class BatchResources(Strict):
    """What one run takes from the cluster."""

    workers: Workers = Field(1, description="Processes that predict side by side")
    cpusPerWorker: Cpus = Field(1.0, description="CPUs of each worker")
    gpusPerWorker: Gpus = Field(0.0, description="GPUs of each worker")


class BatchInferenceSpec(Strict):
    model: Model = Field(description="Which model predicts")
    input: Input = Field(description="The rows to predict for")
    output: Output = Field(description="Where predictions go")
    schedule: CronExpression | None = Field(
        None, description="Cron of five fields, in UTC, e.g. 0 5 * * *; default: whenever model or input are new"
    )
    resources: BatchResources = Field(BatchResources(), description="What one run takes from the cluster")


CATEGORIES = {"": Category.RELOAD}
