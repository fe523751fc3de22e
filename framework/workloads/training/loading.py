"""How the rows of a training set come to the workers: with the task, from files into memory, or from files a batch at a
time. Decided by measured size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import polars as pl

from framework.answers import ModelOutput
from framework.api.fields import format_memory, parse_memory
from framework.api.tasks import Task
from framework.api.trainers import TRAINER_FORMS
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.training import labels, shards
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.own_metrics import own_metrics
from framework.workloads.training.shards import Shards
from framework.workloads.training.trainer import FitSettings, Part, TrainingData

LARGE = 256 * 2**20
"""Bytes of a matrix from which on it goes by files."""
NEEDED = 3
"""A worker that has its rows in memory needs so many times their matrix: the matrix, what its library makes of it, and
what is copied on the way."""

_NONE = np.empty((0, 0))
_AGAIN = "again"
"""The part that a last fit learns from."""

Way = Literal["sent", "held", "streamed"]


def way(loading: str, dense: tuple[int, int], workers: int, memory: int | None, streams: bool) -> Way:
    """
    Args:
        loading: as the spec's ``dataset.loading`` has it: auto, memory or stream.
        dense: bytes of the training and of the validation part as matrices.
        memory: what a worker may take; None: not said.
        streams: the trainer can learn from batches.

    Raises:
        WorkloadError: "NotEnoughMemory", with both numbers.

    >>> way("auto", (1000, 100), 1, None, True), way("auto", (2**30, 2**20), 2, None, True)
    ('sent', 'held')
    >>> way("auto", (2**30, 2**20), 2, 2**30, True), way("stream", (1000, 100), 1, None, True)
    ('streamed', 'streamed')
    """
    share = dense[0] // workers + dense[1]
    fits = memory is None or NEEDED * share <= memory
    if loading == "stream" or (loading == "auto" and not fits and streams):
        return "streamed"
    if memory is not None and share > memory:
        told = f"a worker's rows take {share / 2**20:,.0f} MiB as a matrix, and resources.memoryPerWorker is"
        told = f"{told} {format_memory(memory)}"
        raise WorkloadError("NotEnoughMemory", f"{told}: give more, or more workers, or a trainer that streams")
    return "sent" if sum(dense) < LARGE else "held"


def placed(
    parts: Mapping[str, pl.DataFrame],
    dataset: TrainingSet,
    signature: Mapping[str, Any],
    output: ModelOutput,
    spec: Mapping[str, Any],
    trainer: str,
    folder: str,
) -> tuple[TrainingData | Shards, TrainingData, bool]:
    """What goes to the workers; the same as the run itself has it; and whether workers stream it. ``spec`` is that of
    the job, ``folder`` the run's."""
    chosen = {name: parts[name] for name in ("train", "validation")}
    width = 8 * len(signature["inputs"])
    train, validation = (part.height * width for part in chosen.values())
    resources = spec["resources"]
    found = way(
        spec["dataset"].get("loading", "auto"),
        (train, validation),
        int(resources["workers"]),
        parse_memory(resources["memoryPerWorker"]) if resources.get("memoryPerWorker") else None,
        TRAINER_FORMS[trainer].streams and output.task is not Task.RANKING,
    )
    encoder = models.Encoder(signature) if found == "sent" else None
    learn = _part(chosen["train"], encoder, output, spec["dataset"], weighted=True)
    own = own_metrics(spec["evaluation"], output, dataset.frame.columns)
    looked_at = own.rows(chosen["validation"])
    choose = replace(_part(chosen["validation"], encoder, output, spec["dataset"], weighted=False), rows=looked_at)
    categories = {
        index: len(column["categories"]) for index, column in enumerate(signature["inputs"]) if "categories" in column
    }
    data = TrainingData(learn, choose, dataset.inputs, categories, output, own)
    if found == "sent":
        return data, data, False
    place = f"{folder}/shards/{dataset.digest[:16]}"
    sizes = {
        name: shards.write(place, dataset.digest, name, chosen[name], part, signature)
        for name, part in (("train", learn), ("validation", choose))
    }
    written = Shards(place, sizes, signature, categories, output, own=own, rows=looked_at)
    return written, written.open(held=False), found == "streamed"


def replaced(
    sent: TrainingData | Shards,
    train: pl.DataFrame,
    dataset: TrainingSet,
    signature: Mapping[str, Any],
    spec: Mapping[str, Any],
) -> TrainingData | Shards:
    """What ``placed`` said goes to the workers, with the rows of ``train`` to learn from."""
    encoder = models.Encoder(signature) if isinstance(sent, TrainingData) else None
    part = _part(train, encoder, sent.output, spec["dataset"], weighted=True)
    if isinstance(sent, TrainingData):
        return replace(sent, train=part)
    sizes = shards.write(sent.folder, dataset.digest, _AGAIN, train, part, signature)
    return replace(sent, sizes={**sent.sizes, _AGAIN: sizes}, learn=_AGAIN)


def _part(
    frame: pl.DataFrame,
    encoder: models.Encoder | None,
    output: ModelOutput,
    spec: Mapping[str, Any],
    *,
    weighted: bool,
) -> Part:
    """Without its matrix where there is no ``encoder``."""
    return Part(
        _NONE if encoder is None else encoder.matrix(frame),
        output.truth(frame),
        labels.weights(frame, output, spec) if weighted else None,
        labels.lists(frame, spec.get("query"), output.task),
    )


def opened(data: TrainingData | Shards, settings: FitSettings) -> TrainingData:
    """As the trainer takes it, in the process that fits. Of several workers each then takes its share."""
    if isinstance(data, TrainingData):
        return data
    return data.open(held=settings.workers == 1 and not settings.stream)
