"""The state machine, look by look."""

from __future__ import annotations

from typing import Any

import pytest

from framework.ports import AppPhase, ReplicaCounters
from framework.rollout.canary import advance, alarm_share, begin
from framework.rollout.state import CanaryPhase, CanaryState, Course, Decision, Reason, Signals
from framework.rollout.strategies import Canary
from tests.builders import NOW, at
from tests.unit.rollout.counting import canary, counted, router, signals

GOOD = router(counted(1_000, 5), counted(9_000, 45))
BAD = router(counted(1_000, 500), counted(9_000, 45))
IDLE = router(counted(0), counted(0))


class Walk:
    """Looks at a canary again and again."""

    def __init__(self, spec: Canary, **more: Any) -> None:
        self.spec, self.state = spec, begin(spec, NOW, **more)

    def look(self, seconds: float, told: Signals | None = None, *routers: ReplicaCounters) -> Decision:
        told = told or signals(AppPhase.RUNNING, *routers)
        self.state, decision = advance(self.spec, self.state, told, at(seconds))
        self.state = CanaryState.model_validate_json(self.state.model_dump_json())
        return decision

    def to_analysis(self) -> Walk:
        self.look(0)
        assert self.look(1, None, IDLE).reason is Reason.ANALYZING
        return self


def test_no_traffic_before_the_candidate_runs() -> None:
    walk = Walk(canary())
    decision = walk.look(10, signals(AppPhase.DEPLOYING))
    assert (decision.course, walk.state.weight) == (Course.CONTINUE, 0)
    assert walk.state.phase is CanaryPhase.STARTING


def test_a_candidate_that_fails_to_start_is_aborted_with_its_message() -> None:
    decision = Walk(canary()).look(3, signals(AppPhase.FAILED, message="ImportError: flights"))
    assert (decision.course, decision.reason) == (Course.ABORT, Reason.START_FAILED)
    assert decision.message == "ImportError: flights"


def test_a_candidate_that_does_not_run_by_the_deadline_is_aborted() -> None:
    walk = Walk(canary(startDeadline="60s"))
    assert walk.look(60, signals(AppPhase.DEPLOYING)).course is Course.CONTINUE
    decision = walk.look(61, signals(AppPhase.DEPLOYING, message="no CPU"))
    assert (decision.course, decision.reason) == (Course.ABORT, Reason.START_DEADLINE)
    assert "no CPU" in decision.message


def test_a_step_counts_once_the_routers_have_taken_it() -> None:
    walk = Walk(canary())
    assert walk.look(0).reason is Reason.SHIFTING
    assert walk.state.weight == 10
    assert walk.look(5, signals(applied=False)).reason is Reason.SHIFTING
    assert walk.state.step == 0
    walk.look(6, None, IDLE)
    assert (walk.state.step, walk.state.reason) == (1, Reason.ANALYZING)


def test_nothing_is_judged_on_a_table_that_somebody_changed() -> None:
    walk = Walk(canary()).to_analysis()
    decision = walk.look(61, signals(AppPhase.RUNNING, BAD, applied=False))
    assert (decision.course, decision.reason) == (Course.CONTINUE, Reason.SHIFTING)
    assert walk.look(62, None, IDLE).reason is Reason.INCONCLUSIVE


def test_a_good_candidate_is_promoted_when_its_time_is_up() -> None:
    walk = Walk(canary()).to_analysis()
    assert walk.look(60, None, GOOD).course is Course.CONTINUE
    decision = walk.look(61, None, GOOD)
    assert (decision.course, walk.state.weight) == (Course.PROMOTE, 100)
    assert decision.verdicts, "a promotion shows its numbers"


def test_a_bad_candidate_is_aborted_before_its_time_is_up() -> None:
    walk = Walk(canary()).to_analysis()
    decision = walk.look(2, None, BAD)
    assert (decision.course, decision.reason, walk.state.weight) == (Course.ABORT, Reason.ANALYSIS_FAILED, 0)
    assert "error_rate 50.00%" in decision.message


def test_no_traffic_is_inconclusive_and_waits_for_more() -> None:
    walk = Walk(canary()).to_analysis()
    decision = walk.look(500, None, IDLE)
    assert (decision.course, decision.reason) == (Course.CONTINUE, Reason.INCONCLUSIVE)
    assert "needs 100 requests" in decision.message
    assert walk.look(600, None, GOOD).course is Course.PROMOTE


def test_a_candidate_without_traffic_says_since_when_and_what_to_do() -> None:
    walk = Walk(canary()).to_analysis()
    quiet = walk.look(500, None, IDLE).message
    assert quiet.startswith("no requests since 12:00:01; needs 100 requests, and gets 10 % of the traffic")
    for what in ("send some", "mlopsctl rollout promote", "mlopsctl rollout abort", "onInconclusive"):
        assert what in quiet
    before = walk.state
    walk.look(900, None, IDLE)
    assert walk.state == before, "it says since when, not for how long"
    walk.look(1_000, None, router(counted(20), counted(180)))
    assert "no more since" not in walk.look(1_001, None, router(counted(20), counted(180))).message
    some = walk.look(1_100, None, router(counted(20), counted(180))).message
    assert "of 20 against" in some
    assert "needs 100 requests; no more since 12:16:40;" in some


