"""The BatchInference as a user writes it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.api.categories import Category
from framework.api.fields import CronExpression, Duration
from framework.api.meta import Name, Strict


class Model(Strict):
    training: Name
    version: str = "latest"


class InputWindow(Strict):
    last: Duration


class Input(Strict):
    view: Name
    window: InputWindow | None = None


class Output(Strict):
    format: Literal["delta", "parquet"] = "delta"
    path: str


class BatchResources(Strict):
    workers: int = Field(1, ge=1)
    cpusPerWorker: float = Field(1.0, gt=0)
    gpusPerWorker: float = Field(0.0, ge=0)


class BatchInferenceSpec(Strict):
    model: Model
    input: Input
    output: Output
    schedule: CronExpression | None = None
    resources: BatchResources = BatchResources()


CATEGORIES = {"": Category.RELOAD}
