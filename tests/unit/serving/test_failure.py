"""What is remembered of a failure: where it was in the user's code, and nothing of what the caller sent."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from framework.workloads.serving.failure import LONGEST, told
from tests.unit.serving.models import broken_at_random


def caught(function, *arguments):
    with pytest.raises(Exception) as info:  # noqa: PT011
        function(*arguments)
    return info.value


def test_the_place_is_the_deepest_in_the_users_code():
    found = told(caught(broken_at_random, [{"flight": "1"}]))
    assert found["where"].startswith("tests/unit/serving/models.py:")
    assert found["where"].endswith(", in broken_at_random")

    def deeper(rows):
        return json.loads("{")

    where = told(caught(deeper, []))["where"]
    assert re.fullmatch(r"tests/unit/serving/test_failure.py:\d+, in deeper", where), "not inside of json"


def test_without_a_frame_of_the_users_the_deepest_of_all_is_told():
    error = caught(np.linalg.inv, np.zeros((2, 2)))
    error.__traceback__ = error.__traceback__.tb_next
    assert told(error)["where"].startswith("numpy/linalg/")
    assert told(ValueError("never raised"))["where"] == ""


@pytest.mark.parametrize(
    ("message", "row", "expected"),
    [
        ("could not convert string to float: '298,1'", {"air": "298,1"}, "could not convert string to float: <air>"),
        ("no such customer: Ada Lovelace!", {"name": "Ada Lovelace"}, "no such customer: <name>!"),
        ("'ZZ'", {"carrier": "ZZ"}, "<carrier>"),
        ("index 1551 is out of bounds", {"rpm": 1551}, "index <rpm> is out of bounds"),
        ("value 12.5 of 112.5", {"x": 12.5}, "value <x> of 112.5"),
        ("'Rue'", {"address": {"lines": ["Rue", "Lyon"]}}, "<address>"),
        ("'plane_year'", {"x": 1}, "'plane_year'"),
        ("a short a stays", {"code": "a"}, "a short a stays"),
        ("no 'x7'", {r"a\1 [K]": "x7"}, r"no <a\1 [K]>"),
        ("first line\nsecond", {}, "first line"),
    ],
)
def test_a_message_repeats_nothing_of_the_request(message, row, expected):
    assert told(ValueError(message), [row])["message"] == expected


def test_a_message_is_bounded():
    assert len(told(ValueError("x" * 10_000))["message"]) == LONGEST
    assert told(ValueError())["message"] == ""
