"""What is known of a version before there is a model: found while workers fit, so that nobody waits for it after."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl

from framework import scores
from framework.api.trainers import TRAINER_FORMS
from framework.ports import TrainRequest
from framework.workloads import models, profiling
from framework.workloads.profiling import ColumnProfiles
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.leakage import PartsLook, look_at
from framework.workloads.training.tuning import SearchResult

REFERENCE_PERIOD = timedelta(days=7)
"""Natural movement of a column is learned from week to week."""


@dataclass(frozen=True)
class Beforehand:
    """``inputs`` as the rows have them that are learned from; ``parts``: what is seen of them; ``search``: what is kept
    of it beside its trials, None where there was none."""

    inputs: ColumnProfiles
    parts: PartsLook
    search: dict[str, Any] | None


def known_before(
    asked: TrainRequest,
    trainer: str,
    dataset: TrainingSet,
    parts: Mapping[str, pl.DataFrame],
    learned: Sequence[str],
    signature: models.Signature,
    found: SearchResult | None,
) -> Beforehand:
    """``learned`` are the parts that are learned from."""
    load(trainer)
    rows = pl.concat([parts[name] for name in learned])
    spine = asked.views[asked.spec["dataset"]["spine"]]
    return Beforehand(
        profiling.reference_of(rows, dataset.time, dataset.inputs, REFERENCE_PERIOD),
        look_at(parts, learned, signature, spine.entities, asked.seed),
        found.told(asked.spec["tune"]) if found else None,
    )


def load(trainer: str) -> None:
    """What judging and profiling take."""
    package = TRAINER_FORMS[trainer].package
    if package is not None:
        with contextlib.suppress(ImportError):
            importlib.import_module(package)
    scores.warm()
    profiling.warm()


def profiled(rows: pl.DataFrame, time: str | None, predictor: models.Predictor) -> ColumnProfiles:
    """What a model says of the rows that it learned from, under the output's name: serving profiles the same."""
    answers = predictor.output.profiled(predictor.predict(rows))
    timed = answers.to_frame() if time is None else rows.select(time).with_columns(answers)
    return profiling.reference_of(timed, time, [answers.name], REFERENCE_PERIOD)
