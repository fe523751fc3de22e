"""When a trigger asks for a model to be trained again, and when it does not, by decision tables and by laws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.api.cron import next_after
from framework.api.meta import Ref
from framework.kinds.feature_view.observed import Published
from framework.kinds.training_job.asked import Retraining, Triggers
from framework.kinds.training_job.observed import OpenEpisode, Surroundings
from framework.kinds.training_job.retrain import Retrain
from framework.kinds.training_job.triggers import Outlook, decide
from tests.builders import NOW, STORAGE, desired, model_version, training_spec

JOB = Ref("TrainingJob", "classifier")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DRIFT = OpenEpisode("watch-drift-1", "2 of 5 columns drift")


def view(values: str = "v1", rows: int = 1000, version: int = 0) -> Published:
    return Published(
        uri=f"{STORAGE}/features/departures",
        version=version,
        rows=rows,
        identity="i",
        source_digest="s",
        commit="c",
        at=NOW,
        entities=("flight",),
        timestamp="at",
        columns=(("flight", "Int64"), ("at", "Datetime"), ("delayed", "Boolean")),
        digests=dict.fromkeys(("flight", "at", "delayed"), values),
    )


TRAINED_ON = view()


def look(
    retrain: dict[str, Any],
    state: Triggers,
    now: datetime,
    *,
    holds: Published = TRAINED_ON,
    refresh: int = 0,
    trained_on: Published = TRAINED_ON,
    **around: Any,
) -> Outlook:
    dataset = {**training_spec().dataset.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
    spec = training_spec(dataset={**dataset, "refresh": refresh}, retrain=retrain)
    read = {"departures": trained_on.read({"delayed"}).model_dump(mode="json")}
    version = model_version("1" * 10).model_copy(update={"lineage": {"views": read}})
    seen = Surroundings(views={"departures": holds}, **around)
    assert spec.retrain is not None
    return decide(desired(JOB, spec), spec.retrain, state, version, "version 1111111111, auc 0.7", seen, now)


def seen_first(retrain: dict[str, Any], now: datetime = NOW, **more: Any) -> Triggers:
    """What is remembered after the first look."""
    found = look(retrain, Triggers(), now, **more)
    assert found.asks is None
    return found.state


def asked(found: Outlook) -> Retraining:
    assert found.asks is not None, found.words
    return found.asks


MONDAYS = {"schedule": "0 3 * * 1", "timezone": "Europe/Vienna"}
"""NOW is Sunday, 2026-03-01 12:00 UTC."""
MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def test_what_comes_next_is_told_before_anything_is_due() -> None:
    found = look(MONDAYS, Triggers(), NOW)
    assert found.words == "retrains next 2026-03-02 02:00 UTC by schedule (0 3 * * 1 Europe/Vienna) if rows differ"
    assert found.again == MONDAY - NOW
    assert found.events == ()


def test_a_due_time_with_newer_data_asks_once_with_its_evidence() -> None:
    state = seen_first(MONDAYS)
    found = look(MONDAYS, state, MONDAY, holds=view("v2", rows=1500, version=3))
    asks = asked(found)
    assert (asks.refresh, asks.branch) == (1, "mlopsctl/retrain/classifier-1")
    assert asks.message.splitlines() == [
        "Retrain classifier on the data of its day",
        "",
        "Trigger: due 2026-03-02 02:00 UTC by schedule (0 3 * * 1 Europe/Vienna)",
        "Differs: departures: version 0 -> 3, 500 rows more",
        "Now: version 1111111111, auc 0.7",
        "Environment: local",
        "",
        "dataset.refresh of TrainingJob/classifier becomes 1. A revert of this commit goes back to",
        "version 1111111111 and trains nothing.",
    ]
    assert [event.reason for event in found.events] == ["RetrainingAsked"]
    assert look(MONDAYS, found.state, MONDAY + MINUTE, holds=view("v2")).asks is None


def test_under_equal_rows_a_due_time_trains_nothing_and_says_so_once() -> None:
    found = look(MONDAYS, seen_first(MONDAYS), MONDAY, holds=view(version=8))
    assert found.asks is None
    assert [event.reason for event in found.events] == ["NothingDiffers"]
    assert "nothing differed, so nothing was trained" in found.words
    again = look(MONDAYS, found.state, MONDAY + HOUR, holds=view("v2"))
    assert (again.asks, again.events) == (None, ()), "it was dealt with; the next time is next week"


def test_times_that_were_missed_ask_once() -> None:
    state = seen_first({"schedule": "0 * * * *"})
    found = look({"schedule": "0 * * * *"}, state, NOW + 3 * DAY, holds=view("v2"))
    assert asked(found).refresh == 1
    assert look({"schedule": "0 * * * *"}, found.state, NOW + 3 * DAY + MINUTE, holds=view("v3")).asks is None


def test_another_schedule_or_time_zone_has_no_past() -> None:
    state = seen_first(MONDAYS)
    for other in ({**MONDAYS, "schedule": "0 13 * * 0"}, {**MONDAYS, "timezone": "UTC"}):
        assert look(other, state, MONDAY + DAY, holds=view("v2")).asks is None


@pytest.mark.parametrize(("rows", "asks"), [(1000, False), (1499, False), (1500, True), (900, False)])
def test_so_many_rows_more_are_waited_for(rows: int, asks: bool) -> None:
    retrain = {"onNewData": {"rows": 500}}
    found = look(retrain, Triggers(), NOW, holds=view("v2", rows=rows))
    assert (found.asks is not None) is asks
    assert f"{rows - 1000:,} so far" in found.words


def test_where_nobody_counted_the_rows_other_rows_are_enough() -> None:
    uncounted = TRAINED_ON.model_copy(update={"rows": None})
    dataset = look({"onNewData": {"rows": 500}}, Triggers(), NOW, holds=view("v2"), trained_on=uncounted)
    assert dataset.asks is not None


def test_new_data_asks_once_for_the_same_rows_whatever_becomes_of_it() -> None:
    retrain = {"onNewData": True}
    found = look(retrain, Triggers(), NOW, holds=view("v2"))
    assert asked(found).refresh == 1
    later = look(retrain, found.state, NOW + DAY, holds=view("v2"))
    assert later.asks is None
    assert "proposed on branch mlopsctl/retrain/classifier-1 since 2026-03-01 12:00 UTC" in later.words
    newer = look(retrain, later.state, NOW + DAY, holds=view("v3"))
    assert asked(newer).branch == "mlopsctl/retrain/classifier-1", "the same proposal"
    assert len(newer.state.asked) == 1


def test_a_reverted_retraining_is_not_asked_for_again_on_its_rows_nor_under_its_number() -> None:
    retrain = {"onNewData": True}
    first = look(retrain, Triggers(), NOW, holds=view("v2"))
    merged = look(retrain, first.state, NOW + HOUR, holds=view("v2"), refresh=1, trained_on=view("v2"))
    reverted = look(retrain, merged.state, NOW + 2 * HOUR, holds=view("v2"))
    assert reverted.asks is None
    assert asked(look(retrain, reverted.state, NOW + DAY, holds=view("v3"))).refresh == 2


def test_an_episode_asks_once_and_links_its_report() -> None:
    retrain = {"onDrift": ["watch"]}
    found = look(retrain, Triggers(), NOW, holds=view("v2"), episodes={"watch": DRIFT})
    asks = asked(found)
    assert "Trigger: ModelMonitor/watch sees drift: 2 of 5 columns drift" in asks.message
    assert f"Report: {STORAGE}/environments/local/reports/watch/index.html" in asks.message
    again = look(retrain, found.state, NOW + DAY, holds=view("v3"), episodes={"watch": DRIFT})
    assert again.asks is None
    other = look(retrain, again.state, NOW + DAY, holds=view("v3"), episodes={"watch": OpenEpisode("2", "worse")})
    assert other.asks is not None


def test_an_episode_without_newer_data_is_told_of_once_and_answered_when_that_comes() -> None:
    retrain = {"onDrift": ["watch"]}
    first = look(retrain, Triggers(), NOW, episodes={"watch": DRIFT})
    assert [event.reason for event in first.events] == ["NothingDiffers"]
    second = look(retrain, first.state, NOW + MINUTE, episodes={"watch": DRIFT})
    assert (second.events, second.asks, second.state) == ((), None, first.state)
    assert look(retrain, second.state, NOW + HOUR, holds=view("v2"), episodes={"watch": DRIFT}).asks is not None


def test_cooldown_counts_from_the_last_one_and_holds_a_due_time_back_until_it_is_over() -> None:
    retrain = {"schedule": "0 * * * *", "cooldown": "90m"}
    first = look(retrain, seen_first(retrain), NOW + HOUR, holds=view("v2"))
    assert first.asks is not None
    held = look(retrain, first.state, NOW + 2 * HOUR, holds=view("v3"))
    assert held.asks is None
    assert "cooldown until 2026-03-01 14:30 UTC" in held.words
    assert held.again == timedelta(minutes=30)
    assert look(retrain, held.state, NOW + 2.5 * HOUR, holds=view("v3")).asks is not None


def test_a_budget_of_runs_is_waited_for_and_told_of_once() -> None:
    retrain = {"onNewData": True, "budget": {"runs": 2, "per": "7d"}}
    state, day = Triggers(), 0
    for day in range(2):
        found = look(retrain, state, NOW + day * DAY, holds=view(f"v{day + 2}"), refresh=day)
        assert asked(found).refresh == day + 1
        state = found.state
    over = look(retrain, state, NOW + 2 * DAY, holds=view("v9"), refresh=2)
    assert [event.reason for event in over.events] == ["RetrainingWaits"]
    assert "its budget is used up until 2026-03-08 12:00 UTC" in over.words
    assert "2 of 2 runs used in 7d" in over.words
    assert over.again == DAY, "a look a day, though it is still 5 days"
    quiet = look(retrain, over.state, NOW + 3 * DAY, holds=view("v9"), refresh=2)
    assert (quiet.events, quiet.asks) == ((), None)
    assert look(retrain, quiet.state, NOW + 7 * DAY + MINUTE, holds=view("v9"), refresh=2).asks is not None


def test_gpu_hours_are_what_runs_took() -> None:
    retrain = {"onNewData": True, "budget": {"gpuHours": 4, "per": "7d"}}
    first = look(retrain, Triggers(), NOW, holds=view("v2"))
    spent = first.state.settled(1, 3.5)
    second = look(retrain, spent, NOW + DAY, holds=view("v3"), refresh=1)
    assert "3.5 of 4 GPU-hours used in 7d" in second.words
    assert second.asks is not None, "not used up yet"
    third = look(retrain, second.state.settled(2, 1.0), NOW + 2 * DAY, holds=view("v4"), refresh=2)
    assert third.asks is None
    assert "its budget is used up until 2026-03-08 12:00 UTC" in third.words


def test_hours_are_counted_once() -> None:
    first = look({"onNewData": True}, Triggers(), NOW, holds=view("v2")).state
    assert first.settled(1, 2.0).settled(1, 5.0).asked[0].gpu_hours == 2.0
    assert first.settled(7, 2.0) == first


@pytest.mark.parametrize(
    ("around", "words"),
    [
        ({"pinned": True}, "a rollback is in force"),
        ({"waits_for": ("FeatureView/weather",)}, "for FeatureView/weather"),
    ],
)
def test_what_holds_a_trigger_back_consumes_nothing(around: dict[str, Any], words: str) -> None:
    state = seen_first(MONDAYS)
    held = look(MONDAYS, state, MONDAY, holds=view("v2"), **around)
    assert held.asks is None
    assert words in held.words
    assert look(MONDAYS, held.state, MONDAY + HOUR, holds=view("v2")).asks is not None


def test_direct_is_a_commit_on_what_is_followed_or_is_refused_before_anything_is_due() -> None:
    retrain = {"onNewData": True, "mode": "direct"}
    assert asked(look(retrain, Triggers(), NOW, holds=view("v2"))).branch == ""
    refused = look(retrain, Triggers(), NOW, unwritable="'v1.2', which is followed, is no branch")
    assert refused.refused == "retrain.mode: direct cannot commit: 'v1.2', which is followed, is no branch"


def test_a_commit_that_is_not_in_force_yet_is_given_its_time() -> None:
    retrain = {"onNewData": True, "mode": "direct"}
    first = look(retrain, Triggers(), NOW, holds=view("v2"))
    waits = look(retrain, first.state, NOW + HOUR, holds=view("v3"))
    assert waits.asks is None
    assert "retraining is committed since" in waits.words
    assert look(retrain, waits.state, NOW + DAY, holds=view("v3")).asks is not None


def test_what_was_being_asked_for_is_asked_for_again_word_for_word_until_it_is_known() -> None:
    retrain = {"onNewData": True}
    first = look(retrain, Triggers(), NOW, holds=view("v2"))
    assert first.meanwhile is not None
    killed = look(retrain, first.meanwhile, NOW + HOUR, holds=view("v3"))
    assert killed.asks == first.asks
    assert killed.state == first.state
    lived = look(retrain, first.meanwhile, NOW + HOUR, holds=view("v2"), refresh=1, trained_on=view("v2"))
    assert (lived.asks, lived.state.asking) == (None, None)
    assert [event.reason for event in lived.events] == ["RetrainingAsked"], "it came about, and nobody had told"


def test_monitors_that_are_no_longer_named_are_forgotten() -> None:
    found = look({"onDrift": ["watch"]}, Triggers(), NOW, holds=view("v2"), episodes={"watch": DRIFT}).state
    assert look({"onNewData": True}, found, NOW, holds=view("v2")).state.answered == {}


# -- laws ------------------------------------------------------------------------------------------------------------

ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
EXPRESSIONS = ("0 3 * * *", "30 2 * * *", "*/20 * * * *", "15 1-3 * * 0", "0 12 1 * *", "45 1,2 * * *")
AROUND = [
    datetime(2026, 3, 28, 12, tzinfo=UTC),  # a day before Vienna's clocks go forward
    datetime(2026, 10, 24, 12, tzinfo=UTC),  # and back
    datetime(2026, 3, 7, 20, tzinfo=UTC),  # New York's
    datetime(2026, 10, 31, 20, tzinfo=UTC),
    datetime(2026, 4, 4, 3, tzinfo=UTC),  # Lord Howe's, by half an hour
]
STEPS = st.lists(
    st.one_of(
        st.integers(1, 90).map(lambda minutes: timedelta(minutes=minutes)),
        st.integers(1, 50).map(lambda hours: timedelta(hours=hours)),
        st.integers(1, 59).map(lambda seconds: timedelta(seconds=seconds)),
    ),
    min_size=1,
    max_size=60,
)


def due_between(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Every due time in (start, end], one after the other."""
    found, at = list[datetime](), start
    while (at := next_after(expression, at, zone)) <= end:
        found.append(at)
    return found


