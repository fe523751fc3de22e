"""Train, validation and test: complete, disjoint, and in the same place every time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.tasks import Task
from framework.workloads.context import WorkloadError
from framework.workloads.training.dataset import TrainingSet
from framework.workloads.training.split import split, stratified_groups

FRACTIONS = {"train": 0.6, "validation": 0.2, "test": 0.2}
START = datetime(2013, 1, 1, tzinfo=UTC)


def of(frame: pl.DataFrame) -> TrainingSet:
    return TrainingSet(frame, ("carrier",), (), "delayed", "at", 0, "")


def dataset(rows: int = 200, step: timedelta = timedelta(hours=6), repeat: int = 1) -> TrainingSet:
    generator = np.random.default_rng(3)
    frame = pl.DataFrame(
        {
            "flight": range(rows),
            "at": [START + (index // repeat) * step for index in range(rows)],
            "carrier": [f"C{value}" for value in generator.integers(0, 20, rows)],
            "delayed": (generator.random(rows) < 0.25).astype(np.int8),
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )
    return of(frame)


@pytest.mark.parametrize(
    "form",
    [
        {"by": "time", "fractions": FRACTIONS},
        {"by": "time", "at": {"validation": "2013-02-01", "test": "2013-02-10"}},
        {"by": "random", "fractions": FRACTIONS},
        {"by": "stratified", "fractions": FRACTIONS},
        {"by": "group", "group": "carrier", "fractions": FRACTIONS},
        {"by": "group", "group": "carrier", "stratify": True, "fractions": FRACTIONS},
    ],
)
def test_every_row_is_in_exactly_one_part_and_always_the_same(form: dict[str, Any]) -> None:
    data = dataset()
    parts = split(data, form, seed=1)
    assert sorted(np.concatenate([part["flight"].to_numpy() for part in parts.values()])) == list(range(200))
    again = split(data, form, seed=1)
    assert all(parts[name].equals(again[name]) for name in parts)
    for part in parts.values():
        assert part["flight"].is_sorted()


def test_time_splits_never_let_the_future_in() -> None:
    parts = split(dataset(repeat=7), {"by": "time", "fractions": FRACTIONS}, seed=1)
    assert parts["train"]["at"].max() < parts["validation"]["at"].min()
    assert parts["validation"]["at"].max() < parts["test"]["at"].min()
    assert abs(parts["train"].height - 120) < 7


def test_dates_start_the_parts() -> None:
    form = {"by": "time", "at": {"validation": "2013-02-01", "test": "2013-02-10"}}
    parts = split(dataset(), form, seed=1)
    assert parts["validation"]["at"].min() == datetime(2013, 2, 1, tzinfo=UTC)
    assert parts["test"]["at"].min() == datetime(2013, 2, 10, tzinfo=UTC)


def test_the_seed_moves_random_rows() -> None:
    form = {"by": "random", "fractions": FRACTIONS}
    one, two = (split(dataset(), form, seed)["train"]["flight"].to_list() for seed in (1, 2))
    assert len(one) == len(two) == 120
    assert one != two


def test_stratified_parts_have_the_same_share() -> None:
    data = dataset(2000)
    parts = split(data, {"by": "stratified", "fractions": FRACTIONS}, seed=1)
    share = data.frame["delayed"].mean()
    assert all(part["delayed"].mean() == pytest.approx(share, abs=0.003) for part in parts.values())


@pytest.mark.parametrize("stratify", [False, True])
def test_no_group_is_in_two_parts(stratify: bool) -> None:
    form = {"by": "group", "group": "carrier", "stratify": stratify, "fractions": FRACTIONS}
    parts = split(dataset(2000), form, seed=1)
    groups = [set(part["carrier"]) for part in parts.values()]
    assert sum(len(group) for group in groups) == len(set().union(*groups))
    assert parts["train"].height == pytest.approx(1200, abs=150)


GROUP = st.lists(st.integers(0, 6), min_size=2, max_size=2).filter(any)


@given(st.lists(GROUP, min_size=1, max_size=6), st.permutations(range(6)))
def test_shares_are_kept_at_least_as_well_as_on_average_over_all_ways_to_deal_groups_out(
    groups: list[list[int]], order: list[int]
) -> None:
    counts, fractions = np.array(groups), np.array([0.6, 0.2, 0.2])
    found = stratified_groups(counts, list(fractions), np.array([place for place in order if place < len(groups)]))

    def missed(parts: Sequence[int]) -> float:
        dealt = np.zeros((3, 2))
        for part, group in zip(parts, counts, strict=True):
            dealt[part] += group / np.maximum(counts.sum(axis=0), 1)
        there = counts.sum(axis=0) > 0
        return float(((dealt - fractions[:, None]) ** 2)[:, there].sum())

    ways = list(itertools.product(range(3), repeat=len(groups)))
    average = sum(np.prod(fractions[list(way)]) * missed(way) for way in ways)
    assert min(map(missed, ways)) - 1e-9 <= missed(found.tolist()) <= average + 1e-9


@pytest.mark.parametrize("label", ["delayed", "kind"])
def test_groups_that_differ_in_their_classes_are_dealt_out_so_that_parts_do_not(label: str) -> None:
    generator, rows = np.random.default_rng(5), 4000
    machine = generator.integers(0, 120, rows)
    rare = generator.random(rows) < np.where(machine % 10 == 0, 0.5, 0.02)
    frame = dataset(rows).frame.with_columns(
        len=pl.Series(machine), delayed=pl.Series(rare).cast(pl.Int8), kind=pl.Series(np.where(rare, "worn", "fine"))
    )
    whole = of(frame) if label == "delayed" else replace(of(frame), label="kind", task=Task.MULTICLASS)
    for seed in range(5):
        parts = split(whole, {"by": "group", "group": "len", "stratify": True, "fractions": FRACTIONS}, seed)
        for name, part in parts.items():
            assert part.height / rows == pytest.approx(FRACTIONS[name], abs=0.02)
            share = part["delayed"].mean()
            assert share == pytest.approx(rare.mean(), abs=0.02)


def test_rows_without_a_group_are_one_that_stays_together() -> None:
    missing = dataset(400).frame.with_columns(
        carrier=pl.when(pl.col("flight") % 9 == 0).then(None).otherwise("carrier")
    )
    for stratify in (False, True):
        form = {"by": "group", "group": "carrier", "stratify": stratify, "fractions": FRACTIONS}
        parts = split(of(missing), form, seed=1)
        assert sorted(part["carrier"].null_count() for part in parts.values()) == [0, 0, 45]


@pytest.mark.parametrize(
    ("form", "reason", "told"),
    [
        (
            {"by": "time", "at": {"validation": "2013-02-01", "test": "2014-02-10"}},
            "EmptySplit",
            "the test part is empty",
        ),
        ({"by": "group", "group": "plane", "fractions": FRACTIONS}, "MissingColumn", "plane"),
    ],
)
def test_unusable_splits_are_named(form: dict[str, Any], reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        split(dataset(), form, seed=1)
    assert caught.value.reason == reason


def test_shares_of_a_number_are_none() -> None:
    numbers = replace(of(dataset().frame.with_columns(delayed=pl.col("flight") * 1.5)), task=Task.REGRESSION)
    form = {"by": "group", "group": "carrier", "stratify": True, "fractions": FRACTIONS}
    with pytest.raises(WorkloadError, match="stratify keeps shares of classes, and the task is regression") as caught:
        split(numbers, form, seed=1)
    assert caught.value.reason == "CannotStratify"


def test_a_part_with_one_class_is_refused() -> None:
    late = pl.when(pl.col("flight") > 150).then(0).otherwise("delayed").cast(pl.Int8).alias("delayed")
    with pytest.raises(WorkloadError, match="rows of the test part have delayed = 0") as caught:
        split(of(dataset().frame.with_columns(late)), {"by": "time", "fractions": FRACTIONS}, seed=1)
    assert caught.value.reason == "SingleClass"
