"""What a run takes from the cluster and how it is tried again, as a user writes it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from framework.api.fields import Cpus, DurationOrZero, Gpus, Memory, Workers, default_duration, ordered
from framework.api.meta import Strict
from framework.api.node_labels import LabelKey, LabelSelector
from framework.api.written import Text


class Elastic(Strict):
    """As many workers as there is room for when they start. Where one is lost, as many go on from the checkpoint as
    there is room for then. How many they are changes the last digits of sums, and so the bytes of the model."""

    min: Workers = Field(description="The fewest workers to train with")
    max: Workers = Field(description="The most workers to train with")

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        ordered(self, "min", "max")
        return self


class Resources(Strict):
    """What one run takes from the cluster."""

    workers: Workers = Field(1, description="Processes that train together; part of the model's identity")
    cpusPerWorker: Cpus = Field(1.0, description="CPUs of each worker")
    gpusPerWorker: Gpus = Field(0.0, description="GPUs of each worker")
    memoryPerWorker: Memory | None = Field(
        None,
        description="Memory of each worker: reserved, and with loading: auto the bound by which rows stay in files; "
        "default: not said",
    )
    accelerator: Text | None = Field(None, description="Only nodes with this accelerator, e.g. H100; default: any")
    labels: dict[LabelKey, LabelSelector] = Field(
        {},
        max_length=50,
        description="Only nodes with these labels: value, !value, in(a, b) or !in(a, b) of each; default: any",
    )
    elastic: Elastic | None = Field(None, description="A range of workers, which goes before a fixed number of them")

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        range_ = self.elastic
        if range_ is not None and self.workers != 1 and not range_.min <= self.workers <= range_.max:
            raise ValueError(f"workers must lie between the {range_.min} and {range_.max} of elastic")
        return self

    @property
    def fewest(self) -> int:
        return self.elastic.min if self.elastic else self.workers

    @property
    def most(self) -> int:
        return self.elastic.max if self.elastic else self.workers


class Checkpoint(Strict):
    """What a run goes on from where a worker dies."""

    every: int = Field(
        1, ge=1, description="Checkpoint at every so-many-th report; a fit in rounds or epochs reports ten times"
    )
    keep: int = Field(2, ge=1, description="How many of the newest are kept")


class Retries(Strict):
    """What happens when a run's process is lost. Errors of code or data are not retried: they would come again."""

    limit: int = Field(2, ge=0, le=100, description="How often a run is started again")
    backoff: DurationOrZero = default_duration("30s", "How long to wait before that; it doubles each time")
