"""Every renderer against files that a person has read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from framework.planning.reports.asked import Asked, Stand, Uncommitted
from framework.planning.reports.models import compared
from framework.planning.reports.oversight import oversee
from framework.planning.reports.overview import report, rows
from framework.planning.reports.why import why
from framework.ports import Heartbeat, Outage
from framework.render.events import events_jsonl, events_text
from framework.render.markdown import plan_markdown
from framework.render.models import comparison_text, model_json, model_text, models_text
from framework.render.plan import plan_text
from framework.render.plan_document import plan_json
from framework.render.status import resource_json, resource_text, status_json, status_text
from framework.render.why import why_json, why_text
from tests.golden.conftest import FOLDER
from tests.unit.render.model_samples import LATER
from tests.unit.render.model_samples import REPORT as MODEL
from tests.unit.render.model_samples import ROW as VERSION
from tests.unit.render.plans import COMPARED, CONVERGED, EVERY_ACTION, MIXED, REFUSED
from tests.unit.render.samples import (
    COMMIT,
    DEPLOYMENT,
    DESIRED,
    EVENTS,
    MONITOR,
    NOW,
    RECORDS,
    REVISIONS,
    TRAINING,
    WEATHER,
    record,
    status,
)

Golden = Callable[[str, str], None]
REPORT = report("local", DESIRED, RECORDS, REVISIONS, NOW)
ROWS = {row.ref: row for row in REPORT.rows}
SERVING = (
    RECORDS[0],
    record(
        DEPLOYMENT, status("5e6f7a8b9c", "Serving", summary="delay-classifier@aa11bb22cc serves"), TRAINING
    ).model_copy(update={"inventory": ("app:delay-5e6f7a8b9c", "route:delay")}),
)
BEAT = Heartbeat(
    holder="laptop:4711:abcdef",
    process={"host": "laptop", "pid": 4711},
    started=NOW - timedelta(hours=2),
    time=NOW - timedelta(seconds=3),
    every=5,
    resync=10,
    seen=NOW - timedelta(seconds=9),
    commit=COMMIT,
    newest=COMMIT,
)
AN_HOUR_AGO = NOW - timedelta(hours=1)
DOWN = Outage(since=NOW - timedelta(minutes=4), message="Ray is not running")
WATCHED = report(
    "local", DESIRED, SERVING, REVISIONS, NOW,
    asked=Asked(Stand.IN_FORCE, COMMIT, REVISIONS[1].subject),
    oversight=oversee(BEAT, gone=False, here=True, probe=DOWN, now=NOW),
    uncommitted=Uncommitted(COMMIT, ("mlops_specs/delay.yaml", "mlops_specs/new.yaml")),
)  # fmt: skip
NOBODY = oversee(
    BEAT.model_copy(update={"ended": AN_HOUR_AGO, "seen": AN_HOUR_AGO, "time": AN_HOUR_AGO}),
    gone=True, here=True, probe=DOWN, now=NOW,
)  # fmt: skip
NEW = Asked(Stand.NEW, "e" * 40, "Another column")


def test_plan(golden: Golden) -> None:
    golden("plan.txt", plan_text(MIXED))


def test_plan_in_colour(golden: Golden) -> None:
    golden("plan-colour.txt", plan_text(MIXED, colour=True))


def test_plan_with_what_stays(golden: Golden) -> None:
    golden("plan-unchanged.txt", plan_text(MIXED, width=72, unchanged=True))


def test_plan_of_a_converged_environment(golden: Golden) -> None:
    golden("plan-converged.txt", plan_text(CONVERGED))


def test_a_refused_plan_with_what_it_comes_to(golden: Golden) -> None:
    golden("plan-refused.txt", plan_text(REFUSED, width=110))


def test_the_same_on_a_narrow_terminal(golden: Golden) -> None:
    golden("plan-refused-narrow.txt", plan_text(REFUSED, width=80))


def test_a_refused_plan_in_colour(golden: Golden) -> None:
    golden("plan-refused-colour.txt", plan_text(REFUSED, width=110, colour=True))


def test_a_plan_between_two_commits(golden: Golden) -> None:
    golden("plan-compared.txt", plan_text(COMPARED))


def test_a_plan_as_markdown(golden: Golden) -> None:
    golden("plan.md", plan_markdown(MIXED))


def test_a_refused_plan_as_markdown(golden: Golden) -> None:
    golden("plan-refused.md", plan_markdown(REFUSED))


def test_a_converged_environment_as_markdown(golden: Golden) -> None:
    golden("plan-converged.md", plan_markdown(CONVERGED))


def test_a_refused_plan_as_json(golden: Golden) -> None:
    golden("plan-refused.json", plan_json(REFUSED))


def test_every_action(golden: Golden) -> None:
    golden("plan-actions.txt", plan_text(EVERY_ACTION))


def test_plan_as_json(golden: Golden) -> None:
    golden("plan.json", plan_json(MIXED))


def test_plan_json_does_not_depend_on_the_order_in_which_a_set_was_built() -> None:
    weather = next(change for change in MIXED.changes if change.ref == WEATHER)
    turned = replace(weather, inventory=frozenset(sorted(weather.inventory, reverse=True)))
    changes = tuple(turned if change.ref == WEATHER else change for change in MIXED.changes)
    assert plan_json(replace(MIXED, changes=changes)) == plan_json(MIXED)


def test_status(golden: Golden) -> None:
    golden("status.txt", status_text(REPORT))


def test_status_beside_who_looks(golden: Golden) -> None:
    golden("status-watched.txt", status_text(WATCHED, width=80))
    golden("status-watched.json", status_json(WATCHED))


def test_status_and_why_when_nobody_looks(golden: Golden) -> None:
    found = report("local", DESIRED, SERVING, REVISIONS[1:], NOW, asked=NEW, oversight=NOBODY)
    golden("status-alone.txt", status_text(found, width=80))
    golden("why-alone.txt", why_text(why(DEPLOYMENT, rows(DESIRED, SERVING, NOW, oversight=NOBODY), NOBODY), width=80))


def test_status_in_colour(golden: Golden) -> None:
    golden("status-colour.txt", status_text(REPORT, colour=True))


def test_status_before_anything_happened(golden: Golden) -> None:
    golden("status-new.txt", status_text(report("local", {}, (), (), NOW)))


def test_status_of_one_resource(golden: Golden) -> None:
    rows = (ROWS[WEATHER], ROWS[DEPLOYMENT], ROWS[MONITOR])
    golden("status-resource.txt", "\n".join(resource_text(row, NOW) for row in rows))


def test_status_as_json(golden: Golden) -> None:
    golden("status.json", status_json(REPORT))


def test_status_of_one_resource_as_json(golden: Golden) -> None:
    golden("status-resource.json", resource_json(ROWS[WEATHER]))


def test_why(golden: Golden) -> None:
    golden("why.txt", why_text(why(MONITOR, rows(DESIRED, RECORDS, NOW))))


def test_why_as_json(golden: Golden) -> None:
    golden("why.json", why_json(why(MONITOR, rows(DESIRED, RECORDS, NOW))))


def test_events(golden: Golden) -> None:
    golden("events.txt", events_text(EVENTS))


def test_events_as_json_lines(golden: Golden) -> None:
    golden("events.jsonl", events_jsonl(EVENTS))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json*")), ids=lambda path: path.name)
def test_every_json_document_says_its_format(path: Path) -> None:
    text = path.read_text()
    documents = text.splitlines() if path.suffix == ".jsonl" else [text]
    written = 2 if path.stem.startswith(("plan", "specs-first-plan")) else 1
    assert [json.loads(document)["format"] for document in documents] == [written] * len(documents)


def test_no_golden_file_is_left_over() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    used = set(re.findall(r'golden\("([^"]+)"', tests))
    assert {path.name for path in FOLDER.iterdir()} == used


def test_models(golden: Golden) -> None:
    golden("models-list.txt", models_text([LATER, VERSION], NOW))
    golden("models-show.txt", model_text(MODEL, NOW))
    golden("models-show.json", model_json("local", MODEL))
    golden("models-diff.txt", comparison_text(compared(VERSION, LATER)))
