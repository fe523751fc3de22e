"""Columns without a value, and values that are no number for most: learned from, or told by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.formats import known
from framework.workloads.training.trainer import FitSettings, Part, TrainingData
from framework.workloads.training.trainers import TRAINERS
from tests.unit.training.test_shards import FITS
from tests.unit.training.test_tasks import Reports
from tests.unit.training.test_trainers import DATA


def with_column(column: int, value: float, rows: slice) -> TrainingData:
    def part(given: Part) -> Part:
        x = given.x.copy()
        x[rows, column] = value
        return replace(given, x=x)

    return replace(DATA, train=part(DATA.train), validation=part(DATA.validation))


def fitted(name: str, data: TrainingData) -> None:
    settings: FitSettings = FITS[name]
    artifact = TRAINERS[name].fit(data, settings, Reports())
    answers = known(artifact.format).load(artifact.data, data.output)(data.validation.x)
    assert np.isfinite(answers).all()


@pytest.mark.parametrize("name", FITS)
def test_a_column_without_any_value_teaches_nothing_and_harms_nothing(name: str) -> None:
    nothing = with_column(2, np.nan, slice(None))
    fitted(name, nothing)
    if name != "torch":  # where one column is enough to see it: exporting a network takes seconds
        fitted(name, replace(with_column(0, np.nan, slice(None)), categories={0: 0}))


@pytest.mark.parametrize("name", FITS)
def test_an_infinite_value_is_a_very_large_one_or_told_with_its_column(name: str) -> None:
    infinite = with_column(2, np.inf, slice(0, 3))
    if name != "sklearn":
        fitted(name, infinite)
        return
    with pytest.raises(WorkloadError, match=r"wind is infinite in 6 rows, .* make it null in the view") as caught:
        fitted(name, infinite)
    assert caught.value.reason == "InfiniteInput"