@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), st.sampled_from(AROUND), STEPS)
def test_however_time_moves_on_each_due_time_is_dealt_with_exactly_once(
    expression: str, zone: str, start: datetime, steps: list[timedelta]
) -> None:
    retrain = {"schedule": expression, "timezone": zone}
    state, now, number = seen_first(retrain, start), start, 0
    for index, step in enumerate(steps):
        before, now = now, now + step
        found = look(retrain, state, now, holds=view(f"v{index + 2}"))
        due = due_between(expression, zone, before, now)
        assert (found.asks is not None) == bool(due), (due, now.astimezone(ZoneInfo(zone)))
        number += found.asks is not None
        state = found.state
        assert look(retrain, state, now, holds=view(f"w{index}")).asks is None, "a second look at the same moment"
    assert number <= len(due_between(expression, zone, start, now))


@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(AROUND),
    st.lists(st.integers(-20, 30).map(lambda hours: timedelta(hours=hours)), min_size=1, max_size=40),
)
def test_a_clock_that_is_set_back_by_less_than_a_day_brings_no_due_time_twice(
    expression: str, start: datetime, steps: list[timedelta]
) -> None:
    retrain = {"schedule": expression}
    state, now, furthest, dealt_with = seen_first(retrain, start), start, start, set[datetime]()
    for index, step in enumerate(steps):
        now = max(now + step, furthest - 20 * HOUR)
        found = look(retrain, state, now, holds=view(f"v{index + 2}"))
        state = found.state
        if found.asks is not None:
            due = set(due_between(expression, "UTC", furthest, now))
            assert due, "nothing but what is new is due"
            assert not due & dealt_with
            dealt_with |= due
        furthest = max(furthest, now)


