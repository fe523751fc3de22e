from dataclasses import replace
from datetime import timedelta
from typing import Any

from framework.api.categories import Category
from framework.api.conditions import violations
from framework.api.meta import Ref
from framework.kinds.feature_view import KIND
from framework.kinds.feature_view.observed import FeatureViewObserved, FeatureViewState
from framework.kinds.feature_view.plan import run_name
from framework.planning.actions import DeleteTable, StopRun, SubmitRun
from framework.planning.changes import Change, Status, Verb
from framework.ports import FailureKind, RunPhase, RunState
from tests.builders import NOW, STORAGE, at, desired, feature_view_spec, table

REF = Ref("FeatureView", "departures")
ASKED = desired(REF, feature_view_spec())
ABSENT = RunState(RunPhase.ABSENT)


def look(**more: Any) -> FeatureViewObserved:
    base = {"ref": REF, "storage": STORAGE, "table": None, "source_digest": "s1", "run": ABSENT}
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
    assert submit.run.submission_id == f"{run_name('departures', 'aaaaaaaaaa', 's1')}-1"
    assert f"run:{submit.run.name}" in change.inventory
    assert submit.run.payload["source_digest"] == "s1"


def test_a_published_table_with_the_same_sources_is_left_alone() -> None:
    first = plan(look(table=table()))
    assert (first.verb, first.actions) == (Verb.NOOP, ())
    assert [item.reason for item in first.happenings] == ["Published"]
    again = plan(look(table=table()), first.status)
    assert again.status == first.status
    assert again.happenings == ()


def test_new_source_data_counts_only_where_the_spec_asks_to_look() -> None:
    changed = look(table=table(), source_digest="s2")
    assert plan(changed).actions == ()
    watching = desired(REF, feature_view_spec(materialization={"every": "5m"}))
    assert plan(changed, asked=watching, now=at(299)).actions == ()
    assert isinstance(plan(changed, asked=watching, now=at(300)).actions[0], SubmitRun)


def test_readers_keep_the_last_good_version_while_the_next_is_on_its_way() -> None:
    good = plan(look(table=table())).status
    newer = desired(REF, feature_view_spec(), identity="bbbbbbbbbb")
    change = plan(look(), good, asked=newer)
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
    assert [item.reason for item in first.happenings] == ["ExpectationFailed"]
    assert plan(look(run=failed), first.status).happenings == ()


def test_a_table_dropped_by_hand_is_made_again() -> None:
    good = plan(look(table=table())).status
    done = RunState(RunPhase.SUCCEEDED, 1, result={}, finished=NOW)
    (submit,) = plan(look(run=done), good).actions
    assert isinstance(submit, SubmitRun)
    assert submit.run.attempt == 2


def test_a_newer_identity_stops_the_run_of_the_older() -> None:
    running = plan(look()).status
    newer = desired(REF, feature_view_spec(), identity="bbbbbbbbbb")
    stop, submit = plan(look(), running, asked=newer).actions
    assert stop == StopRun(STORAGE, run_name("departures", "aaaaaaaaaa", "s1"))
    assert isinstance(submit, SubmitRun)


def test_it_waits_for_the_views_it_reads() -> None:
    change = plan(look(upstream={"weather": None}))
    assert (change.verb, change.waits_for) == (Verb.WAIT, (Ref("FeatureView", "weather"),))


def test_a_missing_source_is_told_with_its_path() -> None:
    change = plan(look(source_problem=("SourceMissing", "data/flights.csv does not exist"), source_digest=""))
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
