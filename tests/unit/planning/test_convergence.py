from typing import Any

from framework.api.conditions import transition
from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired, Status
from framework.planning.reports.convergence import environment_health
from framework.ports import Record
from tests.builders import NOW, desired, feature_view_spec, training_spec

VIEW, JOB = Ref("FeatureView", "departures"), Ref("TrainingJob", "delay")
ASKED: dict[Ref, Desired[Any]] = {
    VIEW: desired(VIEW, feature_view_spec()),
    JOB: desired(JOB, training_spec(), upstream={VIEW: "aaaaaaaaaa"}),
}


def record(ref: Ref, *, digest: str | None = None, waits_for: tuple[Ref, ...] = (), **conditions: Any) -> Record:
    conditions = {"ready": True, "reason": "Fine", **conditions}
    status = Status(
        commit="c",
        identity="aaaaaaaaaa",
        digest=digest or ASKED[ref].digest,
        conditions=transition(None, NOW, **conditions),
        waits_for=waits_for,
    )
    return Record(ref=ref, status=status.model_dump(mode="json"), version=1)


def test_all_ready_is_converged() -> None:
    found = environment_health(ASKED, [record(VIEW), record(JOB)])
    assert found.converged
    assert found.ready == (VIEW, JOB)


def test_what_was_never_looked_at_is_moving() -> None:
    assert environment_health(ASKED, [record(VIEW)]).moving == (JOB,)


def test_an_older_digest_is_moving_however_ready_it_says_it_is() -> None:
    assert environment_health(ASKED, [record(VIEW, digest="old"), record(JOB)]).moving == (VIEW,)


def test_what_waits_for_a_stalled_one_is_blocked_so_nobody_waits_for_ever() -> None:
    found = environment_health(
        ASKED,
        [
            record(VIEW, ready=False, stalled=True, reason="ExpectationFailed"),
            record(JOB, ready=False, reconciling=True, reason="UpstreamNotReady", waits_for=(VIEW,)),
        ],
    )
    assert found.settled
    assert not found.converged
    assert (found.stalled, found.blocked) == ((VIEW,), (JOB,))


def test_what_goes_on_beside_a_stalled_upstream_is_moving() -> None:
    """A deployment may be rolling out a version that it names, whatever becomes of the job's newest."""
    stuck = record(VIEW, stalled=True, reason="ExpectationFailed")
    assert environment_health(ASKED, [stuck, record(JOB, reconciling=True, reason="Analyzing")]).moving == (JOB,)


def test_a_pause_for_a_person_is_held() -> None:
    found = environment_health(ASKED, [record(VIEW), record(JOB, reconciling=True, reason="Paused")])
    assert found.held == (JOB,)


def test_a_vanished_resource_is_moving_until_it_is_gone() -> None:
    gone = Ref("ModelMonitor", "old")
    extra = record(VIEW).model_copy(update={"ref": gone})
    assert environment_health(ASKED, [record(VIEW), record(JOB), extra]).moving == (gone,)
