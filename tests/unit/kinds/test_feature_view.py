from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.kinds.feature_view import KIND
from framework.kinds.feature_view.build import wanted
from framework.kinds.feature_view.materialization import Materialization, Online
from framework.kinds.feature_view.observed import FeatureViewObserved, FeatureViewState, Published
from framework.kinds.feature_view.online import OnlineObserved
from framework.kinds.feature_view.plan import run_name
from framework.planning.grammar.actions import DeleteTable, StopRun, SubmitRun
from framework.planning.grammar.changes import Change, Status, Verb
from framework.ports import ExpectationResult, FailureKind, OnlinePlace, RunPhase, RunState
from tests.builders import NOW, STORAGE, at, desired, feature_view_spec, table

REF = Ref("FeatureView", "departures")
ASKED = desired(REF, feature_view_spec())
ABSENT = RunState(RunPhase.ABSENT)
EVERY = Materialization(every="5m")
MADE, OTHER = "aaaaaaaaaa", "0000000000"
"""The build that the table is of, and one that new data asks for."""


def look(**more: Any) -> FeatureViewObserved:
    base = {"ref": REF, "storage": STORAGE, "table": None, "source_digest": "s1", "run": ABSENT, "build": MADE}
    return FeatureViewObserved(**{**base, **more})


def plan(observed: FeatureViewObserved, status: Status | None = None, *, asked: Any = ASKED, now: Any = NOW) -> Change:
    change: Change = KIND.plan(asked, observed, status, now)
    if change.status is not None:
        assert not violations(change.status.conditions)
    return change


def test_a_new_view_is_materialised_and_owned_before_it_exists() -> None:
    change = plan(look())
    assert (change.verb, change.category) == (Verb.CREATE, Category.MATERIALIZE)
    (submit,) = change.actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.submission_id == f"{run_name('departures', MADE)}-1"
    assert f"run:{submit.run.name}" in change.inventory
    assert submit.run.payload["source_digest"] == "s1"


def test_a_published_table_with_the_same_sources_is_left_alone() -> None:
    first = plan(look(table=table()))
    assert (first.verb, first.actions) == (Verb.NOOP, ())
    assert [item.reason for item in first.events] == ["Published"]
    again = plan(look(table=table()), first.status)
    assert again.status == first.status
    assert again.events == ()


def test_new_source_data_counts_only_where_the_spec_asks_to_look() -> None:
    watching = desired(REF, feature_view_spec(materialization={"every": "5m"}))
    published = plan(look(table=table()), asked=watching).status
    changed = look(table=table(), source_digest="s2", build=OTHER)
    assert plan(changed, published, asked=watching, now=at(299)).actions == ()
    assert isinstance(plan(changed, published, asked=watching, now=at(300)).actions[0], SubmitRun)


