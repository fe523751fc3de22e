"""Every renderer against files that a person has read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
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
from framework.render.feature_tables import difference_text, profile_text, steps_text
from framework.render.features import history_text, view_json, view_text, views_text
from framework.render.markdown import plan_markdown
from framework.render.models import comparison_text, model_json, model_text, models_text
from framework.render.plan import plan_text
from framework.render.plan_document import plan_json
from framework.render.preview import preview_markdown, preview_text
from framework.render.preview_document import preview_json
from framework.render.status import resource_json, resource_text, status_json, status_text
from framework.render.why import why_json, why_text
from tests.golden.conftest import FOLDER
from tests.unit.render.feature_samples import DIFFERENCE, PROFILED, STEPS, VIEW, VIEWS
from tests.unit.render.model_samples import LATER
from tests.unit.render.model_samples import REPORT as MODEL
from tests.unit.render.model_samples import ROW as VERSION
from tests.unit.render.plans import COMPARED, CONVERGED, EVERY_ACTION, MIXED, REFUSED
from tests.unit.render.preview_samples import GOOD, PREVIEW
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


ALONE = report("local", DESIRED, SERVING, REVISIONS[1:], NOW, asked=NEW, oversight=NOBODY)
CAUSE = why(MONITOR, rows(DESIRED, RECORDS, NOW))
RENDERED: Mapping[str, Callable[[], str]] = {
    "features-list.txt": lambda: views_text(VIEWS, NOW),
    "features-show.txt": lambda: view_text(VIEW, NOW, width=120),
    "features-show.json": lambda: view_json("local", VIEW, NOW),
    "features-history.txt": lambda: history_text("delays", VIEW.versions, NOW, width=110),
    "features-diff.txt": lambda: difference_text(DIFFERENCE, width=120),
    "features-profile.txt": lambda: profile_text("delays", PROFILED, width=140),
    "features-debug.txt": lambda: steps_text("delays", STEPS, width=140),
    "models-list.txt": lambda: models_text([LATER, VERSION], NOW),
    "models-show.txt": lambda: model_text(MODEL, NOW),
    "models-show.json": lambda: model_json("local", MODEL),
    "models-diff.txt": lambda: comparison_text(compared(VERSION, LATER)),
    "plan.txt": lambda: plan_text(MIXED),
    "plan-colour.txt": lambda: plan_text(MIXED, colour=True),
    "plan-unchanged.txt": lambda: plan_text(MIXED, width=72, unchanged=True),
    "plan-converged.txt": lambda: plan_text(CONVERGED),
    "plan-refused.txt": lambda: plan_text(REFUSED, width=110),
    "plan-refused-narrow.txt": lambda: plan_text(REFUSED, width=80),
    "plan-refused-colour.txt": lambda: plan_text(REFUSED, width=110, colour=True),
    "plan-compared.txt": lambda: plan_text(COMPARED),
    "plan-actions.txt": lambda: plan_text(EVERY_ACTION),
    "plan.md": lambda: plan_markdown(MIXED),
    "plan-refused.md": lambda: plan_markdown(REFUSED),
    "plan-converged.md": lambda: plan_markdown(CONVERGED),
    "plan.json": lambda: plan_json(MIXED),
    "plan-refused.json": lambda: plan_json(REFUSED),
    "preview.txt": lambda: preview_text(PREVIEW),
    "preview.md": lambda: preview_markdown(PREVIEW, NOW),
    "preview-passed.md": lambda: preview_markdown(GOOD, NOW),
    "preview.json": lambda: preview_json(PREVIEW),
    "status.txt": lambda: status_text(REPORT),
    "status-colour.txt": lambda: status_text(REPORT, colour=True),
    "status-watched.txt": lambda: status_text(WATCHED, width=80),
    "status-alone.txt": lambda: status_text(ALONE, width=80),
    "status-new.txt": lambda: status_text(report("local", {}, (), (), NOW)),
    "status-resource.txt": lambda: "\n".join(resource_text(ROWS[ref], NOW) for ref in (WEATHER, DEPLOYMENT, MONITOR)),
    "status.json": lambda: status_json(REPORT),
    "status-watched.json": lambda: status_json(WATCHED),
    "status-resource.json": lambda: resource_json(ROWS[WEATHER]),
    "why.txt": lambda: why_text(CAUSE),
    "why-alone.txt": lambda: why_text(why(DEPLOYMENT, rows(DESIRED, SERVING, NOW, oversight=NOBODY), NOBODY), width=80),
    "why.json": lambda: why_json(CAUSE),
    "events.txt": lambda: events_text(EVENTS),
    "events.jsonl": lambda: events_jsonl(EVENTS),
}
"""By file; ``new`` is before anything happened, ``watched`` beside who looks, ``alone`` while nobody does."""


@pytest.mark.parametrize("name", RENDERED)
def test_a_person_has_read_it(golden: Callable[[str, str], None], name: str) -> None:
    golden(name, RENDERED[name]())


def test_plan_json_does_not_depend_on_the_order_in_which_a_set_was_built() -> None:
    weather = next(change for change in MIXED.changes if change.ref == WEATHER)
    turned = replace(weather, inventory=frozenset(sorted(weather.inventory, reverse=True)))
    changes = tuple(turned if change.ref == WEATHER else change for change in MIXED.changes)
    assert plan_json(replace(MIXED, changes=changes)) == plan_json(MIXED)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json*")), ids=lambda path: path.name)
def test_every_json_document_says_its_format(path: Path) -> None:
    text = path.read_text()
    documents = text.splitlines() if path.suffix == ".jsonl" else [text]
    written = 2 if path.stem.startswith(("plan", "specs-first-plan")) else 1
    assert [json.loads(document)["format"] for document in documents] == [written] * len(documents)


def test_no_golden_file_is_left_over() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    used = {*RENDERED, *re.findall(r'golden\("([^"]+)"', tests)}
    assert {path.name for path in FOLDER.iterdir()} == used
