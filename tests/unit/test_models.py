"""Model files: verified, safe, quick, and asked with typed rows."""

from __future__ import annotations

import copy
import math
import pickle
import time
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from framework.answers import ModelOutput
from framework.workloads import models
from framework.workloads.context import WorkloadError
from framework.workloads.formats import FORMATS, skops

SIGNATURE: dict[str, Any] = {
    "inputs": [
        {"name": "carrier", "dtype": "String", "nullable": True, "categories": ["AA", "UA"]},
        {"name": "hour", "dtype": "Int32", "nullable": False},
        {"name": "delay", "dtype": "Float64", "nullable": True},
        {"name": "night", "dtype": "Boolean", "nullable": False},
    ],
    "output": {"name": "delayed", "kind": "probability", "task": "binary"},
}
ROW = {"carrier": "AA", "hour": 5, "delay": 1.5, "night": False}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    generator = np.random.default_rng(1)
    rows = 2_000
    return pl.DataFrame(
        {
            "carrier": generator.choice(["AA", "UA"], rows),
            "hour": generator.integers(0, 24, rows).astype(np.int32),
            "delay": generator.normal(size=rows),
            "night": generator.random(rows) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def booster(frame: pl.DataFrame) -> lightgbm.Booster:
    matrix = models.Encoder(SIGNATURE).matrix(frame)
    label = (matrix[:, 2] + matrix[:, 0] > 0.5).astype(float)
    params = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(matrix, label, categorical_feature=[0]), 50)


@pytest.fixture
def saved(booster: lightgbm.Booster, tmp_path: Path) -> tuple[str, str]:
    return models.save(str(tmp_path), booster.model_to_string().encode(), "lightgbm-text")


def test_what_was_missing_in_training_may_be_missing_in_a_request() -> None:
    """NaN included: JSON has none, so a row like those of the training set could not be asked about otherwise."""
    frame = pl.DataFrame({"nan": [1.0, math.nan], "null": [1, None], "both": [math.nan, None], "full": [1.0, 2.0]})
    signature = models.signature_of(frame, ["nan", "null", "both", "full"], (), ModelOutput("late"))
    assert [column["nullable"] for column in signature["inputs"]] == [True, True, True, False]
    assert models.check_rows([{"nan": None, "null": None, "full": 1.0}], signature) == []


def test_a_model_predicts_the_same_after_saving(
    frame: pl.DataFrame, booster: lightgbm.Booster, saved: tuple[str, str]
) -> None:
    predictor = models.load(*saved, "lightgbm-text", SIGNATURE)
    expected = booster.predict(models.Encoder(SIGNATURE).matrix(frame))
    found = predictor.predict(frame)
    assert found.dtype == np.float64
    assert np.array_equal(found, expected)
    assert predictor.predict(frame.clear()).shape == (0,)


def test_a_changed_byte_is_refused(saved: tuple[str, str]) -> None:
    path = Path(saved[0])
    path.write_bytes(path.read_bytes().replace(b"tree", b"trea", 1))
    with pytest.raises(WorkloadError, match="not loaded") as caught:
        models.load(*saved, "lightgbm-text", SIGNATURE)
    assert caught.value.reason == "ArtifactMismatch"


@pytest.mark.parametrize(
    ("artifact", "format", "reason"),
    [("none.txt", "lightgbm-text", "ArtifactMissing"), ("none.txt", "pickle", "UnknownFormat")],
)
def test_what_cannot_be_loaded_is_named(tmp_path: Path, artifact: str, format: str, reason: str) -> None:
    with pytest.raises(WorkloadError) as caught:
        models.load(str(tmp_path / artifact), "0" * 64, format, SIGNATURE)
    assert caught.value.reason == reason


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    for format in FORMATS:
        artifact, sha256 = models.save(str(tmp_path), b"hello", format)
        with pytest.raises(WorkloadError) as caught:
            models.load(artifact, sha256, format, SIGNATURE)
        assert caught.value.reason == "ArtifactUnreadable"


def test_a_sklearn_model_survives_without_pickle(frame: pl.DataFrame, tmp_path: Path) -> None:
    matrix = models.Encoder(SIGNATURE).matrix(frame)
    model = LogisticRegression().fit(matrix, (matrix[:, 2] > 0).astype(int))
    artifact, sha256 = models.save(str(tmp_path), skops.dump(model), "skops")
    found = models.load(artifact, sha256, "skops", SIGNATURE).predict(frame)
    assert np.array_equal(found, model.predict_proba(matrix)[:, 1])


class Foreign(LogisticRegression):
    """Not scikit-learn's own type: loading it would import and run this module."""


def test_types_that_could_run_code_are_refused_both_ways(frame: pl.DataFrame, tmp_path: Path) -> None:
    from skops.io import dumps

    matrix = models.Encoder(SIGNATURE).matrix(frame)
    foreign = Foreign().fit(matrix, (matrix[:, 2] > 0).astype(int))
    with pytest.raises(WorkloadError, match="Foreign"):
        skops.dump(foreign)
    artifact, sha256 = models.save(str(tmp_path), bytes(dumps(foreign)), "skops")
    with pytest.raises(WorkloadError, match="Foreign") as caught:
        models.load(artifact, sha256, "skops", SIGNATURE)
    assert caught.value.reason == "UntrustedTypes"


def test_unseen_and_missing_values_are_missing() -> None:
    frame = models.frame_of([ROW, {**ROW, "carrier": "ZZ"}, {"hour": 7, "night": True}], SIGNATURE)
    matrix = models.Encoder(SIGNATURE).matrix(frame)
    assert matrix[0].tolist() == [0.0, 5.0, 1.5, 0.0]
    assert math.isnan(matrix[1, 0])
    assert np.isnan(matrix[2]).tolist() == [True, False, True, False]


def test_the_signature_is_what_the_rows_are(frame: pl.DataFrame) -> None:
    with_gaps = frame.with_columns(delay=pl.lit(None, pl.Float64))
    assert models.signature_of(with_gaps, frame.columns, ["carrier"], ModelOutput("delayed")) == SIGNATURE
    with pytest.raises(WorkloadError, match="took is Duration; a model input is"):
        models.signature_of(
            pl.DataFrame({"took": [None]}, schema={"took": pl.Duration}), ["took"], [], ModelOutput("delayed")
        )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"flight_id": 7}, None),
        ({"delay": 3}, None),
        ({"hour": 5.0}, None),
        ({"carrier": None, "delay": None}, None),
        ({"hour": None}, "instances[0].hour is null; Int32 is required"),
        ({"hour": 5.5}, "instances[0].hour must be Int32, found number '5.5'"),
        ({"hour": 2**31}, "instances[0].hour must be Int32"),
        ({"hour": True}, "found Boolean"),
        ({"hour": "5"}, "found text '5'"),
        ({"delay": float("nan"), "carrier": float("nan")}, None),
        ({"hour": float("nan")}, "instances[0].hour is NaN; Int32 is required"),
        ({"delay": float("inf")}, "instances[0].delay must be Float64, found number 'inf'"),
        ({"night": 1}, "instances[0].night must be Boolean, found number"),
        ({"carrier": ["AA"]}, "instances[0].carrier must be String, found list"),
    ],
)
def test_rows_are_checked_field_by_field(change: dict[str, Any], told: str | None) -> None:
    problems = models.check_rows([{**ROW, **change}], SIGNATURE)
    assert (problems == []) if told is None else (len(problems) == 1 and told in problems[0])


