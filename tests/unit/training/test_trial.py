"""Which rows of a training set are kept to try a model on."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.workloads import models
from framework.workloads.training.trial import ROWS, trial_document

N = 1_000
START = datetime(2013, 1, 1, tzinfo=UTC)


def frame(rows: int = N) -> pl.DataFrame:
    numbers = list(range(rows))
    return pl.DataFrame(
        {
            "flight": numbers,
            "at": [START + timedelta(hours=hour) for hour in numbers],
            "day": [date(2013, 1, 1)] * rows,
            "temp": [None if number == 501 else number / 7 for number in numbers],
            "wind": [float("nan") if number == 777 else 1.0 for number in numbers],
            "carrier": [None if number in (11, 13) else "AA" for number in numbers],
            "late": [number % 2 for number in numbers],
        }
    )


def document(data: pl.DataFrame, nullable: tuple[str, ...] = ("temp", "wind", "carrier")) -> dict[str, Any]:
    inputs = [name for name in ("temp", "wind", "carrier") if name in data.columns]
    signature = models.signature_of(data, inputs, list(nullable), ModelOutput("late"))
    for column in signature["inputs"]:
        column["nullable"] = column["name"] in nullable
    return trial_document(data, signature, "late")


def test_some_are_spread_over_all_and_every_gap_is_among_them() -> None:
    found = document(frame())
    assert found["inputs"] == ["temp", "wind", "carrier"]
    flights = [row["flight"] for row in found["rows"]]
    assert len(flights) <= ROWS
    assert {0, N - 1, 501, 777, 11} <= set(flights)
    assert flights == sorted(flights), "in the order of the set"
    assert max(later - earlier for earlier, later in pairwise(flights)) <= N / 8


def test_rows_are_as_callers_would_write_them_and_the_label_is_none_of_it() -> None:
    rows = document(frame())["rows"]
    assert rows == json.loads(json.dumps(rows, allow_nan=False))
    assert rows[0] == {
        "flight": 0,
        "at": "2013-01-01T00:00:00+00:00",
        "day": "2013-01-01",
        "temp": 0.0,
        "wind": 1.0,
        "carrier": "AA",
    }
    assert [row["wind"] for row in rows if row["flight"] == 777] == [None]


def test_a_gap_that_callers_may_not_leave_is_no_row_to_try() -> None:
    flights = [row["flight"] for row in document(frame(), nullable=("temp",))["rows"]]
    assert 501 in flights
    assert not {777, 11, 13} & set(flights)


@pytest.mark.parametrize("rows", [1, 7, ROWS, ROWS + 1])
def test_a_small_set_is_kept_as_a_whole(rows: int) -> None:
    found = [row["flight"] for row in document(frame(rows))["rows"]]
    assert found == (list(range(rows)) if rows <= ROWS else sorted(set(found)))
    assert ROWS // 2 <= len(found) <= ROWS or rows < ROWS // 2


def test_equal_sets_keep_equal_rows() -> None:
    assert document(frame()) == document(frame())


def test_many_gaps_do_not_make_it_large() -> None:
    data = frame().with_columns(pl.lit(None, pl.Float64).alias(f"x{number}") for number in range(100))
    inputs = [f"x{number}" for number in range(100)]
    signature = models.signature_of(data, inputs, inputs, ModelOutput("late"))
    assert len(trial_document(data, signature, "late")["rows"]) <= ROWS
