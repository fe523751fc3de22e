"""From bytes to rows and back: whose mistake it is."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from framework.answers import ModelOutput
from framework.workloads.serving.scoring import (
    MAX_PROBLEMS,
    BadRequestError,
    Preparation,
    answer,
    import_transformer,
)

SIGNATURE = {
    "inputs": [
        {"name": "temp", "dtype": "Float64", "nullable": True},
        {"name": "month", "dtype": "Int8", "nullable": False},
        {"name": "carrier", "dtype": "String", "nullable": True, "categories": ["AA", "UA"]},
    ],
    "output": {"name": "delayed", "kind": "probability"},
}
GOOD = {"temp": 1.5, "month": 3, "carrier": "AA", "flight_id": 7}


def body(*rows):
    return json.dumps({"instances": rows}).encode()


def prepare(content, transformer=None, key="flight_id"):
    return Preparation(SIGNATURE, transformer, key).prepare(content)


def refused(content, transformer=None):
    with pytest.raises(BadRequestError) as caught:
        prepare(content, transformer)
    error = json.loads(caught.value.body())["error"]
    assert error["message"] == error["problems"][0]
    return caught.value.status, error["problems"]


def test_good_rows_become_a_typed_frame_and_keys_as_text():
    prepared = prepare(body(GOOD, {"month": 4.0}))
    expected = pl.DataFrame(
        {"temp": [1.5, None], "month": [3, 4], "carrier": ["AA", None]},
        schema={"temp": pl.Float64, "month": pl.Int8, "carrier": pl.String},
    )
    assert prepared.frame.equals(expected)
    assert prepared.frame.schema == expected.schema
    assert prepared.keys == ("7", None)
    assert prepare(body(GOOD), key=None).keys == (None,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"instances": [{"temp": NaN, "month": 1}]}',
        b"[" * 100_000,
        b'{"instances": [{"temp": 1, "month": 1' + b"0" * 30 + b"}]}",
        b'{"instances": [{"temp": 1' + b"0" * 400 + b', "month": 1}]}',
        b'{"instances": [{"temp": 1' + b"0" * 10_000 + b', "month": 1}]}',
        b'{"instances": [{"month": 1, "carrier": "\\ud800"}]}',
        b'{"instances": [{"month": 1, "carrier": "\xed\xa0\x80"}]}',
        b'{"instances": [{"month": 1, "flight_id": "\\uDC00x"}]}',
    ],
)
def test_what_is_not_json_is_400(content):
    status, (problem,) = refused(content)
    assert status == 400
    assert problem.startswith("the body is not JSON: ")
    assert len(problem) < 300


def test_every_character_that_json_can_escape_is_taken():
    assert prepare(b'{"instances": [{"month": 1, "flight_id": "\\ud83d\\ude00"}]}').keys == ("\U0001f600",)


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b'{"instances": {}}', b'{"instances": []}', b'{"instances": [1]}', b"null"]
)
def test_json_of_another_shape_is_422_and_says_instances(content):
    status, (problem,) = refused(content)
    assert status == 422
    assert "instances" in problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"month": 200}, "instances[1].month must be Int8, found number '200'"),
        ({"month": None}, "instances[1].month is null; Int8 is required"),
        ({"temp": "hot"}, "instances[1].temp must be Float64, found text 'hot'"),
        ({"temp": True}, "instances[1].temp must be Float64, found Boolean 'True'"),
        ({"carrier": ["AA"]}, "instances[1].carrier must be String, found list \"['AA']\""),
    ],
)
def test_a_bad_value_is_422_with_row_and_field_named(change, problem):
    assert refused(body(GOOD, {**GOOD, **change})) == (422, [problem])


def test_a_number_beyond_every_float_is_422():
    status, (problem,) = refused(b'{"instances": [{"temp": 1e400, "month": 1}]}')
    assert (status, problem) == (422, "instances[0].temp must be Float64, found number 'inf'")


def test_an_answer_names_a_bounded_number_of_mistakes():
    _, problems = refused(body(*[{}] * 1000))
    assert len(problems) == MAX_PROBLEMS


def test_the_transformer_makes_the_inputs_and_leaves_the_callers_rows_alone():
    def transform(rows):
        for row in rows:
            row["month"] = row.pop("m") + 1
        return rows

    prepared = prepare(body({"m": 2, "flight_id": 7}), transform)
    assert prepared.frame["month"].to_list() == [3]
    assert prepared.keys == ("7",)
    assert prepared.rows == [{"month": 3, "flight_id": 7}]


def test_a_transformer_that_raises_is_the_versions_failure():
    with pytest.raises(KeyError, match="plane_year"):
        prepare(body(GOOD), lambda rows: [row["plane_year"] for row in rows])


@pytest.mark.parametrize(
    "transform",
    [
        lambda rows: [],
        lambda rows: [{**row, "month": "March"} for row in rows],
        lambda rows: [{name: value for name, value in row.items() if name != "month"} for row in rows],
        lambda rows: [{**row, "month": None} for row in rows],
        lambda rows: [{**row, "temp": 10**400} for row in rows],
        lambda rows: [{**row, "temp": 10**5000} for row in rows],
    ],
)
def test_rows_that_the_transformer_spoiled_are_the_versions_failure(transform):
    with pytest.raises(ValueError, match="the transformer made"):
        prepare(body(GOOD), transform)


def test_rows_that_are_nobodys_request_fail_with_what_was_raised():
    """A trial wants to know what the version does, not whom to blame for it."""
    preparation = Preparation(SIGNATURE, lambda rows: [{"month": row["m"]} for row in rows], None)
    assert preparation.inputs([{"m": 3}])["month"].to_list() == [3]
    with pytest.raises(KeyError, match="m"):
        preparation.inputs([{"month": 3}])
    with pytest.raises(ValueError, match=r"the model cannot take: month must be Int8, found text$"):
        preparation.inputs([{"m": "March"}])


def upper(rows):
    return [{**row, "carrier": row["carrier"].upper()} if isinstance(row["carrier"], str) else row for row in rows]


def test_a_bad_value_that_the_transformer_only_copied_is_the_callers():
    assert refused(body({**GOOD, "month": 200}), upper) == (
        422,
        ["instances[0].month must be Int8, found number '200'"],
    )
    changed, copied = {**GOOD, "carrier": "aa"}, {**GOOD, "carrier": 5}
    assert refused(body(changed, copied), upper) == (422, ["instances[1].carrier must be String, found number '5'"])
    assert refused(body({**GOOD, "month": None}), upper)[0] == 422


def test_the_answer_is_json_with_model_and_app():
    assert json.loads(answer(np.array([0.25, 1.0]), ModelOutput("delayed"), "delay@abc", "delay-abc")) == {
        "predictions": [0.25, 1.0],
        "model": "delay@abc",
        "app": "delay-abc",
    }


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_prediction_that_json_cannot_say_is_the_versions_failure(value):
    with pytest.raises(ValueError, match="not finite"):
        answer(np.array([0.5, value]), ModelOutput("delayed"), "delay@abc", "delay-abc")


def test_transformers_are_imported_by_entrypoint():
    assert import_transformer(None) is None
    assert import_transformer("json:dumps") is json.dumps
    with pytest.raises(ImportError):
        import_transformer("no_such_module:tidy")
    with pytest.raises(AttributeError):
        import_transformer("json:tidy")
    with pytest.raises(TypeError):
        import_transformer("json:__name__")
