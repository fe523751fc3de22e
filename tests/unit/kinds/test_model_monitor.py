"""A monitor over many windows: what it judges, writes, tells, and remembers."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.kinds.model_monitor.content import shares
from framework.kinds.model_monitor.observed import (
    MonitorObserved,
    MonitorState,
    ObservedWindow,
    due,
    performance_since,
    window_end,
)
from framework.kinds.model_monitor.plan import HISTORY, plan
from framework.kinds.model_monitor.spec import ModelMonitorSpec
from framework.planning.grammar.actions import SendAlert, WriteReport
from framework.planning.grammar.changes import Change, Status, Verb
from framework.ports import ColumnSummary, LabelledWindow, ModelVersion
from framework.render.report import report_html
from tests.builders import NOW, desired, model_version
from tests.unit.drift.columns import categorical, numeric, reference

REF = Ref("ModelMonitor", "delay-monitor")
WINDOW = timedelta(minutes=5)
FLUSH = timedelta(seconds=10)
TRAINED = reference(numeric([2_000] * 5), categorical(AA=6_000, UA=4_000))
CALM = (numeric([200] * 5), categorical(AA=600, UA=400))
MOVED = (numeric([800, 50, 50, 50, 50]), categorical(AA=600, UA=400))


def monitor_spec(**more: Any) -> ModelMonitorSpec:
    return ModelMonitorSpec.model_validate(
        {
            "deployment": "delay",
            "window": "5m",
            "drift": {"threshold": 0.2},
            "alerts": [{"file": "alerts.jsonl"}, {"webhook": {"url": "https://example.org/hook"}}],
            **more,
        }
    )


PERFORMANCE = {"labels": {"view": "arrivals", "key": "flight", "column": "delayed"}, "maxDrop": 0.05}


class Monitor:
    """One window after the other; the status goes through JSON as in the store."""

    def __init__(self, spec: ModelMonitorSpec | None = None) -> None:
        self.spec = spec or monitor_spec()
        self.now = NOW + FLUSH + timedelta(seconds=2)
        self.live: ModelVersion | None = model_version()
        self.app = "delay-1111111111"
        self.status: Status | None = None
        self.change: Change | None = None

    @property
    def state(self) -> MonitorState:
        return MonitorState.model_validate(self.status.state if self.status else {})

    def look(self, *columns: ColumnSummary, performance: LabelledWindow | None = None, **more: Any) -> Change:
        self.now += WINDOW
        until = window_end(WINDOW, FLUSH, self.now)
        window = ObservedWindow(until - WINDOW, until, {column.name: column for column in columns})
        seen = MonitorObserved(REF, self.live, self.app, NOW, TRAINED, window, performance, FLUSH)
        return self.plan(replace(seen, **more))

    def plan(self, seen: MonitorObserved) -> Change:
        self.change = plan(desired(REF, self.spec), seen, self.status, self.now)
        assert self.change.status is not None
        assert not violations(self.change.status.conditions)
        self.status = Status.model_validate_json(self.change.status.model_dump_json())
        return self.change


def alerts(change: Change) -> list[tuple[str, str]]:
    return [(action.alert.episode, action.alert.state) for action in change.actions if isinstance(action, SendAlert)]


def page(change: Change) -> dict[str, Any]:
    (report,) = (action for action in change.actions if isinstance(action, WriteReport))
    return dict(report.content)


def reason(change: Change) -> str:
    assert change.status is not None
    return change.status.conditions.ready.reason


def auc(value: float, spread: float = 0.02, labelled: int = 1_000) -> LabelledWindow:
    return LabelledWindow("delay-1111111111", 4_000, labelled, "auc", value, value - spread, value + spread)


def test_before_anything_serves_it_waits_for_the_deployment() -> None:
    monitor = Monitor()
    monitor.live = None
    change = monitor.look()
    assert (change.verb, reason(change)) == (Verb.WAIT, "WaitingForDeployment")
    assert change.waits_for == (Ref("ModelDeployment", "delay"),)
    assert change.actions == ()


def test_a_calm_window_is_written_down_and_nobody_is_woken() -> None:
    monitor = Monitor()
    change = monitor.look(*CALM)
    assert (change.verb, reason(change), alerts(change)) == (Verb.UPDATE, "Watching", [])
    assert change.status is not None
    assert change.status.conditions.ready.status
    assert change.status.summary.startswith("none of 2 columns drift (max psi")


def test_nothing_due_nothing_done() -> None:
    monitor = Monitor()
    monitor.look(*CALM)
    before = monitor.status
    change = monitor.plan(MonitorObserved(REF, monitor.live, monitor.app, NOW, flush=FLUSH))
    assert (change.verb, change.actions, change.events) == (Verb.NOOP, (), ())
    assert monitor.status == before


def test_a_window_is_judged_once() -> None:
    monitor = Monitor()
    monitor.look(*MOVED)
    monitor.now -= WINDOW
    assert monitor.look(*MOVED).actions == ()


def test_an_alert_is_sent_once_per_episode_and_once_when_it_is_over() -> None:
    monitor = Monitor()
    assert alerts(monitor.look(*CALM)) == []
    begun = alerts(monitor.look(*MOVED))
    assert [state for _, state in begun] == ["firing"] * 2, "one for each target"
    assert len({episode for episode, _ in begun}) == 1
    assert alerts(monitor.look(*MOVED)) == []
    over = alerts(monitor.look(*CALM))
    assert over == [(begun[0][0], "resolved")] * 2
    again = alerts(monitor.look(*MOVED))
    assert again[0][0] != begun[0][0], "another episode"


def test_an_alert_carries_its_evidence_and_the_report_which_is_written_before() -> None:
    change = Monitor().look(*MOVED)
    assert isinstance(change.actions[0], WriteReport)
    alert = next(action.alert for action in change.actions if isinstance(action, SendAlert))
    assert alert.report == change.actions[0].uri
    (column,) = alert.evidence["columns"]
    assert column["column"] == "temp"
    assert column["value"] > column["limit"] >= 0.2
    assert alert.evidence["version"] == "delay-classifier@aaaaaaaaaa"
    assert "performance alone" in alert.evidence["note"]
    assert [item.reason for item in change.events] == ["DriftDetected"]


def test_a_pass_repeated_after_a_crash_names_the_same_episode() -> None:
    monitor = Monitor()
    first = monitor.look(*MOVED)
    monitor.status = None
    monitor.now -= WINDOW - timedelta(seconds=20)
    assert alerts(monitor.look(*MOVED)) == alerts(first)


def test_a_window_that_cannot_tell_begins_and_ends_nothing() -> None:
    monitor = Monitor()
    monitor.look(*MOVED)
    assert monitor.look(numeric([9] * 5)).actions == (), "the last page that says something stays"
    assert "drift" in monitor.state.episodes
    assert alerts(monitor.look()) == []
    assert monitor.change is not None
    assert monitor.change.status is not None
    assert monitor.change.status.summary.endswith("drift cannot be judged on 0 rows")


def test_what_is_open_is_told_as_long_as_it_is_also_by_a_window_that_cannot_tell() -> None:
    monitor = Monitor()
    monitor.look(*MOVED)
    assert monitor.status is not None
    began = f"drift since {monitor.state.episodes['drift'].since:%Y-%m-%d %H:%M} UTC"
    assert monitor.status.summary.startswith(f"{began}; 1 of 2 columns drifts")
    for quiet in ((), (numeric([0] * 5),)):
        monitor.look(*quiet)
        assert monitor.status.summary == f"{began}; drift cannot be judged on 0 rows"
        assert (monitor.status.conditions.ready.reason, began in monitor.status.conditions.ready.message) == (
            "DriftDetected",
            True,
        )
    monitor.look(*CALM)
    assert "since" not in monitor.status.summary


def test_drift_is_not_loss_of_performance() -> None:
    monitor = Monitor(monitor_spec(performance=PERFORMANCE))
    change = monitor.look(*MOVED, performance=auc(0.70))
    assert [item.reason for item in change.events] == ["DriftDetected"]
    assert set(monitor.state.episodes) == {"drift"}
    change = monitor.look(*CALM, performance=auc(0.60))
    assert {item.reason for item in change.events} == {"DriftOver", "PerformanceDegraded"}
    assert reason(change) == "PerformanceDegraded"
    assert set(monitor.state.episodes) == {"performance"}
    assert [item.reason for item in monitor.look(*CALM, performance=auc(0.71)).events] == ["PerformanceRecovered"]


def test_late_labels_are_inconclusive_until_there_are_enough() -> None:
    monitor = Monitor(monitor_spec(performance=PERFORMANCE))
    change = monitor.look(*CALM, performance=auc(0.4, labelled=10))
    assert alerts(change) == []
    assert change.status is not None
    assert "AUC 0.40 on 10 labels (baseline 0.70)" in change.status.summary


def test_quality_has_episodes_of_its_own() -> None:
    monitor = Monitor(monitor_spec(drift=None, quality={"maxNullRate": 0.05, "unseenCategories": 0.01}))
    change = monitor.look(numeric([100] * 5, nulls=500), categorical(AA=500, NEW=500))
    assert [item.reason for item in change.events] == ["QualityViolated"]
    assert "and 1 more" in change.events[0].message
    assert [item.reason for item in monitor.look(*CALM).events] == ["QualityRestored"]


def test_another_live_version_closes_what_was_open_and_starts_afresh() -> None:
    monitor = Monitor()
    monitor.look(*MOVED)
    monitor.app, monitor.live = "delay-2222222222", model_version("b" * 10)
    change = monitor.plan(MonitorObserved(REF, monitor.live, monitor.app, monitor.now, flush=FLUSH))
    assert [state for _, state in alerts(change)] == ["resolved"] * 2
    assert monitor.state == MonitorState(app=monitor.app)


def test_a_subject_no_longer_asked_for_is_over() -> None:
    monitor = Monitor()
    monitor.look(*MOVED)
    monitor.spec = monitor_spec(drift=None, quality={"maxNullRate": 0.5})
    assert [item.reason for item in monitor.look(*CALM).events] == ["DriftOver"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("", "the training profile of delay-1111111111 is missing: drift cannot be judged"),
        ("whole.bin: no profile", "cannot be read (whole.bin: no profile): drift cannot be judged"),
    ],
)
def test_without_a_training_profile_it_is_stalled_and_never_taken_for_calm(damage: str, message: str) -> None:
    """Nothing is under way that would bring one; what can be judged without it still is."""
    monitor = Monitor(monitor_spec(performance=PERFORMANCE, quality={"maxNullRate": 0.05}))
    change = monitor.look(
        numeric([100] * 5, nulls=500), reference=None, damage=damage, performance=auc(0.60), flush=FLUSH
    )
    assert change.status is not None
    conditions = change.status.conditions
    assert (conditions.ready.status, conditions.stalled.status, conditions.reconciling.status) == (False, True, False)
    assert reason(change) == "ReferenceMissing"
    assert message in conditions.ready.message
    assert {item.reason for item in change.events} == {"PerformanceDegraded", "QualityViolated"}
    assert change.requeue_after == WINDOW - timedelta(seconds=2), "the next window is judged as well"
    assert reason(monitor.look(*CALM, performance=auc(0.70))) == "Watching"


def test_a_monitor_that_watches_no_drift_misses_no_training_profile() -> None:
    monitor = Monitor(monitor_spec(drift=None, performance=PERFORMANCE))
    assert reason(monitor.look(reference=None, performance=auc(0.70))) == "Watching"


def test_what_was_left_out_or_is_not_known_is_said_beside_the_verdict() -> None:
    monitor = Monitor(monitor_spec(performance=PERFORMANCE))
    until = window_end(WINDOW, FLUSH, monitor.now + WINDOW)
    columns = {column.name: column for column in CALM}
    window = ObservedWindow(until - WINDOW, until, columns, damaged=("1-r1-0.bin",))
    change = monitor.look(
        window=window,
        reference=replace(TRAINED, damaged=("period-3.bin",)),
        performance=LabelledWindow("delay-1111111111", 900, 0, "auc", None, keyless=900),
    )
    assert change.status is not None
    message = change.status.conditions.ready.message
    for words in (
        "none of 2 columns drift",
        "1 file of the window's profiles is damaged and left out: 1-r1-0.bin",
        "1 file of the training profile is damaged and left out: period-3.bin",
        "0 of 900 predictions are labelled; needs 200; 900 predictions carry no key",
    ):
        assert words in message
    assert page(change)["remarks"] == list(monitor.state.remarks)
    assert "period-3.bin" in report_html(page(change))
    assert monitor.look(*CALM, performance=auc(0.70)).status is not None
    assert monitor.state.remarks == ()


def test_unseen_categories_are_those_that_the_model_was_not_trained_on() -> None:
    """Its signature has them all; a profile names the frequent ones."""
    monitor = Monitor(monitor_spec(drift=None, quality={"unseenCategories": 0.05}))
    known = [f"c{number}" for number in range(5_000)]
    assert monitor.live is not None
    inputs = [{"name": "carrier", "dtype": "String", "nullable": False, "categories": known}]
    monitor.live = monitor.live.model_copy(update={"signature": {"inputs": inputs}})
    few = reference(ColumnSummary("carrier", 10_000, 0, categories=dict.fromkeys(known[:100], 2.0)))
    calm = ColumnSummary("carrier", 1_000, 0, categories=dict.fromkeys(known[-1_000:], 1.0))
    assert monitor.look(calm, reference=few).events == ()
    strange = ColumnSummary("carrier", 1_000, 0, categories={**dict.fromkeys(known[:500], 1.0), "new": 500.0})
    assert [item.reason for item in monitor.look(strange, reference=few).events] == ["QualityViolated"]
    unnamed = ColumnSummary("carrier", 10_000, 0, categories=dict.fromkeys(known, 1.0))
    monitor.look(unnamed, reference=few)
    assert monitor.state.remarks == (
        "unseen categories cannot be told of carrier: 50.0% of its values are of categories too many to be named",
    )


def test_the_history_is_bounded() -> None:
    monitor = Monitor()
    for _ in range(HISTORY + 5):
        change = monitor.look(*CALM)
    assert len(monitor.state.history) == HISTORY
    assert len(page(change)["history"]) == HISTORY


def test_the_page_can_be_made_from_what_the_plan_writes() -> None:
    monitor = Monitor(monitor_spec(performance=PERFORMANCE, quality={"maxNullRate": 0.05}))
    monitor.look(*CALM, performance=auc(0.70))
    content = page(monitor.look(numeric([800, 50, 50, 50, 50], nulls=200), performance=auc(0.6)))
    html = report_html(content)
    for text in ("delay-monitor", "Performance degraded", "null rate", "not in the window"):
        assert text in html


def test_removed_from_git_nothing_is_left() -> None:
    change = plan(None, MonitorObserved(REF), None, NOW)
    assert (change.verb, change.status, change.actions) == (Verb.DELETE, None, ())


def test_windows_follow_each_other_from_the_epoch_on() -> None:
    assert window_end(WINDOW, FLUSH, NOW + timedelta(seconds=9)) == NOW - WINDOW, "profiles may still be on their way"
    assert window_end(WINDOW, FLUSH, NOW + timedelta(seconds=10)) == NOW
    assert window_end(WINDOW, FLUSH, NOW + timedelta(minutes=5, seconds=9)) == NOW


@pytest.mark.parametrize(
    ("state", "live_since", "expected"),
    [
        (MonitorState(), NOW - WINDOW, (NOW - WINDOW, NOW)),
        (MonitorState(), NOW, None),
        (MonitorState(app="a", judged_until=NOW), NOW - WINDOW, None),
        (MonitorState(app="a", judged_until=NOW - WINDOW), NOW - 9 * WINDOW, (NOW - WINDOW, NOW)),
        (MonitorState(app="other", judged_until=NOW), NOW - WINDOW, (NOW - WINDOW, NOW)),
    ],
)
def test_which_window_is_due(
    state: MonitorState, live_since: datetime, expected: tuple[datetime, datetime] | None
) -> None:
    assert due(WINDOW, state, "a", live_since, FLUSH, NOW + timedelta(seconds=30)) == expected


def test_the_next_look_is_when_the_next_window_s_profiles_are_written() -> None:
    monitor = Monitor()
    change = monitor.look(*CALM)
    assert change.requeue_after == WINDOW - timedelta(seconds=2)


def test_how_far_back_predictions_are_judged() -> None:
    assert performance_since(None, NOW - 9 * WINDOW, NOW) == NOW - 9 * WINDOW
    assert performance_since(WINDOW, NOW - 9 * WINDOW, NOW) == NOW - WINDOW
    assert performance_since(9 * WINDOW, NOW - WINDOW, NOW) == NOW - WINDOW


def test_shares_are_on_the_same_labels() -> None:
    found = shares(numeric([1, 1, 1, 1, 0], nulls=1), numeric([0, 0, 0, 0, 9]))
    assert found == {
        "labels": ["up to 1", "1 to 2", "2 to 3", "3 to 4", "over 4", "missing"],
        "reference": [0.2, 0.2, 0.2, 0.2, 0.0, 0.2],
        "window": [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
    assert shares(numeric([1] * 5), numeric([1] * 3)) is None
    assert shares(None, numeric([1] * 5)) is None


def test_rare_categories_are_shown_together() -> None:
    many = ColumnSummary("carrier", 1_810, 0, categories={f"c{number:02}": 100.0 - number for number in range(20)})
    found = shares(many, categorical(c19=50.0, c00=50.0))
    assert found is not None
    assert len(found["labels"]) == 13
    assert found["labels"][-1] == "other"
    assert "c19" in found["labels"], "frequent on either side"
    assert sum(found["reference"]) == pytest.approx(1.0, abs=1e-4)
