"""What every RunBackend promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.api.node_labels import NODE_ID
from framework.ports import FailureKind, RunBackend, RunPhase, RunSpec, RunState
from tests.contract.suites.polling import Patience

ENDED = (RunPhase.SUCCEEDED, RunPhase.FAILED)


@dataclass(frozen=True)
class RunWorld:
    """A backend and three workloads it can run: ``echo`` answers {value, attempt} from its payload's ``value``,
    ``refuse`` fails with "Refused" and "42 is too many", ``sleep`` goes on until it is stopped.

    ``unique`` is appended to every run's name, so that tests may share a backend.
    """

    backend: RunBackend
    storage: str
    patience: Patience
    echo: str
    refuse: str
    sleep: str
    unique: str = ""

    def spec(self, workload: str, name: str, attempt: int = 1, **payload: Any) -> RunSpec:
        return RunSpec(
            name=f"{name}{self.unique}",
            attempt=attempt,
            workload=workload,
            payload=payload,
            storage=self.storage,
            title=f"the run {name}",
        )

    def submit(self, run: RunSpec) -> None:
        self.backend.submit(run, None)

    def observe(self, run: RunSpec) -> RunState:
        return self.backend.observe(self.storage, run.name)

    def running(self, run: RunSpec) -> RunState:
        return self.patience.until(lambda: self.observe(run), lambda state: state.phase is RunPhase.RUNNING)

    def ended(self, run: RunSpec) -> RunState:
        """The state at the end of this very attempt."""
        return self.patience.until(
            lambda: self.observe(run), lambda state: state.phase in ENDED and state.attempt == run.attempt
        )


class RunContract:
    """Subclass it and provide a fixture ``world``."""

    def test_what_was_never_submitted_is_absent(self, world: RunWorld) -> None:
        run = world.spec(world.echo, "never")
        state = world.observe(run)
        assert (state.phase, state.attempt, state.result) == (RunPhase.ABSENT, 0, None)
        assert run.submission_id not in world.backend.runs()

    def test_a_run_succeeds_with_its_result(self, world: RunWorld) -> None:
        run = world.spec(world.echo, "echo", value={"list": [1, 2.5, None, "ä"]})
        world.submit(run)
        state = world.ended(run)
        assert state.phase is RunPhase.SUCCEEDED, state.message
        assert state.result == {"value": {"list": [1, 2.5, None, "ä"]}, "attempt": 1}
        assert (state.failure, state.reason) == (None, "")
        assert state.started is not None
        assert state.finished is not None
        assert state.started <= state.finished
        assert run.submission_id in world.backend.runs()

    def test_a_failure_is_told_by_name(self, world: RunWorld) -> None:
        run = world.spec(world.refuse, "refuse")
        world.submit(run)
        state = world.ended(run)
        assert (state.phase, state.failure, state.reason) == (RunPhase.FAILED, FailureKind.USER, "Refused")
        assert "42 is too many" in state.message
        assert state.result is None

    def test_a_running_run_is_seen_and_can_be_stopped(self, world: RunWorld) -> None:
        run = world.spec(world.sleep, "sleep")
        world.submit(run)
        running = world.running(run)
        assert (running.attempt, running.result, running.failure) == (1, None, None)
        world.backend.stop(world.storage, run.name)
        state = world.ended(run)
        assert (state.phase, state.failure, state.reason) == (RunPhase.FAILED, FailureKind.INFRASTRUCTURE, "Stopped")

    def test_stopping_what_ended_or_never_was_is_fine(self, world: RunWorld) -> None:
        never = world.spec(world.echo, "never-stopped")
        world.backend.stop(world.storage, never.name)
        assert world.observe(never).phase is RunPhase.ABSENT
        run = world.spec(world.echo, "ended", value=1)
        world.submit(run)
        before = world.ended(run)
        world.backend.stop(world.storage, run.name)
        assert _told(world.observe(run)) == _told(before)

    def test_submitting_again_changes_nothing(self, world: RunWorld) -> None:
        run = world.spec(world.sleep, "again")
        world.submit(run)
        world.submit(run)
        world.running(run)
        assert list(world.backend.runs()).count(run.submission_id) == 1
        world.backend.stop(world.storage, run.name)
        before = world.ended(run)
        world.backend.submit(run, None)
        assert _told(world.observe(run)) == _told(before)
        assert list(world.backend.runs()).count(run.submission_id) == 1

    def test_the_newest_attempt_is_observed(self, world: RunWorld) -> None:
        first = world.spec(world.refuse, "retried")
        world.submit(first)
        assert world.ended(first).phase is RunPhase.FAILED
        second = world.spec(world.echo, "retried", attempt=2, value="second")
        world.submit(second)
        state = world.ended(second)
        assert (state.phase, state.attempt) == (RunPhase.SUCCEEDED, 2)
        assert state.result == {"value": "second", "attempt": 2}
        assert {first.submission_id, second.submission_id} <= set(world.backend.runs())

    def test_runs_do_not_mix(self, world: RunWorld) -> None:
        good, bad = world.spec(world.echo, "good", value="mine"), world.spec(world.refuse, "bad")
        world.submit(good)
        world.submit(bad)
        assert world.ended(good).result == {"value": "mine", "attempt": 1}
        assert world.ended(bad).reason == "Refused"
        elsewhere = world.backend.observe(f"{world.storage}/elsewhere", good.name)
        assert elsewhere.phase is RunPhase.ABSENT

    def test_what_a_run_wrote_is_told_when_it_has_ended_too(self, world: RunWorld) -> None:
        run = world.spec(world.refuse, "logged")
        assert list(world.backend.logs(world.storage, run.name, 50)) == []
        world.submit(run)
        world.ended(run)

        def told(lines: int) -> list[str]:
            (log,) = world.backend.logs(world.storage, run.name, lines)
            assert log.source == f"run {run.submission_id}"
            return log.text.splitlines()

        world.patience.until(lambda: told(50), lambda found: any("42 is too many" in line for line in found))
        assert len(told(1)) == 1
        assert told(0) == []

    def test_no_more_is_free_than_the_cluster_has(self, world: RunWorld) -> None:
        found = world.backend.capacity()
        if found is not None:
            assert found.total.keys() >= found.free.keys()
            assert all(0 <= free <= found.total[name] for name, free in found.free.items())

    def test_what_nodes_are_labelled_with_is_told_once_and_without_their_names(self, world: RunWorld) -> None:
        found = world.backend.capacity()
        if found is not None and found.labels is not None:
            assert len({tuple(sorted(labels.items())) for labels in found.labels}) == len(found.labels) > 0
            assert not any(NODE_ID in labels for labels in found.labels)


def _told(state: RunState) -> Mapping[str, Any]:
    return {name: getattr(state, name) for name in ("phase", "attempt", "result", "failure", "reason", "message")}