@pytest.mark.parametrize(
    ("value", "dtype", "found"),
    [
        (np.int64(3), "Int64", 3),
        (np.uint64(2**64 - 1), "UInt64", 2**64 - 1),
        (np.float32(0.5), "Float64", 0.5),
        (np.float64(3), "Int8", 3),
        (np.bool_(True), "Boolean", True),
        (np.str_("AA"), "String", "AA"),
        (np.float32("nan"), "Int8", None),
        (float("nan"), "Float64", None),
        (float("nan"), "Boolean", None),
        (float("nan"), "String", None),
        (3.4028235e38, "Float32", 3.4028234663852886e38),
        (2**53 + 1, "Float64", float(2**53)),
    ],
)
def test_values_are_taken_as_what_they_are(value: Any, dtype: str, found: Any) -> None:
    """Numbers of numpy as numbers, NaN as missing, and what a column can only hold nearly as the nearest it can."""
    signature = {"inputs": [{"name": "x", "dtype": dtype, "nullable": True, "categories": ["AA"]}]}
    assert models.check_rows([{"x": value}], signature) == []
    assert models.frame_of([{"x": value}], signature)["x"].to_list() == [found]


@pytest.mark.parametrize(
    ("value", "dtype", "told"),
    [
        (1e39, "Float32", "must be Float32, found number '1e+39'"),
        (-(10**39), "Float32", "must be Float32, found number '-1000"),
        (2.0**128 - 2.0**103, "Float32", "must be Float32"),
        (np.float64("-inf"), "Float64", "must be Float64"),
        (np.int64(128), "Int8", "must be Int8, found numpy.int64 '128'"),
        (np.bool_(True), "Int8", "must be Int8, found numpy.bool 'True'"),
        ("a\ud800", "String", "x holds half a surrogate pair, which is no text: 'a\\ud800'"),
        (np.array([1.0]), "Float64", "must be Float64, found numpy.ndarray '[1.]'"),
    ],
)
def test_values_that_do_not_fit_are_named_with_their_type(value: Any, dtype: str, told: str) -> None:
    signature = {"inputs": [{"name": "x", "dtype": dtype, "nullable": True}]}
    (problem,) = models.check_rows([{"x": value}], signature)
    assert told in problem


def test_every_problem_of_every_row_is_told() -> None:
    row = dict(ROW)
    del row["hour"]
    problems = models.check_rows([row, "no row", {**ROW, "night": "x"}], SIGNATURE)
    assert [problem.split(" ")[0] for problem in problems] == [
        "instances[0].hour",
        "instances[1]",
        "instances[2].night",
    ]
    assert "is missing" in problems[0]


def test_one_row_takes_less_than_a_millisecond(saved: tuple[str, str]) -> None:
    predictor = models.load(*saved, "lightgbm-text", SIGNATURE)
    row = models.frame_of([ROW], SIGNATURE)
    predictor.predict(row)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        predictor.predict(row)
        times.append(time.perf_counter() - began)
    assert sorted(times)[100] < 0.001


def test_errors_keep_their_reason_between_processes() -> None:
    error = WorkloadError("WrongType", "no number", data={"column": "delay"})
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (again.reason, str(again), again.kind, again.data) == (
            "WrongType",
            "no number",
            error.kind,
            {"column": "delay"},
        )
