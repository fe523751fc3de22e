"""An input of each dtype that a view can declare: trained, judged, served, profiled, watched, and on the card."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.backends.profiles.store import Profiles
from framework.drift.verdict import DriftFinding, DriftRules, judge_window
from framework.workloads import models, temporal
from framework.workloads.context import RunContext, WorkloadError
from framework.workloads.features.dtypes import DTYPES, select_declared
from framework.workloads.serving.model import ModelReplica
from framework.workloads.training import train
from tests.unit.training.tables import published
from tests.unit.training.test_train import fit

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
ROWS = 1200


def value(word: str, row: int) -> Any:
    match word:
        case "Boolean":
            return row % 2 == 0
        case "String":
            return "abc"[row % 3]
        case "Date":
            return date(2024, 1, 1) + timedelta(days=row * 7 % 50)
        case "Datetime":
            return BEGIN + timedelta(seconds=row * 7919 % 90_000, microseconds=row % 3)
    return row * 13 % 97


def rows(begin: int = 0) -> pl.DataFrame:
    """``xDTYPE`` of each dtype, every ninth value missing; ``late`` follows from the date."""
    numbers = range(begin, begin + ROWS)
    columns = {
        f"x{word}": pl.Series([None if row % 9 == 4 else value(word, row) for row in numbers], dtype=dtype)
        for word, dtype in DTYPES.items()
    }
    late = [int(row * 7 % 50 > 25) for row in numbers]
    at = pl.Series([BEGIN + timedelta(minutes=row) for row in numbers], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"id": pl.Series(numbers, dtype=pl.Int64), "at": at, "late": late, **columns})


INPUTS = [f"x{word}" for word in DTYPES]
TRAINERS = {
    "lightgbm": {"lightgbm": {"params": {"min_data_in_leaf": 20}, "rounds": 20}},
    "xgboost": {"xgboost": {"params": {}, "rounds": 20}},
    "sklearn": {"sklearn": {"estimator": "sklearn.tree.DecisionTreeClassifier", "params": {"max_depth": 5}}},
}


@pytest.fixture(params=TRAINERS)
def ran(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(train.cluster, "join", lambda: None)
    monkeypatch.setattr(train.cluster, "require", lambda *_: None)
    monkeypatch.setattr(train, "fit", fit)
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    spec = {
        "dataset": {
            "spine": "rows", "columns": INPUTS, "label": "late", "window": {"from": "2024-01-01", "to": "2025-01-01"},
            "split": {"by": "random", "fractions": fractions},
        },
        "trainer": TRAINERS[request.param], "resources": {"workers": 1, "cpusPerWorker": 1}, "evaluation": {},
        "checkpoint": {"every": 1, "keep": 2},
    }  # fmt: skip
    payload = {
        "training": "delay", "identity": "i", "build": "b", "spec": spec, "seed": 1, "commit": "c0ffee0000",
        "views": {"rows": published(tmp_path, "rows", rows(), ["id"], "at")}, "model_folder": str(tmp_path / "model"),
    }  # fmt: skip
    context = RunContext("b", 1, payload, str(tmp_path), str(tmp_path / "run"), {}, lambda done, told: None)
    return json.loads(json.dumps(dict(train.run(context))))


def test_an_input_of_each_dtype_goes_all_the_way(ran: dict[str, Any], tmp_path: Path) -> None:
    signature = ran["signature"]
    assert {column["name"]: column["dtype"] for column in signature["inputs"]} == {f"x{w}": w for w in DTYPES}
    assert ran["metrics"]["auc"] > 0.8
    card = (tmp_path / "model" / "README.md").read_text()
    assert "xDate | Date (days since 1970) | yes" in card
    assert "xDatetime | Datetime (seconds since 1970) | yes" in card

    later = rows(ROWS)
    sent = [{key: told(item) for key, item in row.items()} for row in later.to_dicts()]
    arguments = {
        "deployment": "delay", "app": "delay-a", "version": "delay@1", "signature": signature, "transformer": None,
        "artifact": ran["artifact"], "sha256": ran["sha256"], "format": ran["format"], "predictionKey": "id",
        "flushSeconds": 3600, "profiles": str(tmp_path / "profiles"), "predictions": str(tmp_path / "predictions"),
    }  # fmt: skip
    batch, single = asyncio.run(asked(arguments, sent))
    predictor = models.load(ran["artifact"], ran["sha256"], ran["format"], signature)
    expected = predictor.predict(later).tolist()
    assert batch["predictions"] == expected, "a batch of requests is the frame that it came from"
    assert single["predictions"] == expected[:1]

    reference = Profiles().reference(ran["profile"])
    assert reference is not None
    since = datetime.now(UTC) - timedelta(hours=1)
    window = Profiles().window(str(tmp_path / "profiles"), since, since + timedelta(hours=2), reference)
    rules = DriftRules(threshold=0.2, false_alarm_rate=0.01, min_rows=200)
    verdicts = {one.column: one for one in judge_window(rules, reference, window).columns}
    assert {name: verdicts[name].rows for name in INPUTS} == dict.fromkeys(INPUTS, ROWS + 1)
    assert {verdicts[name].finding for name in INPUTS} == {DriftFinding.NO_DRIFT}


def told(item: Any) -> Any:
    return item.isoformat() if isinstance(item, date) else item


async def asked(arguments: dict[str, Any], sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    replica = ModelReplica(arguments)
    try:
        replies = [
            await replica.predict(json.dumps({"instances": part}).encode(), f"r{number}")
            for number, part in enumerate((sent, sent[:1]))
        ]
    finally:
        replica.__del__()
    assert [reply["status"] for reply in replies] == [200, 200], replies
    return [json.loads(reply["body"]) for reply in replies]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"])])
def test_categories_of_a_source_are_strings_of_a_view_and_categories_of_a_model(dtype: pl.DataType) -> None:
    source = pl.DataFrame({"x": pl.Series(["b", None, "a"], dtype=dtype)})
    frame = select_declared(source.lazy(), [("x", "String")]).collect()
    signature = models.signature_of(frame, ["x"], [], ModelOutput("y"))
    assert signature["inputs"][0]["categories"] == ["a", "b"]
    assert models.Encoder(signature).matrix(frame)[[0, 2], 0].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("given", "days", "seconds"),
    [
        ("2024-01-31", 19753.0, 1706659200.0),
        ("2024-01-31T00:00:00.5Z", None, 1706659200.5),
        ("2024-01-31T02:00+02:00", None, 1706659200.0),
        ("2024-01-31T00:00", None, 1706659200.0),
        ("31.01.2024", None, None),
        ("0001-01-01T00:00+14:00", None, None),
        (19753, None, None),
        (True, None, None),
    ],
)
def test_a_date_is_iso_text_and_a_time_without_a_zone_is_of_utc(given: Any, days: Any, seconds: Any) -> None:
    for word, expected in (("Date", days), ("Datetime", seconds)):
        column = {"name": "x", "dtype": word, "nullable": False, "encoding": temporal.ENCODINGS[word]}
        problems = models.check_rows([{"x": given}], {"inputs": [column]})
        if expected is None:
            example = temporal.EXAMPLES[word]
            assert problems[0].startswith(f"instances[0].x must be {word} (ISO 8601, as {example}), found ")
        else:
            frame = models.frame_of([{"x": given}], {"inputs": [column]})
            assert models.Encoder({"inputs": [column]}).matrix(frame).tolist() == [[expected]]


@pytest.mark.parametrize("dtype", [pl.Date(), pl.Datetime("us", "UTC")])
def test_a_year_that_no_request_can_write_is_told(dtype: pl.DataType) -> None:
    days = pl.Series("x", [0, -1_000_000, None, 4_000_000], dtype=pl.Int64)
    found = days.cast(pl.Int32).cast(pl.Date) if dtype == pl.Date else (days * 86_400_000_000).cast(dtype)
    with pytest.raises(WorkloadError, match="2 of 4 rows of x lie outside of the years 1 to 9999") as caught:
        models.signature_of(found.to_frame(), ["x"], [], ModelOutput("y"))
    assert caught.value.reason == "WrongType"
