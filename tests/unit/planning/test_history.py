from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.planning.reports.history import History, Life
from framework.planning.reports.history import history as told
from framework.ports import Event
from tests.builders import NOW, at

DELAY, JOB, VIEW = Ref("ModelDeployment", "delay"), Ref("TrainingJob", "classifier"), Ref("FeatureView", "departures")


def history(events: Sequence[Event]) -> History:
    return told(events, KINDS)


def event(seconds: float, reason: str, ref: Ref | None = DELAY, commit: str = "c1", **data: Any) -> Event:
    return Event(time=at(seconds), commit=commit, ref=ref, reason=reason, message=reason, data=data, actor="a")


def promoted(seconds: float, version: str, before: str | None = None, app: str = "") -> Event:
    label = f"classifier@{version}"
    names: dict[str, Any] = {"app": app or f"delay-{version}", "version": label, "before": before, "after": label}
    promotion = event(seconds, "Promoted", **names)
    return promotion.model_copy(update={"data": {**promotion.data, "commit": f"of-{version}"}})


def started(seconds: float, version: str) -> Event:
    return event(seconds, "RolloutStarted", app=f"delay-{version}", version=f"classifier@{version}", commit="c2")


def weight(seconds: float, version: str, after: int) -> Event:
    return event(seconds, "WeightChanged", app=f"delay-{version}", before=0, after=after)


def ended(seconds: float, version: str, reason: str) -> Event:
    return event(seconds, reason, app=f"delay-{version}", version=f"classifier@{version}")


ROLLOUT = [
    started(0, "v1"),
    promoted(10, "v1"),
    started(100, "v2"),
    weight(110, "v2", 10),
    weight(120, "v2", 50),
    promoted(130, "v2", "classifier@v1"),
    started(200, "v3"),
    weight(210, "v3", 10),
    ended(220, "v3", "CandidateRejected"),
]


def only(found: History) -> Life:
    assert len(found.lives) == 1
    return found.lives[0]


def test_what_served_is_what_was_promoted_until_the_next_was() -> None:
    first, second = only(history(ROLLOUT)).services
    assert (first.version, first.since, first.until, first.before) == ("classifier@v1", at(10), at(130), None)
    assert (second.version, second.since, second.until) == ("classifier@v2", at(130), None)
    assert (second.before, second.app, second.commit, second.outcome) == ("classifier@v1", "delay-v2", "of-v2", "")


def test_a_candidate_is_on_trial_until_it_is_promoted_or_given_up() -> None:
    second, third = only(history(ROLLOUT)).trials
    assert (second.version, second.since, second.until, second.outcome) == (
        "classifier@v2", at(100), at(130), "Promoted",
    )  # fmt: skip
    assert [percent for _, percent in second.weights] == [10, 50]
    assert (third.until, third.outcome) == (at(220), "CandidateRejected")


def test_the_share_of_a_candidate_at_a_moment() -> None:
    trial = only(history(ROLLOUT)).trials[0]
    assert [trial.weight(at(second)) for second in (105, 110, 119, 120, 129)] == [0, 10, 10, 50, 50]


def test_the_first_version_is_no_candidate_beside_anything() -> None:
    assert only(history(ROLLOUT[:2])).trials == ()


def test_a_candidate_that_is_superseded_ends_where_the_next_begins() -> None:
    events = [promoted(0, "v1"), started(10, "v2"), ended(20, "v2", "Superseded"), started(20, "v3")]
    first, second = only(history(events)).trials
    assert (first.until, first.outcome, second.until) == (at(20), "Superseded", None)


def test_a_deployment_that_was_removed_serves_nothing_until_it_is_back() -> None:
    events = [promoted(0, "v1"), started(5, "v2"), event(10, "Deleted"), promoted(50, "v1")]
    life = only(history(events))
    assert [(one.since, one.until, one.outcome, one.before) for one in life.services] == [
        (at(0), at(10), "Deleted", None),
        (at(50), None, "", None),
    ]
    assert [(one.until, one.outcome) for one in life.trials] == [(at(10), "Deleted")]