@pytest.mark.parametrize(
    ("hold", "until"),
    [
        ({"pause": {"for": "30s"}}, "until 12:00:31"),
        ({"pause": {"for": "3d"}}, "until 2026-03-04 12:00:01"),
        ({"analyze": {"for": "12h"}}, "until 2026-03-02 00:00:01"),
    ],
)
def test_a_time_that_is_not_today_has_its_date(hold: dict[str, Any], until: str) -> None:
    walk = Walk(canary({"setWeight": 10}, hold, {"setWeight": 100}))
    walk.look(0)
    assert walk.look(1, None, IDLE).message.startswith(until)


@pytest.mark.parametrize(
    ("choice", "course"),
    [("pause", Course.CONTINUE), ("promote", Course.PROMOTE), ("rollback", Course.ABORT)],
)
def test_what_inconclusive_leads_to_is_the_users_choice(choice: str, course: Course) -> None:
    walk = Walk(canary(onInconclusive=choice)).to_analysis()
    assert walk.look(61, None, router(counted(20), counted(180))).course is course


def test_a_pause_without_end_waits_for_a_person_and_still_watches() -> None:
    walk = Walk(canary({"setWeight": 10}, {"pause": {}}, {"setWeight": 100}))
    walk.look(0)
    assert walk.look(1, None, IDLE).reason is Reason.PAUSED
    assert walk.look(1e6, None, GOOD).course is Course.CONTINUE
    assert walk.look(1e6 + 1, None, router(counted(3_000, 2_400), counted(9_000, 45))).course is Course.ABORT


def test_a_timed_pause_ends() -> None:
    walk = Walk(canary({"setWeight": 10}, {"pause": {"for": "30s"}}, {"setWeight": 100}))
    walk.look(0)
    assert walk.look(1, None, IDLE).reason is Reason.TIMED_PAUSE
    assert walk.look(31, None, IDLE).course is Course.PROMOTE


def test_each_step_is_judged_on_its_own_traffic() -> None:
    steps = ({"setWeight": 10}, {"analyze": {"for": "10s"}}, {"setWeight": 50}, {"analyze": {"for": "10s"}})
    walk = Walk(canary(*steps, {"setWeight": 100})).to_analysis()
    assert walk.look(11, None, GOOD).reason is Reason.SHIFTING
    assert walk.state.weight == 50
    decision = walk.look(12, None, GOOD)
    assert (decision.reason, decision.verdicts) == (Reason.ANALYZING, ())
    assert walk.state.history, "the first step's verdicts are kept"


def test_a_candidate_that_dies_under_traffic_is_aborted() -> None:
    decision = Walk(canary()).to_analysis().look(2, signals(AppPhase.FAILED, message="out of memory"))
    assert (decision.course, decision.reason, decision.message) == (Course.ABORT, Reason.DIED, "out of memory")


def test_an_unhealthy_candidate_may_come_back() -> None:
    walk = Walk(canary(startDeadline="60s")).to_analysis()
    assert walk.look(10, signals(AppPhase.UNHEALTHY)).reason is Reason.UNHEALTHY
    assert walk.look(50, None, GOOD).reason is Reason.ANALYZING
    assert walk.look(60, signals(AppPhase.UNHEALTHY)).course is Course.CONTINUE
    assert walk.look(121, signals(AppPhase.UNHEALTHY)).reason is Reason.DIED


def test_a_candidate_whose_app_is_gone_starts_again_at_zero() -> None:
    walk = Walk(canary()).to_analysis()
    assert walk.look(5, signals(None)).course is Course.CONTINUE
    assert (walk.state.phase, walk.state.weight, walk.state.step) == (CanaryPhase.STARTING, 0, 0)


def test_a_version_that_served_before_returns_without_analysis() -> None:
    walk = Walk(canary(), returning=True)
    assert walk.look(1, signals(AppPhase.DEPLOYING)).course is Course.CONTINUE
    assert walk.look(2).course is Course.PROMOTE


def test_steps_edited_in_mid_rollout_start_over() -> None:
    walk = Walk(canary()).to_analysis()
    walk.spec = canary({"setWeight": 5}, {"pause": {}}, {"setWeight": 100})
    walk.look(5)
    assert (walk.state.step, walk.state.weight) == (0, 5)


def test_nothing_new_changes_nothing() -> None:
    walk = Walk(canary()).to_analysis()
    walk.look(20, None, GOOD)
    before = walk.state
    walk.look(21, None, GOOD)
    assert walk.state == before


def test_a_last_step_of_100_percent_is_the_promotion_itself() -> None:
    walk = Walk(canary({"setWeight": 100}))
    assert walk.look(0).course is Course.PROMOTE


def test_the_false_alarm_rate_is_shared_by_metrics_and_holding_steps() -> None:
    steps: list[dict[str, Any]] = [
        {"setWeight": 10},
        {"analyze": {"for": "10s"}},
        {"pause": {}},
        {"setWeight": 100},
    ]
    metrics = [{"metric": "error_rate", "max": 0.1}, {"metric": "latency_p95", "maxRatio": 1.5}]
    assert alarm_share(canary(*steps, analysis=metrics, falseAlarmRate=0.04)) == pytest.approx(0.01)
    bare = canary(*steps, analysis=metrics, falseAlarmRate=0.06, shield=False)
    assert alarm_share(bare) == pytest.approx(0.01), "without a shield refusals are judged, too"


def test_without_analysis_only_time_decides() -> None:
    walk = Walk(canary({"setWeight": 10}, {"pause": {"for": "5s"}}, {"setWeight": 100}, analysis=[]))
    walk.look(0)
    walk.look(1, None, IDLE)
    assert walk.look(6, None, BAD).course is Course.PROMOTE