@pytest.mark.parametrize("ahead", [2 * DAY, 400 * DAY])
def test_a_clock_that_was_far_ahead_for_a_moment_does_not_end_a_schedule(ahead: timedelta) -> None:
    state = seen_first(MONDAYS)
    wrong = look(MONDAYS, state, NOW + ahead, holds=view("v2")).state
    right = look(MONDAYS, wrong, NOW + MINUTE, holds=view("v2"))
    assert right.again is not None
    assert look(MONDAYS, right.state, MONDAY, holds=view("v3")).asks is not None


@given(
    st.integers(1, 4),
    st.sampled_from(["1h", "1d"]),
    st.lists(st.integers(1, 600).map(lambda minutes: timedelta(minutes=minutes)), min_size=1, max_size=60),
)
def test_a_budget_holds_in_every_window_and_never_for_good(runs: int, per: str, steps: list[timedelta]) -> None:
    retrain = {"onNewData": True, "budget": {"runs": runs, "per": per}}
    length = Retrain.model_validate(retrain).budget.per  # type: ignore[union-attr]
    state, now, refresh, times = Triggers(), NOW, 0, list[datetime]()
    for index, step in enumerate(steps):
        now += step
        found = look(retrain, state, now, holds=view(f"v{index + 2}"), refresh=refresh)
        state = found.state
        if found.asks is not None:
            refresh = found.asks.refresh
            times.append(now)
            assert sum(one > now - length for one in times) <= runs
        else:
            assert sum(one > now - length for one in times) == runs, "it waits for nothing else"