def test_a_version_that_returns_serves_twice() -> None:
    events = [promoted(0, "v1"), promoted(10, "v2", "classifier@v1"), promoted(20, "v1", "classifier@v2")]
    versions = [(one.version, one.since) for one in only(history(events)).services]
    assert versions == [("classifier@v1", at(0)), ("classifier@v2", at(10)), ("classifier@v1", at(20))]


def test_what_served_at_a_moment() -> None:
    def served(second: float) -> list[str]:
        life = only(history(ROLLOUT).between(at(second), at(second)))
        return [one.version for one in (*life.services, *life.trials)]

    assert served(9.999) == []
    assert served(10) == ["classifier@v1"]
    assert served(115) == ["classifier@v1", "classifier@v2"]
    assert served(130) == ["classifier@v2"]
    assert served(219) == ["classifier@v2", "classifier@v3"]
    assert served(10**6) == ["classifier@v2"]


def test_what_served_in_a_span_is_all_that_overlaps_with_it() -> None:
    def served(since: float, until: float) -> list[str]:
        return [one.version for one in only(history(ROLLOUT).between(at(since), at(until))).services]

    assert served(0, 10) == []
    assert served(0, 11) == ["classifier@v1"]
    assert served(129, 131) == ["classifier@v1", "classifier@v2"]
    assert served(130, 200) == ["classifier@v2"]


def turn(seconds: float, reason: str, commit: str, **data: Any) -> Event:
    return event(seconds, reason, None, commit, **data)


TURNS = [
    turn(0, "RevisionAccepted", "c1"),
    turn(10, "RevisionRefused", "c2"),
    turn(20, "RevisionAccepted", "c3", before="c1", after="c3"),
    turn(30, "PinInForce", "c1"),
]


def test_the_commit_in_force_is_the_last_accepted_or_pinned_one() -> None:
    found = history(TURNS)
    turns = [found.in_force(at(second)) for second in (-1, 0, 15, 20, 30)]
    assert [None if turn is None else turn.in_force for turn in turns] == [None, "c1", "c1", "c3", "c1"]


def test_the_turns_of_a_span_are_those_in_it_and_the_one_in_force_before() -> None:
    def commits(since: float, until: float) -> list[str]:
        return [item.commit for item in history(TURNS).between(at(since), at(until)).turns]

    assert commits(5, 15) == ["c1", "c2"]
    assert commits(15, 25) == ["c1", "c3"]
    assert commits(15, 15) == ["c1"]
    assert commits(-5, -1) == []
    assert commits(20, 20) == ["c3"]


def test_models_and_tables_have_versions_too() -> None:
    found = history(
        [
            event(0, "Published", VIEW, uri="/store/features/departures/aaaa", version=0, rows=7),
            event(1, "Published", VIEW, uri="/store/features/departures/aaaa", version=0, rows=7),
            event(2, "Published", VIEW, uri="/store/features/departures/aaaa", version=1, rows=9),
            event(3, "ModelReady", JOB, version="v1"),
            event(4, "GateFailed", JOB, version="v2"),
            event(5, "ModelReady", JOB, version="v3"),
        ]
    )
    assert {str(life.ref): [(one.version, one.since) for one in life.services] for life in found.lives} == {
        "FeatureView/departures": [("departures@aaaa v0", at(0)), ("departures@aaaa v1", at(2))],
        "TrainingJob/classifier": [("classifier@v1", at(3)), ("classifier@v3", at(5))],
    }


def test_events_that_change_no_version_are_passed_over() -> None:
    assert history([event(0, "DriftRepaired"), event(1, "AlertSent", Ref("ModelMonitor", "m"))]) == History(
        (), (Life(DELAY, serve=True),)
    )


def test_events_without_the_data_of_newer_ones_are_read() -> None:
    old = Event(time=NOW, commit="c9", ref=DELAY, reason="Promoted", message="", data={"app": "a", "version": "t@v"})
    service = only(history([old])).services[0]
    assert (service.version, service.commit, service.before) == ("t@v", "c9", None)


def test_offsets_do_not_matter() -> None:
    early = promoted(0, "v1").model_copy(update={"time": datetime.fromisoformat("2026-03-01T11:00:00-01:00")})
    assert only(history([early]).between(NOW, NOW)).services[0].since == NOW
    assert only(history([early]).between(NOW - timedelta(seconds=1), NOW.astimezone(UTC))).services == ()
