"""A request that a transformer cannot take, or makes something of that the model cannot take: whose mistake it is."""

from __future__ import annotations

import json
import time

import pytest

from framework.workloads.serving.blame import MAX_SECONDS, MAX_TRIES
from framework.workloads.serving.scoring import BadRequestError, Preparation

NAMES = {"Air [K]": "air", "Torque [Nm]": "torque", "Type": "type", "Rpm": "rpm"}
SIGNATURE = {
    "inputs": [
        {"name": "air", "dtype": "Float64", "nullable": False},
        {"name": "torque", "dtype": "Float64", "nullable": True},
        {"name": "type", "dtype": "String", "nullable": False, "categories": ["L", "M"]},
        {"name": "rpm", "dtype": "Int64", "nullable": False},
    ],
    "output": {"name": "failed", "kind": "probability"},
}
GOOD = {"Air [K]": 298.1, "Torque [Nm]": 40.0, "Type": "M", "Rpm": 1551, "batch": 7}


def renamed(rows):
    return [{new: row[old] for old, new in NAMES.items()} for row in rows]


def renamed_if_there(rows):
    return [{new: row.get(old) for old, new in NAMES.items()} for row in rows]


def renamed_of_a_copy(rows):
    return [{NAMES.get(name, name): value for name, value in row.items()} for row in rows]


def converted(rows):
    return [
        {
            "air": float(row["Air [K]"]) * 1.8,
            "torque": row["Torque [Nm]"],
            "type": row["Type"].strip().upper(),
            "rpm": int(row["Rpm"]),
        }
        for row in rows
    ]


def without(name):
    return {field: value for field, value in GOOD.items() if field != name}


def prepare(transformer, *rows, known=()):
    return Preparation(SIGNATURE, transformer, None, known).prepare(json.dumps({"instances": rows}).encode())


def blamed(transformer, row, known=()):
    """The mistakes of ``row``, sent behind one that is good."""
    with pytest.raises(BadRequestError) as caught:
        prepare(transformer, GOOD, row, known=known)
    assert caught.value.status == 422
    return list(caught.value.problems)


@pytest.mark.parametrize("transformer", [renamed, renamed_if_there, renamed_of_a_copy])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Air [K]": "298,1"}, "instances[1].Air [K] must be Float64, found text '298,1'"),
        ({"Air [K]": None}, "instances[1].Air [K] is null; Float64 is required"),
        ({"Rpm": 1551.5}, "instances[1].Rpm must be Int64, found number '1551.5'"),
        ({"Rpm": 10**19}, "instances[1].Rpm must be Int64, found number '10000000000000000000'"),
        ({"Torque [Nm]": [1]}, "instances[1].Torque [Nm] must be Float64, found list '[1]'"),
    ],
)
def test_a_bad_value_is_named_by_the_callers_field_whatever_the_model_calls_it(transformer, change, told):
    assert blamed(transformer, {**GOOD, **change}) == [told]


@pytest.mark.parametrize("transformer", [renamed, renamed_if_there, converted])
def test_a_field_that_was_left_out_is_named_as_the_transformer_looks_it_up(transformer):
    (problem,) = blamed(transformer, without("Air [K]"))
    assert problem.startswith("instances[1].Air [K] is missing")


def test_a_field_of_the_models_own_name_that_was_left_out_is_the_callers_mistake():
    row = {"air": 1.0, "torque": None, "type": "L"}
    with pytest.raises(BadRequestError, match=r"instances\[0\].rpm is missing; Int64 is required"):
        prepare(lambda rows: rows, row)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Air [K]": "298,1"}, "instances[1].Air [K] must be a number, found text '298,1'"),
        ({"Air [K]": None}, "instances[1].Air [K] is null"),
        ({"Type": 5}, "instances[1].Type must be a text, found number '5'"),
        ({"Rpm": {"value": 3}}, "instances[1].Rpm must be a number, found object \"{'value': 3}\""),
    ],
)
def test_a_value_of_the_wrong_kind_that_makes_the_transformer_raise_is_the_callers_mistake(change, told):
    assert blamed(converted, {**GOOD, **change}) == [told]


def test_all_mistakes_of_a_row_are_told():
    problems = blamed(converted, {**without("Type"), "Air [K]": "hot", "Rpm": None})
    assert sorted(problem.split(" ")[0] for problem in problems) == [
        "instances[1].Air",
        "instances[1].Rpm",
        "instances[1].Type",
    ]


@pytest.mark.parametrize("value", [0, 0.0])
def test_a_number_that_the_transformer_stumbles_over_is_the_versions_failure(value):
    with pytest.raises(ZeroDivisionError):
        prepare(
            lambda rows: [{**renamed([row])[0], "air": 1 / row["Air [K]"]} for row in rows], {**GOOD, "Air [K]": value}
        )


def test_a_field_that_does_not_help_is_not_the_callers_to_send():
    """The transformer looks up something that callers never sent, and makes no use of the rest."""
    with pytest.raises(KeyError, match="does_not_exist"):
        prepare(lambda rows: [{"typo": row["does_not_exist"]} for row in rows], GOOD)


@pytest.mark.parametrize(
    "spoil",
    [{"air": "?"}, {"air": None}, {"air": float("inf")}, {"rpm": 10**40}, {"type": "\ud800"}],
    ids=lambda spoil: ascii(spoil),
)
def test_what_the_transformer_put_in_itself_is_the_versions_failure(spoil):
    with pytest.raises(ValueError, match="the transformer made rows that the model cannot take"):
        prepare(lambda rows: [{**row, **spoil} for row in renamed(rows)], {**GOOD, "Torque [Nm]": None})


def test_a_value_that_only_happens_to_be_the_same_is_not_blamed():
    with pytest.raises(ValueError, match="the transformer made"):
        prepare(lambda rows: [{**row, "rpm": "M"} for row in renamed(rows)], GOOD)


def test_with_rows_that_pass_an_unknown_code_is_told_from_a_bug():
    def coded(rows):
        return [{**row, "air": {"M": 1.0, "L": 2.0}[row["type"]]} for row in renamed(rows)]

    assert blamed(coded, {**GOOD, "Type": "ZZ"}, known=[GOOD]) == ["instances[1].Type cannot be used, found text 'ZZ'"]


def test_one_bad_row_of_many_is_found_and_what_it_costs_is_bounded():
    calls = []

    def counting(rows):
        calls.append(len(rows))
        return converted(rows)

    rows = [GOOD] * 3000
    rows[2718] = {**GOOD, "Air [K]": "hot"}
    with pytest.raises(BadRequestError, match=r"instances\[2718\].Air \[K\]"):
        prepare(counting, *rows)
    assert sum(calls) < 4 * len(rows)
    calls.clear()

    def slow(rows):
        time.sleep(0.02)
        return counting(rows)

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        prepare(lambda rows: slow(rows) and [{"air": 1 / row["Air [K]"]} for row in rows], {**GOOD, "Air [K]": 0})
    assert len(calls) < MAX_SECONDS / 0.02 + 5
    assert time.monotonic() - began < 10
    calls.clear()
    wide = {**GOOD, **{f"f{number}": number for number in range(1000)}, "Air [K]": 0}
    began = time.process_time()
    with pytest.raises(ZeroDivisionError):
        prepare(lambda rows: counting(rows) and [{"air": 1 / row["Air [K]"]} for row in rows], wide)
    assert len(calls) < MAX_TRIES + 10
    assert time.process_time() - began < 2.0
