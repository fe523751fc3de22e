"""A model replica without Serve around it."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from framework.workloads.context import WorkloadError
from framework.workloads.serving.model import ModelReplica
from tests.unit.serving.models import FRAME, arguments, body

APP = "delay-aaaaaaaaaa"


def play(scenario, given):
    """Run ``scenario(replica)`` and stop the replica in order."""

    async def whole():
        replica = ModelReplica(given)
        try:
            return await scenario(replica)
        finally:
            replica.__del__()

    return asyncio.run(asyncio.wait_for(whole(), 30))


def predictions_of(reply):
    assert reply["status"] == 200, reply
    return json.loads(reply["body"])["predictions"]


def test_it_answers_and_what_it_answered_is_on_disk_after_an_orderly_stop(tmp_path):
    reply = play(lambda replica: replica.predict(body(0.1, 0.9, flight="F1"), "r1"), arguments(tmp_path, APP))
    content = json.loads(reply["body"])
    assert (content["model"], content["app"]) == (f"{APP}@1", APP)
    low, high = content["predictions"]
    assert low < 0.4 < 0.6 < high
    (file,) = Path(tmp_path, "predictions", APP).iterdir()
    assert pl.read_parquet(file)["prediction"].to_list() == [low, high]
    assert pl.read_parquet(file)["key"].to_list() == ["F1", "F1"]
    assert len(list(Path(tmp_path, "profiles", APP).iterdir())) == 1


def test_the_callers_mistake_is_an_answer_and_is_not_recorded(tmp_path):
    async def scenario(replica):
        return await replica.predict(b"{", "r1"), await replica.predict(body("hot"), "r2")

    bad, wrong = play(scenario, arguments(tmp_path, APP))
    assert (bad["status"], wrong["status"]) == (400, 422)
    assert "instances[0].temp" in json.loads(wrong["body"])["error"]["message"]
    assert not Path(tmp_path, "predictions").exists()


def test_a_version_that_fails_says_how_and_where(tmp_path):
    given = arguments(tmp_path, APP, transformer="tests.unit.serving.models:broken_at_random")
    reply = play(lambda replica: replica.predict(body(0.1, flight=1), "r1"), given)
    assert (reply["status"], reply["body"]) == (500, b"")
    failure = reply["failure"]
    assert (failure["type"], failure["message"]) == ("RuntimeError", "no such plane")
    assert re.fullmatch(r"tests/unit/serving/models.py:\d+, in broken_at_random", failure["where"])
    assert predictions_of(play(lambda replica: replica.predict(body(0.1, flight=7), "r1"), given))


def test_a_refusal_says_what_is_wrong_and_not_what_was_sent(tmp_path):
    reply = play(lambda replica: replica.predict(body("a secret"), "r1"), arguments(tmp_path, APP))
    assert reply["failure"] == {"type": "BadRequest", "message": "temp must be Float64, found text", "where": ""}


def test_a_row_that_the_model_has_no_finite_answer_for_is_refused(tmp_path):
    async def scenario(replica):
        replica._predictor.predict = lambda frame: np.where(frame["temp"] > 1e300, np.nan, 0.5)
        return await replica.predict(body(0.1, 1e308), "r1"), await replica.predict(body(0.1), "r2")

    extreme, good = play(scenario, arguments(tmp_path, APP))
    assert (extreme["status"], good["status"]) == (422, 200)
    assert "instances[1]: the model has no finite answer" in json.loads(extreme["body"])["error"]["message"]
    assert pl.read_parquet(next(Path(tmp_path, "predictions", APP).iterdir())).height == 1


def test_an_altered_model_file_is_never_loaded(tmp_path):
    given = arguments(tmp_path, APP)
    file = Path(given["artifact"])
    file.write_bytes(file.read_bytes().replace(b"tree", b"free", 1))
    with pytest.raises(WorkloadError) as caught:
        ModelReplica(given)
    assert caught.value.reason == "ArtifactMismatch"


def test_a_batch_is_one_call_of_the_model_cut_apart_again(tmp_path):
    """What ``serve.batch`` is given; that it is given it is held on a real Serve in tests/contract."""
    frames = [FRAME.slice(0, 1), FRAME.slice(390, 3), FRAME.slice(100, 2)]

    async def scenario(replica):
        predict, calls = replica._predictor.predict, []
        replica._predictor.predict = lambda frame: calls.append(frame.height) or predict(frame)
        parts = await replica._predict_many(frames)
        return calls, parts, [predict(frame) for frame in frames]

    calls, parts, alone = play(scenario, arguments(tmp_path, APP))
    assert calls == [6]
    assert [part.tolist() for part in parts] == [part.tolist() for part in alone]
