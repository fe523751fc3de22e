"""The live model whose inputs are gone is asked the same rows as the tables have them that it was trained on."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from framework.answers import Matrix
from framework.api.tasks import Task
from framework.scores import Answered
from framework.workloads import models
from framework.workloads.training.champion import live_answers
from framework.workloads.training.dataset import build
from tests.unit.training.tables import published

START = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = 200
KEYS = ("at", "trip é")
SIGNATURE = {
    "inputs": [
        {"name": "speed", "dtype": "Float64", "nullable": False},
        {"name": "rain", "dtype": "Float64", "nullable": True},
    ],
    "output": {"name": "late", "kind": "probability"},
}


def trips() -> pl.DataFrame:
    generator = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "trip é": np.arange(ROWS),
            "at": [START + timedelta(hours=hour) for hour in range(ROWS)],
            "speed": generator.normal(size=ROWS),
            "late": generator.integers(0, 2, ROWS),
        },
        schema_overrides={"at": pl.Datetime("us", "UTC")},
    )


def weather() -> pl.DataFrame:
    at = [START + timedelta(hours=hour) for hour in range(-1, ROWS)]
    return pl.DataFrame({"at": at, "rain": np.arange(len(at)) * 1.0}, schema_overrides={"at": pl.Datetime("us", "UTC")})


@pytest.fixture
def champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Answers with the rain that it is asked with, as a share."""

    def load(*_: Any) -> models.Predictor:
        return models.Predictor(answer, SIGNATURE)

    def answer(matrix: Matrix) -> Matrix:
        return matrix[:, 1] / 1_000

    monkeypatch.setattr(models, "load", load)
    views = {
        "trips": published(tmp_path, "trips", trips().with_columns(place=pl.lit("x")), ["trip é"], "at"),
        "weather": published(tmp_path, "weather", weather().with_columns(place=pl.lit("x")), ["place"], "at"),
    }
    dataset = {
        "spine": "trips",
        "columns": ["speed"],
        "features": [{"view": "weather", "columns": ["rain"]}],
        "label": "late",
        "window": {"last": "1d"},
        "split": {"by": "time"},
    }
    file = {"artifact": "/m", "sha256": "0", "format": "skops", "signature": SIGNATURE}
    return {"version": "v1", **file, "own": {"dataset": dataset, "views": views}}


def test_rows_are_looked_up_in_what_it_was_trained_on(champion: dict[str, Any]) -> None:
    test = trips()[50:150].sample(fraction=1.0, shuffle=True, seed=3)
    found = live_answers(champion, test, keys=KEYS)
    assert found.answered is not None
    own = champion["own"]
    whole = build({**own["dataset"], "window": {"from": "2026-01-01", "to": "2026-02-01"}}, own["views"]).frame
    rain = dict(zip(whole["trip é"].to_list(), whole["rain"].to_list(), strict=True))
    assert found.answered.given.tolist() == [rain[trip] / 1_000 for trip in test["trip é"].to_list()]
    assert found.answered.truth.tolist() == test["late"].to_list()
    assert found.told == (
        "on 100 of 100 test rows as the tables have them that it was trained on (trips version 0, weather version 0), "
        "for it needs rain, which this training set does not have"
    )


def test_a_column_that_is_something_else_now_is_looked_up_too(champion: dict[str, Any]) -> None:
    found = live_answers(champion, trips()[:20].with_columns(rain=pl.lit("much")), keys=KEYS)
    assert found.answered is not None
    assert found.told.endswith("for it knows rain as Float64, this training set has String")


def test_where_it_knows_some_of_the_rows_both_are_measured_on_these(champion: dict[str, Any]) -> None:
    later = trips()[150:].with_columns(pl.col("trip é") + 25)
    found = live_answers(champion, pl.concat([later, trips()[:10]]), keys=KEYS)
    assert found.answered is not None
    assert found.rows is not None
    assert found.rows.tolist() == list(range(50, 60))
    ours = Answered(np.zeros(60), np.arange(60.0))
    assert found.beside(ours).given.tolist() == list(range(50, 60))
    assert len(found.answered.truth) == 10


def test_rows_that_cannot_be_told_apart_are_left_out(champion: dict[str, Any]) -> None:
    found = live_answers(champion, pl.concat([trips()[:10], trips()[:2]]), keys=KEYS)
    assert found.rows is not None
    assert found.rows.tolist() == list(range(2, 10))


def test_a_table_that_is_gone_is_told(champion: dict[str, Any], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "weather")
    found = live_answers(champion, trips()[:20], keys=KEYS)
    assert found.answered is None
    assert "needs rain, which this training set does not have; the tables that it was trained on cannot be read" in (
        found.problem
    )


@pytest.mark.parametrize(
    ("change", "keys", "told"),
    [
        ({}, ("at", "speed"), "; the rows that it was trained on go by at, trip é, these by at, speed"),
        ({"own": None}, KEYS, "needs rain, which this training set does not have"),
        ({}, (), "needs rain, which this training set does not have"),
    ],
)
def test_where_rows_cannot_be_looked_up_it_is_not_asked(
    champion: dict[str, Any], change: dict[str, Any], keys: tuple[str, ...], told: str
) -> None:
    found = live_answers({**champion, **change}, trips()[:20], keys=keys)
    assert found.answered is None
    assert found.problem.endswith(told)


def test_rows_that_nobody_knew_are_told(champion: dict[str, Any]) -> None:
    found = live_answers(champion, trips()[:20].with_columns(pl.col("trip é") + 10_000), keys=KEYS)
    assert found.problem.endswith("; the tables that it was trained on know none of the test rows")


def test_a_model_of_another_task_is_not_asked(champion: dict[str, Any]) -> None:
    found = live_answers(champion, trips()[:20], Task.REGRESSION, keys=KEYS)
    assert found.problem == "the live model v1 is a model of binary, this one of regression"
