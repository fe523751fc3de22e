"""Which rows the fits of a cross-validation learn from, and which they are measured on."""

from __future__ import annotations

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
from framework.workloads.training.folds import Fold, folds
from framework.workloads.training.split import split

START = datetime(2013, 1, 1, tzinfo=UTC)


def dataset(hours: list[int], labels: list[Any] | None = None, task: Task = Task.BINARY, **more: Any) -> TrainingSet:
    at = pl.Series([START + timedelta(hours=hour) for hour in hours], dtype=pl.Datetime("us", "UTC"))
    values = [place % 2 for place in range(len(hours))] if labels is None else labels
    frame = pl.DataFrame({"at": at, "late": values, **more})
    return TrainingSet(frame, ("at",), (), "late", "at", 0, "", task)


def made(known: TrainingSet, by: dict[str, Any], number: int, **asked: Any) -> list[Fold]:
    return folds(known.frame, known, by, {"folds": number, **asked}, 7)


def rows(fold: Fold) -> tuple[list[int], list[int]]:
    return fold.learn.tolist(), fold.held.tolist()


def test_by_time_each_fit_learns_from_all_that_is_earlier() -> None:
    found = made(dataset(list(range(12))), {"by": "time"}, 3)
    assert [rows(fold) for fold in found] == [
        ([0, 1, 2], [3, 4, 5]),
        ([0, 1, 2, 3, 4, 5], [6, 7, 8]),
        ([0, 1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11]),
    ]


@pytest.mark.parametrize("where", [{"gap": "2h"}, {}])
def test_what_lies_in_the_gap_is_not_learned_from(where: dict[str, str]) -> None:
    by = {"by": "time"} if where else {"by": "time", "gap": "2h"}
    found = made(dataset(list(range(16))), by, 3, **where)
    assert [(fold.learn[-1], fold.held[0]) for fold in found] == [(2, 4), (6, 8), (10, 12)]


@given(
    hours=st.lists(st.integers(0, 40), min_size=40, max_size=80),
    number=st.integers(2, 5),
    gap=st.sampled_from(["0s", "1h", "5h"]),
)
def test_by_time_nothing_is_learned_that_is_not_earlier_and_no_row_is_measured_twice(
    hours: list[int], number: int, gap: str
) -> None:
    known = dataset(sorted(hours), [float(place % 7) for place in range(len(hours))], Task.REGRESSION)
    at = np.array(sorted(hours))
    try:
        found = made(known, {"by": "time"}, number, gap=gap)
    except WorkloadError as error:
        if error.reason not in ("EmptyFold", "ConstantLabel"):
            raise
        return
    held = np.concatenate([fold.held for fold in found])
    assert len(held) == len(set(held.tolist()))
    assert held[-1] == len(at) - 1
    for fold in found:
        assert at[fold.held].min() - at[fold.learn].max() >= max(1, int(gap[0]))


@pytest.mark.parametrize(
    "by",
    [
        {"by": "random"},
        {"by": "stratified"},
        {"by": "group", "group": "plane"},
        {"by": "group", "group": "plane", "stratify": True},
    ],
)
def test_otherwise_each_row_is_measured_once_by_a_fit_that_has_not_seen_it(by: dict[str, str]) -> None:
    labels = [place % 4 == 0 for place in range(60)]
    known = dataset(list(range(60)), labels, plane=[place // 6 if place > 5 else None for place in range(60)])
    found = made(known, by, 5)
    assert sorted(np.concatenate([fold.held for fold in found]).tolist()) == list(range(60))
    for fold in found:
        assert set(fold.learn.tolist()) | set(fold.held.tolist()) == set(range(60))
        assert not set(fold.learn.tolist()) & set(fold.held.tolist())
        if by["by"] == "stratified":
            assert known.frame["late"][fold.held].sum() == 3
        if by["by"] == "group":
            of = known.frame["plane"].fill_null(-1)
            assert not set(of[fold.learn].to_list()) & set(of[fold.held].to_list())
    again = made(known, by, 5)
    assert [rows(fold) for fold in found] == [rows(fold) for fold in again]


@pytest.mark.parametrize(
    ("known", "by", "reason", "told"),
    [
        (
            dataset(list(range(20)), [0] * 10 + [1] * 10),
            {"by": "time"},
            "SingleClass",
            "fold 1 of 4: all 4 rows of the train part have late = 0",
        ),
        (
            dataset(list(range(20)), ["a", "b"] * 8 + ["c", "a", "b", "c"], Task.MULTICLASS),
            {"by": "time"},
            "MissingClass",
            "fold 4 of 4: the held-out part has rows with late = c, of which the train part has none",
        ),
        (dataset([1, 1, 1, 1]), {"by": "time"}, "EmptyFold", "fold 1 of 4 has no rows to learn from, of 4 in all"),
        (dataset(list(range(8))), {"by": "time", "gap": "7d"}, "EmptyFold", "fold 1 of 4 has no rows to learn from"),
        (dataset([1, 2, 3]), {"by": "random"}, "EmptyFold", "3 rows cannot be divided into 4 folds"),
        (
            dataset(list(range(9)), plane=["Ü b"] * 3 + [None] * 6),
            {"by": "group", "group": "plane"},
            "EmptyFold",
            "2 values of plane cannot be divided into 4 folds",
        ),
        (
            dataset(list(range(9)), [0, 1, 0, 0, 1, 0, 1, 0, 1]),
            {"by": "group", "group": "at"},
            "SingleClass",
            "of 4: all",
        ),
        (dataset(list(range(9)), [0] * 8 + [1]), {"by": "stratified"}, "SingleClass", "of 4: all"),
    ],
)
def test_a_fold_that_is_no_use_is_named(known: TrainingSet, by: dict[str, str], reason: str, told: str) -> None:
    with pytest.raises(WorkloadError, match=told) as caught:
        made(known, by, 4)
    assert caught.value.reason == reason


def test_rows_in_the_gap_before_the_next_part_are_in_none() -> None:
    known = dataset([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    parts = split(known, {"by": "time", "fractions": {"train": 0.4, "validation": 0.3, "test": 0.3}, "gap": "2h"}, 1)
    hours = {name: [int(row.hour) for row in part["at"].to_list()] for name, part in parts.items()}
    assert hours == {"train": [0, 1, 2], "validation": [4, 5], "test": [7, 8, 9]}


@given(st.lists(st.integers(0, 60), min_size=30, max_size=60), st.integers(0, 8))
def test_between_two_parts_there_is_the_gap(hours: list[int], gap: int) -> None:
    known = dataset(sorted(hours), [float(place % 7) for place in range(len(hours))], Task.REGRESSION)
    by = {"by": "time", "fractions": {"train": 0.5, "validation": 0.25, "test": 0.25}}
    try:
        parts = split(known, {**by, "gap": f"{gap}h"}, 1)
        whole = split(known, by, 1)
    except WorkloadError as error:
        if error.reason not in ("EmptySplit", "ConstantLabel"):
            raise
        return
    for earlier, later in (("train", "validation"), ("validation", "test")):
        between = parts[later]["at"].min() - parts[earlier]["at"].max()  # type: ignore[operator]
        assert between >= timedelta(hours=gap)
        assert parts[later]["at"].min() == whole[later]["at"].min(), "only what is earlier is left out"
    assert parts["test"].equals(whole["test"])
