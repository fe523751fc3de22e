"""Plans as text and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta, timezone
from typing import Any

import pytest

from framework.api.categories import Category
from framework.planning.grammar.actions import SendAlert
from framework.planning.grammar.changes import FieldDiff, Plan, Verb
from framework.render.diffs import diff_lines, flow
from framework.render.plan import plan_text, summary
from framework.render.plan_document import plan_from_json, plan_json
from framework.render.terminal import plain
from tests.unit.render.plans import CONVERGED, MIXED, PLANS, change, plan
from tests.unit.render.samples import ALERT, DEPARTURES, DEPLOYMENT, MONITOR, NOW, TRACEBACK, TRAINING, WEATHER, status


def shown(before: Any, after: Any, width: int = 80) -> list[str]:
    diff = FieldDiff("path", before, after, Category.RETRAIN)
    return plain(diff_lines(diff, width=width, indent="  ")).splitlines()


# ------------------------------------------------------------------- fields


def test_one_field_on_one_line() -> None:
    assert shown(4, 8) == ["  ~ path: 4 -> 8  (Retrain)"]
    assert shown(None, [1, 2]) == ["  + path: [1, 2]  (Retrain)"]
    assert shown({"a": 1}, None) == ["  - path: {a: 1}  (Retrain)"]


def test_a_field_that_becomes_a_text_of_several_lines() -> None:
    assert shown("SELECT 1", "SELECT 1,\n  2\n") == [
        "  ~ path:  (Retrain)",
        "      - SELECT 1",
        "      + SELECT 1,",
        "      +   2",
    ]


def test_a_long_list_shows_the_items_that_differ() -> None:
    items = [{"name": f"column_{index}", "dtype": "Float64"} for index in range(12)]
    rows = shown(items, [*items[:6], {"name": "new", "dtype": "String"}, *items[6:]])
    assert rows[1:] == [
        "        {name: column_5, dtype: Float64}",
        "      + {name: new, dtype: String}",
        "        {name: column_6, dtype: Float64}",
    ]


def test_a_replacement_in_the_text_shows_what_stops_and_what_starts() -> None:
    assert shown("a\nb\nc", "a\nB\nc")[1:] == ["        a", "      - b", "      + B", "        c"]


def test_far_apart_differences_in_a_text_are_separated() -> None:
    before = "\n".join(f"line {index}" for index in range(20))
    rows = shown(before, before.replace("line 2\n", "LINE 2\n").replace("line 17\n", "LINE 17\n"))
    assert [row.strip() for row in rows].count("…") == 1
    assert len(rows) == 10


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("delay", "delay"),
        ("5m", "5m"),
        ("2013-04-01", "2013-04-01"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("examples.flights.features:carrier_delays", "examples.flights.features:carrier_delays"),
        ("Zürich", "Zürich"),
        ("a: b", '"a: b"'),
        ("", '""'),
        ("true", '"true"'),
        ("10", '"10"'),
        ("1e5", '"1e5"'),
        (".inf", '".inf"'),
        (True, "true"),
        (None, "null"),
        (0.1, "0.1"),
        ({"a b": 1}, '{"a b": 1}'),
    ],
)
def test_values_look_as_their_author_would_write_them(value: Any, text: str) -> None:
    assert flow(value) == text


# ------------------------------------------------------------------- text


def test_summary_counts_every_verb() -> None:
    assert summary(MIXED) == "Plan: 1 to create, 2 to update, 1 to replace, 1 to delete, 1 waiting, 1 unchanged."


def test_what_is_only_noted_is_no_update() -> None:
    """A corrected description builds, serves and routes nothing."""
    noted = change(TRAINING, Verb.UPDATE, category=Category.METADATA)
    assert summary(plan(noted, change(DEPARTURES, Verb.NOOP))) == (
        "Plan: 0 to create, 0 to update, 0 to delete, 1 metadata only, 1 unchanged."
    )
    acting = replace(noted, actions=MIXED.changes[0].actions or MIXED.changes[1].actions)
    assert acting.actions
    assert "1 to update" in summary(plan(acting))
    assert "1 to update" in summary(plan(replace(noted, category=Category.RELOAD)))


def test_summary_of_a_converged_environment() -> None:
    assert summary(CONVERGED) == "Nothing to do: 2 resources match commit 4f1c2a9."
    assert summary(plan(change(DEPARTURES, Verb.NOOP))) == "Nothing to do: 1 resource matches commit 4f1c2a9."


def test_resources_without_work_are_hidden_unless_asked_for() -> None:
    assert str(DEPARTURES) not in plan_text(replace(MIXED, changes=MIXED.changes[:2]))
    assert str(DEPARTURES) in plan_text(replace(MIXED, changes=MIXED.changes[:2]), unchanged=True)


def test_a_new_resource_is_not_spelled_out_field_by_field() -> None:
    created = change(DEPLOYMENT, Verb.CREATE, diffs=(FieldDiff("serving.route", None, "/delay", Category.REROUTE),))
    assert "serving.route" not in plan_text(plan(created))
    assert "serving.route" in plan_text(plan(replace(created, verb=Verb.UPDATE)))


GATES = [{"metric": "auc", "min": 0.65}, {"metric": "auc", "comparedTo": "live", "maxDrop": 0.01}]


@pytest.mark.parametrize(("width", "number"), [(300, 1), (60, 40)])
def test_the_order_of_keys_is_no_difference(width: int, number: int) -> None:
    """A record has keys in alphabetical order, a spec as the language has them."""
    recorded = [dict(sorted(gate.items())) for gate in GATES] * number
    asked = [{**GATES[0], "min": 0.7}, *GATES[1:], *GATES * (number - 1)]
    diff = FieldDiff("evaluation.gates", recorded, asked, Category.METADATA)
    text = plan_text(plan(change(TRAINING, Verb.UPDATE, diffs=(diff,), category=Category.METADATA)), width=width)
    changed = [line.strip() for line in text.splitlines() if line.strip()[:1] in {"+", "-"} and "metric" in line]

    if number == 1:
        assert (
            "[{metric: auc, min: 0.65}, {metric: auc, comparedTo: live, maxDrop: 0.01}] -> "
            "[{metric: auc, min: 0.7}, {metric: auc, comparedTo: live, maxDrop: 0.01}]"
        ) in text
    else:
        assert changed == ["- {metric: auc, min: 0.65}", "+ {metric: auc, min: 0.7}"]


def test_what_it_waits_for_is_not_said_twice() -> None:
    text = plan_text(plan(change(TRAINING, Verb.WAIT, f"waits for {WEATHER}", waits_for=(WEATHER,))))
    assert text.count(str(WEATHER)) == 1
    text = plan_text(plan(change(TRAINING, Verb.WAIT, "an upstream comes first", waits_for=(WEATHER,))))
    assert f"waits for {WEATHER}" in text


def test_a_traceback_is_one_line_of_a_plan() -> None:
    text = plan_text(plan(change(DEPLOYMENT, Verb.WAIT, TRACEBACK)), width=200)
    assert "3 times in a row … KeyError: 'plane_year'" in text
    assert "File" not in text


def test_a_commit_cannot_steer_the_terminal() -> None:
    hostile = "\x1b]0;gotcha\x07\x1b[2J"
    diffs = (
        FieldDiff("description", "a", hostile, Category.METADATA),
        FieldDiff("x", "a\nb", f"a\n{hostile}", Category.METADATA),
    )
    text = plan_text(plan(change(TRAINING, Verb.UPDATE, f"reason {hostile}", diffs=diffs)))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "gotcha" in text


# ------------------------------------------------------------------- JSON


@pytest.mark.parametrize("name", PLANS)
def test_json_round_trips(name: str) -> None:
    text = plan_json(PLANS[name])
    assert plan_from_json(text) == PLANS[name]
    assert plan_json(plan_from_json(text)) == text


def test_a_plan_gives_no_webhook_away() -> None:
    """Its address may be all that protects it, so nobody who reads a plan may post there."""
    alert = SendAlert(ALERT, {"webhook": {"url": "https://hooks.example.org/T0P/SECRET?key=1"}})
    text = plan_json(plan(change(MONITOR, Verb.UPDATE, actions=(alert,))))

    assert "SECRET" not in text
    assert "hooks.example.org/***" in text


def test_infinities_become_words_because_json_has_none() -> None:
    values = [float("inf"), float("-inf"), float("nan"), 1.5]
    one = change(TRAINING, Verb.UPDATE, diffs=(FieldDiff("x", None, values, Category.RETRAIN),))
    document = json.loads(plan_json(plan(one)), parse_constant=pytest.fail)
    assert document["changes"][0]["diffs"][0]["after"] == ["Infinity", "-Infinity", "NaN", 1.5]


def test_equal_plans_give_equal_bytes_whatever_their_time_zone() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert plan_json(replace(MIXED, created=elsewhere)) == plan_json(MIXED)


@pytest.mark.slow
def test_equal_plans_give_equal_bytes_in_every_process() -> None:
    code = (
        "from framework.render.plan_document import plan_json; from tests.unit.render.plans import MIXED;"
        "print(plan_json(MIXED))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {plan_json(MIXED).encode() + b"\n"}


def test_unknown_keys_of_a_newer_writer_in_a_status_are_ignored() -> None:
    one = plan(change(TRAINING, Verb.UPDATE, status=status("aa11bb22cc", "Training", reconciling=True)))
    document = json.loads(plan_json(one))
    document["changes"][0]["status"]["novelty"] = 1
    assert plan_from_json(json.dumps(document)) == one


@pytest.mark.parametrize(
    "text", ["no json", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 2, "changes": [3]}']
)
def test_what_is_not_a_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a plan of format 2|Expecting value"):
        plan_from_json(text)


def test_an_action_that_this_version_does_not_know_is_refused() -> None:
    document = json.loads(plan_json(PLANS["every action"]))
    document["changes"][0]["actions"][0]["type"] = "FormatDisk"
    with pytest.raises(ValueError, match="FormatDisk"):
        plan_from_json(json.dumps(document))


def test_the_order_of_changes_is_kept() -> None:
    turned: Plan = replace(MIXED, changes=tuple(reversed(MIXED.changes)))
    assert [item["ref"] for item in json.loads(plan_json(turned))["changes"]] == [str(c.ref) for c in turned.changes]
