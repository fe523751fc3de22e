"""Whatever dtype an input has: a row of a training set and the same row as a request are one row to the model."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.answers import ModelOutput
from framework.workloads import models
from framework.workloads.features.dtypes import DTYPES
from framework.workloads.training.trial import ROWS, trial_document


def values(word: str) -> st.SearchStrategy[Any]:
    if word in models.NUMBERS and "Int" in word:
        return st.integers(*limits(word))
    found: dict[str, st.SearchStrategy[Any]] = {
        "Boolean": st.booleans(),
        "Float32": st.floats(width=32, allow_infinity=False),
        "Float64": st.floats(allow_infinity=False),
        "String": st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        "Date": st.dates(),
        "Datetime": st.datetimes(timezones=st.just(UTC)),
    }
    return found[word]


def limits(word: str) -> tuple[int, int]:
    bits = int(word.rpartition("t")[2])
    return (0, 2**bits - 1) if word.startswith("U") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


@pytest.mark.parametrize("word", DTYPES)
@given(data=st.data())
def test_a_request_is_encoded_as_the_row_was_that_it_repeats(word: str, data: st.DataObject) -> None:
    column = data.draw(st.lists(st.none() | values(word), min_size=1, max_size=ROWS))
    frame = pl.DataFrame({"x": pl.Series(column, dtype=DTYPES[word]), "y": [1] * len(column)})
    signature = models.signature_of(frame, ["x"], ["x"], ModelOutput("y"))
    sent = json.loads(json.dumps(trial_document(frame, signature, "y")["rows"]))
    assert models.check_rows(sent, signature) == []
    asked = models.frame_of(sent, signature)
    assert asked.schema["x"] == DTYPES[word]
    encoder = models.Encoder(json.loads(json.dumps(signature)))
    assert np.array_equal(encoder.matrix(asked), encoder.matrix(frame), equal_nan=True)


@given(
    st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.booleans(), st.lists(st.none()), st.dates()),
    st.sampled_from(["Date", "Datetime"]),
)
def test_what_is_no_date_is_refused_with_the_field_and_never_raised(value: Any, word: str) -> None:
    signature = {"inputs": [{"name": "x", "dtype": word, "nullable": False}]}
    problems = models.check_rows([{"x": value}], signature)
    if problems:
        assert problems[0].startswith("instances[0].x ")
    else:
        found = models.frame_of([{"x": value}], signature)["x"][0]
        assert isinstance(found, datetime if word == "Datetime" else date)
