"""A version is tried before it says that it is ready, and nothing of that shows anywhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from framework.api.layout import trial_file
from framework.workloads.context import WorkloadError
from framework.workloads.serving.model import ModelReplica
from framework.workloads.training.trial import trial_document
from tests.unit.serving.models import FRAME, SIGNATURE, arguments, body

APP = "delay-aaaaaaaaaa"
HERE = "tests.unit.serving.test_trial"


def broken(rows):
    return [{**row, "temp": row["does_not_exist"]} for row in rows]


def renamed(rows):
    return [{"temp": row["Temp [C]"], "month": row["month"]} for row in rows]


def needs_the_whole_row(rows):
    return [{**row, "temp": float(row["label"] > 0)} for row in rows]


def frail(rows):
    if any(row["month"] == 9 for row in rows):
        raise RuntimeError("no October")
    return rows


def short(rows):
    return rows[1:]


def together(rows):
    if len(rows) > 3:
        raise MemoryError("too many")
    return rows


def given(tmp_path: Path, transformer: str | None = None, *, kept: bool = True, **changes):
    """The arguments of a replica, with rows of its training set beside the model as training leaves them."""
    named = f"{HERE}:{transformer}" if transformer else None
    found = arguments(tmp_path, APP, transformer=named, **changes)
    if kept:
        frame = FRAME.with_columns((FRAME["temp"] > 0.5).alias("late"), label=FRAME["month"])
        file = Path(trial_file(found["artifact"].rpartition("/")[0]))
        file.write_text(json.dumps(trial_document(frame, SIGNATURE, "late")))
    return found


def started(arguments) -> ModelReplica:
    replica = ModelReplica(arguments)
    replica.__del__()
    return replica


def refused(arguments) -> str:
    with pytest.raises(WorkloadError) as caught:
        started(arguments)
    assert caught.value.reason == "TrialFailed"
    return str(caught.value)


@pytest.mark.parametrize("transformer", [None, "needs_the_whole_row"])
def test_a_version_that_answers_rows_of_its_training_set_starts_and_recorded_nothing(tmp_path, transformer):
    started(given(tmp_path, transformer))
    assert not Path(tmp_path, "predictions").exists()
    assert not Path(tmp_path, "profiles").exists()


def test_one_that_fails_on_all_of_them_does_not_start_and_says_where_and_what_to_do(tmp_path):
    message = refused(given(tmp_path, "broken"))
    assert message.startswith("TrialFailed: KeyError: 'does_not_exist' (tests/unit/serving/test_trial.py:")
    assert ", in broken), for row 1 of 20 of its training set" in message
    assert "name some in serving.trial.rows" in message


def test_one_row_is_enough_and_it_is_named(tmp_path):
    assert "RuntimeError: no October (" in refused(given(tmp_path, "frail"))
    assert ", for the 20 rows of its training set together" in refused(given(tmp_path, "together"))


def test_rows_that_the_spec_names_are_tried_instead(tmp_path):
    rows = [{"Temp [C]": 0.4, "month": 3}]
    assert "KeyError: 'Temp [C]'" in refused(given(tmp_path, "renamed"))
    replica = started(given(tmp_path, "renamed", trial={"rows": rows}))
    message = refused(given(tmp_path, "renamed", trial={"rows": [*rows, {"month": 4}]}))
    assert message.endswith("for row 2 of 2 that serving.trial names")
    answer = asyncio.run(replica.predict(b'{"instances": [{"Temp [C]": "hot", "month": 3}]}', "r1"))
    assert (answer["status"], b"Temp [C] must be Float64" in answer["body"]) == (422, True)


def test_as_many_rows_as_were_asked_for_must_come_back(tmp_path):
    assert "ValueError: the transformer made 0 rows of 1, for row 1 of 20" in refused(given(tmp_path, "short"))


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (lambda n: np.full(n, np.nan), "not finite"),
        (lambda n: np.full(n, 1.5), "1.5 to 1.5, which is no probability"),
        (lambda n: np.full(n + 1, 0.5), "2 answers for 1 rows, for row 1 of 20"),
    ],
)
def test_answers_must_be_of_the_kind_that_the_model_declares(tmp_path, monkeypatch, answers, told):
    monkeypatch.setattr("framework.workloads.models.Predictor.predict", lambda self, frame: answers(frame.height))
    assert told in refused(given(tmp_path))


def test_a_model_of_which_no_rows_were_kept_starts_untried_and_says_so(tmp_path, caplog):
    started(given(tmp_path, "broken", kept=False))
    assert "starts untried" in caplog.text


@pytest.mark.parametrize("damage", ["{", "[]", '{"rows": 3, "inputs": []}', "\udc80"])
def test_rows_that_cannot_be_read_keep_nobody_from_serving(tmp_path, caplog, damage):
    found = given(tmp_path)
    Path(trial_file(found["artifact"].rpartition("/")[0])).write_bytes(damage.encode(errors="surrogateescape"))
    started(found)
    assert "cannot be read" in caplog.text


def test_a_number_that_no_row_of_the_trial_had_is_still_the_versions_failure(tmp_path):
    replica = started(given(tmp_path, "frail", trial={"rows": [{"temp": 0.1, "month": 3}]}))
    reply = asyncio.run(replica.predict(body(0.1), "r1"))
    assert reply["status"] == 200
    failed = asyncio.run(replica.predict(b'{"instances": [{"temp": 0.1, "month": 9}]}', "r2"))
    assert (failed["status"], failed["failure"]["type"]) == (500, "RuntimeError")
