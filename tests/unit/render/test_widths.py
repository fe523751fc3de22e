"""No line of what people read is longer than their terminal, and no reason is lost on a narrow one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.grammar.steps import Ending, SimulatedPass, SimulatedStep
from framework.planning.reports.asked import Asked, Stand, Uncommitted
from framework.planning.reports.history import history
from framework.planning.reports.lineage import Edge, Node, Sort, assemble
from framework.planning.reports.oversight import Oversight, Presence
from framework.planning.reports.overview import StatusRow, report, rows
from framework.planning.reports.why import why
from framework.ports import Event, Heartbeat, Outage, Record
from framework.render.events import event_row, events_text
from framework.render.history import HistoryReport, history_text
from framework.render.lineage import lineage_text
from framework.render.plan import plan_text
from framework.render.status import resource_text, status_text
from framework.render.steps import steps_text
from framework.render.terminal import cells
from framework.render.why import why_text
from tests.unit.render.plans import EVERY_ACTION, MIXED, REFUSED
from tests.unit.render.samples import (
    ACTIONS,
    COMMIT,
    DESIRED,
    EVENTS,
    MONITOR,
    NOW,
    RECORDS,
    REVISIONS,
    TRACEBACK,
    desired,
    record,
    status,
)

WIDTHS = (30, 40, 80, 110)

LONG = "a-name-of-forty-seven-characters-is-the-longest"
DEPLOYMENT, JOB = Ref("ModelDeployment", LONG), Ref("TrainingJob", LONG)
PATH = f"s3://bucket/{'deep/' * 20}model.txt"
MESSAGE = f"{LONG}-5bd5f8ace4 is Failed: {PATH} was not found; 東京 に ありません, see {TRACEBACK}"
LABEL = f"{LONG}@03d2ce3917"
ASKED = {JOB: desired(JOB, "aa11bb22cc"), DEPLOYMENT: desired(DEPLOYMENT, "5e6f7a8b9c", JOB), **DESIRED}
STORED: tuple[Record, ...] = (
    *RECORDS,
    record(JOB, status("aa11bb22cc", "ExpectationFailed", MESSAGE, stalled=True, summary=LABEL)),
    record(
        DEPLOYMENT,
        status(
            "5e6f7a8b9c", "WaitingForModel", MESSAGE, reconciling=True, summary=f"{LABEL} serves; 10 % on {LABEL}"
        ).model_copy(update={"waits_for": (JOB,)}),
        JOB,
    ),
)
OVERSIGHT = Oversight(
    NOW,
    Presence.AT_WORK,
    Heartbeat(
        holder=f"{LONG}.example.org:4711:abcdef",
        process={"pid": 4711, "host": f"{LONG}.example.org"},
        started=NOW,
        time=NOW,
        every=5,
        resync=10,
        seen=NOW,
        late={str(DEPLOYMENT): NOW - timedelta(hours=3), str(JOB): None},
        source=Outage(since=NOW, message=MESSAGE),
        loop=Outage(since=NOW, message=MESSAGE),
    ),
    here=False,
    cluster=Outage(since=NOW - timedelta(hours=3), message=MESSAGE),
)
REPORT = report(
    "local",
    ASKED,
    STORED,
    REVISIONS,
    NOW,
    asked=Asked(Stand.WRONG, COMMIT, "A subject 東京 " * 9, tuple(item for item in REVISIONS[0].problems)),
    oversight=OVERSIGHT,
    uncommitted=Uncommitted(COMMIT, (f"mlops_specs/{LONG}/{LONG}.yaml", "data/ü.csv")),
)


def event(reason: str, ref: Ref | None, message: str, **data: object) -> Event:
    actor = "a-long-user-name@a-long-host-name.example.org"
    return Event(time=NOW, commit=COMMIT, ref=ref, reason=reason, message=message, data=dict(data), actor=actor)


LIVED = [
    event("RevisionAccepted", None, MESSAGE, after=COMMIT),
    event("Promoted", DEPLOYMENT, MESSAGE, version=LABEL, app=f"{LONG}-5bd5f8ace4"),
    event("RolloutStarted", DEPLOYMENT, MESSAGE, version=LABEL, app=f"{LONG}-724042289c"),
    *(event("WeightChanged", DEPLOYMENT, "", app=f"{LONG}-724042289c", after=weight) for weight in range(5, 100, 5)),
    event("CandidateRejected", DEPLOYMENT, MESSAGE, version=LABEL, app=f"{LONG}-724042289c"),
    event("ModelReady", JOB, MESSAGE, version="03d2ce3917"),
]
FLOW = assemble(
    [
        Node(Sort.COMMIT, COMMIT, {"subject": "A subject " * 9}),
        Node(Sort.SOURCES, "s", {"digest": "0" * 64, "paths": {LONG: f"s3://bucket/{LONG}/{LONG}"}}),
        Node(Sort.TABLE, "t", {"rows": 5, "build": "a" * 10, "version": 0}, Ref("FeatureView", LONG)),
        Node(Sort.MONITOR, LONG, {"summary": MESSAGE}, Ref("ModelMonitor", LONG)),
    ],
    [
        Edge(f"commit:{COMMIT}", "table:t", "at"),
        Edge("sources:s", "table:t", ""),
        Edge("table:t", f"monitor:{LONG}", "watches"),
    ],
)
STEPS = SimulatedPass(
    "local",
    COMMIT,
    (
        SimulatedStep(65.0, 1, DEPLOYMENT, "because", ACTIONS),
        SimulatedStep(3.0, 2, Ref("FeatureView", "a"), "because", ACTIONS[:1]),
    ),
    65.0,
    False,
    (Ending(DEPLOYMENT, "held", LABEL, MESSAGE), Ending(JOB, "stalled", LABEL, MESSAGE)),
    (JOB, DEPLOYMENT),
)
LADDER = {
    ref: desired(ref, "aa11bb22cc", *([Ref("FeatureView", f"v{number - 1:02}-{LONG[:41]}")] if number else []))
    for number in range(30)
    for ref in [Ref("FeatureView", f"v{number:02}-{LONG[:41]}")]
}
STUCK = [
    record(ref, status("aa11bb22cc", "UpstreamNotReady", MESSAGE, reconciling=True), *asked.upstream)
    for ref, asked in LADDER.items()
]


def resource_rows() -> list[StatusRow]:
    return [replace(row, looked_at=NOW - timedelta(hours=3)) for row in REPORT.rows]


TEXTS: Mapping[str, Callable[[int], str]] = {
    "status": lambda width: status_text(REPORT, width=width),
    "status of one": lambda width: "".join(resource_text(row, NOW, width=width) for row in resource_rows()),
    "status of nothing": lambda width: status_text(report(LONG, {}, (), (), NOW), width=width),
    "why": lambda width: why_text(why(DEPLOYMENT, rows(ASKED, STORED, NOW)), width=width),
    "why of many": lambda width: why_text(why([*LADDER][-1], rows(LADDER, STUCK, NOW)), width=width),
    "why not": lambda width: why_text(
        why(MONITOR, rows(ASKED, STORED, NOW, oversight=OVERSIGHT), OVERSIGHT), width=width
    ),
    "events": lambda width: events_text([*EVENTS, *LIVED], width=width),
    "an event": lambda width: "".join(event_row(item, width=width) for item in LIVED),
    "history": lambda width: history_text(HistoryReport("local", history(LIVED, KINDS)), width=width),
    "lineage": lambda width: lineage_text(FLOW, width=width),
    "simulate": lambda width: steps_text(STEPS, width=width),
    "plan": lambda width: plan_text(MIXED, width=width),
    "refused plan": lambda width: plan_text(REFUSED, width=width, unchanged=True),
    "plan with every action": lambda width: plan_text(EVERY_ACTION, width=width),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("what", TEXTS)
def test_no_line_is_longer_than_the_terminal(what: str, width: int) -> None:
    rows = TEXTS[what](width).splitlines()
    assert [row for row in rows if cells(row) > width] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_reasons_stand_there_on_the_narrowest_terminal_too(width: int) -> None:
    def squeezed(text: str) -> str:
        return re.sub(r"\s+|[│├└─]", "", text)

    shown = squeezed(TEXTS["status"](width))
    for row in REPORT.rows:
        assert squeezed(row.health.reason) in shown or row.sync == "Synced"
    assert all(item.reason in squeezed(TEXTS["events"](width)) for item in (*EVENTS, *LIVED))
    assert "CandidateRejected" in squeezed(TEXTS["history"](width))
    assert "BreakingNotAcknowledged" in squeezed(TEXTS["refused plan"](width))
    assert squeezed(LONG) in squeezed(TEXTS["why"](width))
