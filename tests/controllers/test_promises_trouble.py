"""The promises where something fails or there is no room: one in trouble stops nobody else."""

from __future__ import annotations

from datetime import timedelta

from controllers.runtime.backoff import Backoff
from framework.api.errors import TransientError
from framework.backends.memory.faults import FaultInjector
from framework.planning.grammar.changes import Status
from framework.planning.reports.overview import rows
from framework.planning.reports.why import why
from tests.controllers.test_promises import SLOW
from tests.world import (
    ANOTHER,
    BETTER,
    DEPLOYMENT,
    ENDPOINT,
    JOB,
    PROJECT,
    TRAINING,
    VIEW,
    World,
    environment,
    reconciled,
)


def test_03_failures_back_off_with_jitter_and_are_forgotten_after_a_success() -> None:
    def waits(jitter: float) -> list[timedelta]:
        backoff = Backoff(lambda: jitter, timedelta(seconds=1), timedelta(seconds=30))
        return [backoff.failed(JOB) for _ in range(8)]

    least, most = waits(0.0), waits(1.0)
    assert most == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 8, 16, 30, 30, 30)]
    assert [2 * wait for wait in least] == most


def test_03_a_resource_in_trouble_does_not_stop_the_others() -> None:
    world = reconciled(**SLOW)
    faults = FaultInjector()
    world.restart(faults.around(world.ports))
    faults.fail_on("registry.builds", TransientError("the registry is gone"), times=None)
    world.commit(delay=DEPLOYMENT.replace("/delay", "/again"))
    world.pass_()
    assert "the registry is gone" in world.message(JOB)
    assert world.status(VIEW).conditions.ready.status
    faults.revive()
    world.run()
    assert world.standing().converged


def test_08_a_rejected_version_is_quarantined_and_a_new_one_is_tried() -> None:
    world = reconciled()
    first, stable = world.served(), next(iter(world.weights()))
    world.error_rate = lambda app: 0.0 if app == stable else 0.4
    world.commit(classifier=BETTER)
    world.run()
    assert world.served() == first
    assert world.weights() == {stable: 100}
    assert "CandidateRejected" in world.status(ENDPOINT).conditions.stalled.reason
    assert "error_rate" in world.message(ENDPOINT)
    world.ports.calls.clear()
    world.steps(30)
    assert world.ports.calls.made == ()
    world.restart(world.ports)
    world.steps(10)
    assert world.changed() == []
    world.error_rate = lambda app: 0.0
    world.commit(classifier=ANOTHER)
    world.run()
    assert world.standing().converged
    assert world.served() != first


def test_04_a_quota_holds_back_what_does_not_fit_until_there_is_room() -> None:
    quota = environment("quotas: {runs: 1}")
    world = World({**PROJECT, **{f"mlops_specs/{stem}.yaml": text for stem, text in SLOW.items()}})
    world.commit(local=quota)
    most, waited = 0, set()
    for _ in range(120):
        world.pass_()
        most = max(most, len(world.ports.runs.active()))
        for record in world.ports.state.records():
            reason = Status.model_validate(record.status).conditions.reconciling
            if reason.status and reason.reason == "WaitingForQuota":
                waited.add(record.ref)
                assert "1 of 1 runs are in use by" in reason.message
        world.advance()
    assert most == 1
    assert waited
    assert world.standing().converged
    assert world.reasons().count("RunStarted") == 4, "what was held back was never said to have started"


def test_04_what_stands_in_the_way_for_good_is_told_and_a_larger_quota_lets_it_in() -> None:
    world = reconciled()
    world.commit(local=environment("quotas: {cpus: 1}"), classifier=TRAINING.replace("rounds: 50", "rounds: 51"))
    world.steps(40)
    row = world.status(JOB).conditions.reconciling
    assert row.reason == "QuotaExceeded"
    assert "0.5 of 1 CPUs are in use by ModelDeployment/delay" in row.message
    assert world.standing().held == (JOB,)
    assert world.standing().settled
    reason = why(ENDPOINT, rows(world.source.desired, world.ports.state.records(), world.now))
    assert reason.causes[0].health.reason == "QuotaExceeded"
    world.commit(local=environment("quotas: {cpus: 4}"))
    world.run()
    assert world.standing().converged


def test_04_a_candidate_that_waits_for_room_is_not_rejected_for_being_late() -> None:
    world = reconciled()
    world.commit(local=environment("quotas: {cpus: 2}"))
    world.run()
    world.commit(classifier=BETTER, delay=DEPLOYMENT.replace("{route: /delay}", "{route: /delay, replicas: {max: 3}}"))
    world.steps(40, 30)
    assert world.state(ENDPOINT)["quarantined"] == []
    assert world.status(ENDPOINT).conditions.reconciling.reason in {"QuotaExceeded", "WaitingForQuota"}
    world.commit(local=environment("quotas: {cpus: 8}"))
    world.run()
    assert world.standing().converged