def on(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


NIGHTLY = desired(REF, feature_view_spec(materialization={"schedule": "30 3 * * *", "timezone": "Europe/Vienna"}))


def test_a_schedule_takes_up_what_is_new_at_its_times_and_at_no_other() -> None:
    """03:30 in Vienna is 02:30 in UTC in winter and 01:30 in summer."""
    made = replace(table(), published=on("2026-03-01T12:00:00+00:00"))
    good = plan(look(table=made), asked=NIGHTLY, now=made.published)
    assert good.requeue_after == timedelta(hours=14, minutes=30)
    new = look(table=made, source_digest="s2", build=OTHER)
    assert plan(new, good.status, asked=NIGHTLY, now=on("2026-03-02T02:29:59+00:00")).actions == ()
    assert isinstance(plan(new, good.status, asked=NIGHTLY, now=on("2026-03-02T02:30:00+00:00")).actions[0], SubmitRun)
    nothing = plan(look(table=made), good.status, asked=NIGHTLY, now=on("2026-03-02T02:30:01+00:00"))
    assert (nothing.verb, nothing.actions) == (Verb.NOOP, ())
    later = plan(new, nothing.status, asked=NIGHTLY, now=on("2026-03-02T10:00:00+00:00"))
    assert later.actions == (), "what comes in the day waits for the night"
    assert later.status == nothing.status
    assert isinstance(plan(new, later.status, asked=NIGHTLY, now=on("2026-03-03T02:30:00+00:00")).actions[0], SubmitRun)
    summer = plan(
        look(table=replace(made, published=on("2026-03-29T12:00:00+00:00"))),
        asked=NIGHTLY,
        now=on("2026-03-29T12:00:00+00:00"),
    )
    assert summer.requeue_after == timedelta(hours=13, minutes=30)


def test_times_that_were_missed_are_made_up_for_once() -> None:
    made = replace(table(), published=on("2026-03-01T12:00:00+00:00"))
    good = plan(look(table=made), asked=NIGHTLY, now=made.published).status
    late = plan(look(table=made), good, asked=NIGHTLY, now=on("2026-03-05T09:00:00+00:00"))
    again = plan(look(table=made), late.status, asked=NIGHTLY, now=on("2026-03-05T09:00:05+00:00"))
    assert late.status != good
    assert again.status == late.status


FRESH = desired(REF, feature_view_spec(expectations=[{"freshness": "2h"}, {"freshness": "1h"}, {"rows": {"min": 1}}]))
AGED = replace(table(), newest=at(-600))
"""Fresh for another 50 minutes, by the stricter of the two."""


def test_fresh_data_is_looked_at_again_when_it_will_be_old() -> None:
    change = plan(look(table=AGED), asked=FRESH)
    assert (change.verb, change.requeue_after) == (Verb.NOOP, timedelta(minutes=50, microseconds=1))
    assert plan(look(table=AGED), change.status, asked=FRESH, now=at(3000)).verb is Verb.NOOP
    watching = replace(FRESH, spec=FRESH.spec.model_copy(update={"materialization": EVERY}))
    assert plan(look(table=AGED), asked=watching).requeue_after == timedelta(minutes=5)


def test_that_it_grew_old_is_told_once_whatever_becomes_of_its_rows_online() -> None:
    online = FRESH.spec.model_copy(update={"online": Online()})
    asked = replace(FRESH, spec=online)
    away = OnlineObserved(OnlinePlace(store="sqlite:///o.db", space="local"), problem=(True, "is away"))
    first = plan(look(table=AGED), asked=asked, now=at(3001))
    meanwhile = plan(look(table=AGED, online=away), first.status, asked=asked, now=at(3002))
    again = plan(look(table=AGED), meanwhile.status, asked=asked, now=at(3003))
    assert [[item.reason for item in one.events] for one in (first, meanwhile, again)] == [
        ["Published", "DataStale"], [], []
    ]  # fmt: skip


def test_data_that_grew_old_is_told_once_and_stays_in_service() -> None:
    fresh = plan(look(table=AGED), asked=FRESH).status
    first = plan(look(table=AGED), fresh, asked=FRESH, now=at(3001))
    assert first.status is not None
    stalled = first.status.conditions.stalled
    assert (stalled.status, stalled.reason, first.status.conditions.ready.status) == (True, "DataStale", True)
    assert "newest event time is 2026-03-01 11:50Z, and it was fresh until 2026-03-01 12:50Z" in stalled.message
    assert [item.reason for item in first.events] == ["DataStale"]
    assert first.actions == ()
    assert FeatureViewState.model_validate(first.status.state).published is not None
    again = plan(look(table=AGED), first.status, asked=FRESH, now=at(90_000))
    assert (again.status, again.events) == (first.status, ())
    newer = replace(AGED, version=1, newest=at(89_000), published=at(90_000))
    better = plan(look(table=newer), first.status, asked=FRESH, now=at(90_001))
    assert [item.reason for item in better.events] == ["Published"]
    assert (better.verb, better.requeue_after) == (Verb.NOOP, timedelta(seconds=2599, microseconds=1))


def test_old_data_is_computed_anew_where_new_data_has_come() -> None:
    watching = replace(FRESH, spec=FRESH.spec.model_copy(update={"materialization": EVERY}))
    old = plan(look(table=AGED), asked=watching, now=at(90_000))
    assert (old.actions, old.requeue_after) == ((), timedelta(seconds=5))
    (submit,) = plan(look(table=AGED, build=OTHER), old.status, asked=watching, now=at(90_005)).actions
    assert isinstance(submit, SubmitRun)


def test_nothing_is_said_of_the_age_of_data_that_need_not_be_fresh() -> None:
    for asked, published in ((ASKED, AGED), (FRESH, table())):
        change = plan(look(table=published), asked=asked, now=at(900_000))
        assert (change.verb, change.requeue_after) == (Verb.NOOP, None)


def test_readers_keep_the_last_good_version_while_the_next_is_on_its_way() -> None:
    good = plan(look(table=table())).status
    newer = desired(REF, feature_view_spec(), identity="bbbbbbbbbb")
    change = plan(look(build=OTHER), good, asked=newer)
    assert change.status is not None
    assert change.status.conditions.ready.status
    published = FeatureViewState.model_validate(change.status.state).published
    assert published is not None
    assert published.identity == "aaaaaaaaaa"


def test_failed_expectations_stall_and_are_told_once() -> None:
    running = plan(look()).status
    failed = RunState(
        RunPhase.FAILED,
        1,
        failure=FailureKind.USER,
        reason="ExpectationFailed",
        message="12 of 900 rows",
        finished=NOW,
    )
    first = plan(look(run=failed), running)
    assert first.status is not None
    assert first.status.conditions.stalled.status
    assert "12 of 900" in first.status.conditions.stalled.message
    assert [item.reason for item in first.events] == ["ExpectationFailed"]
    assert plan(look(run=failed), first.status).events == ()


def test_the_rows_that_broke_an_expectation_are_told_with_the_event() -> None:
    rows = [{"check": "unique", "offending": [{"flight": 7}]}]
    failed = RunState(
        RunPhase.FAILED, 1, failure=FailureKind.USER, reason="ExpectationFailed", finished=NOW, data={"failed": rows}
    )
    (event,) = plan(look(run=failed), plan(look()).status).events
    assert event.data == {"run": run_name("departures", MADE), "failed": rows}


WARNED = ExpectationResult(
    check="between",
    column="delay",
    severity="warn",
    observed="1 of 4 values lie outside [0, 9]",
    passed=False,
    failing=0.25,
    offending=({"flight": 7, "delay": 12},),
)


def test_one_that_only_warns_is_told_once_and_stays_in_sight() -> None:
    published = replace(table(), expectations=(WARNED.model_copy(update={"passed": True}), WARNED))
    first = plan(look(table=published))
    assert first.status is not None
    ready = first.status.conditions.ready
    assert (ready.status, first.verb, first.status.summary) == (True, Verb.NOOP, "1,000 rows, version 0, 1 warning")
    assert ready.message == "between of delay: 1 of 4 values lie outside [0, 9]"
    assert [item.reason for item in first.events] == ["Published", "ExpectationWarned"]
    assert first.events[1].data["failed"] == [WARNED.model_dump(mode="json")]
    again = plan(look(table=published), first.status)
    assert (again.status, again.events) == (first.status, ())


def test_data_whose_age_only_warns_stays_as_it_is_and_is_told_once() -> None:
    ages = [{"freshness": "1h", "severity": "warn"}, {"freshness": "2h"}]
    asked = desired(REF, feature_view_spec(expectations=ages))
    fresh = plan(look(table=AGED), asked=asked)
    assert fresh.requeue_after == timedelta(minutes=50, microseconds=1)
    warned = plan(look(table=AGED), fresh.status, asked=asked, now=at(3001))
    assert warned.status is not None
    assert (warned.verb, warned.status.conditions.stalled.status) == (Verb.NOOP, False)
    assert "it was fresh until 2026-03-01 12:50Z" in warned.status.conditions.ready.message
    assert [item.reason for item in warned.events] == ["DataStale"]
    again = plan(look(table=AGED), warned.status, asked=asked, now=at(4000))
    assert (again.events, again.requeue_after) == ((), timedelta(seconds=2600, microseconds=1))
    old = plan(look(table=AGED), again.status, asked=asked, now=at(7000))
    assert old.status is not None
    assert (old.status.conditions.stalled.reason, len(old.events)) == ("DataStale", 1)


KEY = {"references": {"columns": ["flight"], "view": "flights", "to": ["number"]}}
FLIGHTS = Ref("FeatureView", "flights")


def flights(**digests: str) -> Published:
    columns = (("number", "Int64"), ("since", "Datetime"), ("seats", "Int16"))
    held = {"number": "n", "since": "s", "seats": "p", **digests}
    return Published(
        uri="/t/flights", version=3, rows=9, identity="f", source_digest="", commit="c" * 40, at=NOW,
        entities=("number",), timestamp="since", columns=columns, digests=held,
    )  # fmt: skip


def test_a_view_that_an_expectation_names_is_an_upstream_of_which_its_columns_count() -> None:
    asked = desired(REF, feature_view_spec(expectations=[KEY]))
    (named,) = (item for item in KIND.references(asked.spec) if item.ref == FLIGHTS)
    assert (named.path, named.informs) == ("spec.expectations[0].references.view", False)
    assert KIND.consumes(asked.spec)[FLIGHTS] == {"number"}
    (submit,) = plan(look(upstream={FLIGHTS: flights()}), asked=asked).actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.payload["upstream"]["flights"]["version"] == 3
    names = {wanted(asked, "s1", {FLIGHTS: version}) for version in (flights(), flights(seats="other"))}
    assert len(names) == 1
    assert wanted(asked, "s1", {FLIGHTS: flights(number="other")}) not in names


def test_a_run_is_told_which_version_readers_have_whatever_made_it() -> None:
    good = plan(look(table=replace(table(), version=4))).status
    newer = desired(REF, feature_view_spec(expectations=[{"rowsChange": {"maxDrop": 0.1}}]), identity="bbbbbbbbbb")
    (submit,) = plan(look(build=OTHER), good, asked=newer).actions
    assert isinstance(submit, SubmitRun)
    previous = submit.run.payload["previous"]
    assert (previous["uri"], previous["version"], previous["rows"]) == (table().uri, 4, 1000)
    assert previous["columns"] == [[column.name, column.dtype] for column in newer.spec.columns]


def test_a_table_dropped_by_hand_is_made_again() -> None:
    good = plan(look(table=table())).status
    done = RunState(RunPhase.SUCCEEDED, 1, result={}, finished=NOW)
    (submit,) = plan(look(run=done), good).actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.attempt == 2


def test_a_newer_identity_stops_the_run_of_the_older() -> None:
    running = plan(look()).status
    newer = desired(REF, feature_view_spec(), identity="bbbbbbbbbb")
    stop, submit = plan(look(build=OTHER), running, asked=newer).actions
    assert stop == StopRun(STORAGE, run_name("departures", MADE))
    assert isinstance(submit, SubmitRun)


def test_it_waits_for_the_views_it_reads() -> None:
    change = plan(look(upstream={Ref("FeatureView", "weather"): None}, build=""))
    assert (change.verb, change.waits_for) == (Verb.WAIT, (Ref("FeatureView", "weather"),))


def test_a_missing_source_is_told_with_its_path() -> None:
    change = plan(look(source_problem=("SourceMissing", "data/flights.csv does not exist"), build=""))
    assert change.status is not None
    assert change.status.conditions.stalled.reason == "SourceMissing"


def test_removal_keeps_the_data_unless_the_spec_says_otherwise() -> None:
    kept = plan(look(table=table())).status
    change = plan(look(), kept, asked=None)
    assert (change.verb, change.actions, change.status) == (Verb.DELETE, (), None)
    asked = desired(REF, feature_view_spec(deletion="delete"))
    doomed = plan(look(table=table()), asked=asked).status
    assert [type(action) for action in plan(look(), doomed, asked=None).actions] == [DeleteTable]


def test_a_failed_node_is_retried_with_a_wait() -> None:
    lost = RunState(RunPhase.FAILED, 1, failure=FailureKind.INFRASTRUCTURE, message="lost", finished=NOW)
    change = plan(look(run=lost))
    assert change.requeue_after == timedelta(seconds=5)
    (submit,) = plan(look(run=lost), now=at(5)).actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.attempt == 2


def test_the_category_says_materialize_when_only_the_code_changed() -> None:
    good = plan(look(table=table())).status
    newer = replace(ASKED, identity="bbbbbbbbbb", digest="other")
    assert plan(look(), good, asked=newer).category is Category.MATERIALIZE


# -- builds: what is made, as against what is asked for ----------------------------------------------------------------

WEATHER = Ref("FeatureView", "weather")
OVER = desired(REF, feature_view_spec(), upstream={WEATHER: "w1"}, recipe="rrrrrrrrrr")


def test_new_rows_of_a_view_are_followed_without_being_asked_to_look() -> None:
    status = plan(look(table=table()), asked=OVER).status
    change = plan(look(table=table(), build=OTHER), status, asked=OVER)
    (submit,) = change.actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.payload["cause"] == submit.run.metadata["cause"] == "data"
    assert change.status is not None
    assert FeatureViewState.model_validate(change.status.state).published is not None, "readers go on with the last"


def test_what_came_to_the_same_rows_is_published_for_what_git_asks_now_and_told_once() -> None:
    """An upstream was refactored: the view has another identity, and the same build."""
    before = plan(look(table=table()), asked=OVER).status
    asked = replace(OVER, identity="bbbbbbbbbb", digest="other", upstream={WEATHER: "w2"})
    waiting = plan(look(table=table(), build="", upstream={WEATHER: None}), before, asked=asked)
    assert waiting.waits_for == (WEATHER,)
    assert waiting.status is not None
    still = FeatureViewState.model_validate(waiting.status.state).published
    assert still is not None
    assert still.identity == "aaaaaaaaaa", "who builds on the new one waits, too"
    change = plan(look(table=table()), waiting.status, asked=asked)
    assert (change.verb, change.actions) == (Verb.NOOP, ())
    assert change.status is not None
    published = FeatureViewState.model_validate(change.status.state).published
    assert published is not None
    assert (published.identity, published.version, published.uri) == ("bbbbbbbbbb", 0, still.uri)


def test_what_is_published_stays_while_nobody_knows_what_it_reads() -> None:
    published = plan(look(table=table()), asked=OVER).status
    change = plan(look(table=table(), build="", upstream={WEATHER: None}), published, asked=OVER)
    assert (change.verb, change.actions, change.waits_for) == (Verb.NOOP, (), ())


def test_it_is_told_how_long_a_run_took_only_where_there_was_one() -> None:
    done = RunState(RunPhase.SUCCEEDED, 1, result={}, started=NOW, finished=at(7))
    running = plan(look()).status
    (made,) = plan(look(table=table(), run=done), running).events
    assert made.data["seconds"] == 7
    (found,) = plan(look(table=table(), run=done)).events
    assert "seconds" not in found.data


def test_a_function_that_failed_is_asked_again_when_it_is_time() -> None:
    source = {"rows": {"function": "shop.rows:everything"}}
    asked = desired(REF, feature_view_spec(sources=source, materialization={"every": "5m"}))
    failed = RunState(RunPhase.FAILED, 1, failure=FailureKind.USER, reason="Timeout", message="no answer", finished=NOW)
    stalled = plan(look(run=failed), asked=asked, now=at(100))
    assert (stalled.actions, stalled.requeue_after) == ((), timedelta(seconds=200))
    (submit,) = plan(look(run=failed), stalled.status, asked=asked, now=at(300)).actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.attempt == 2
    assert plan(look(run=failed), now=at(900)).actions == (), "a file that is wrong stays wrong"
