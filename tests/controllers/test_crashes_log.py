"""Killed between any two calls, or a port that fails once: what the log must not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from controllers.revision.acceptance import Terms
from framework.api.errors import TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import Crash, FaultInjector
from framework.ports import Event, FailureKind
from tests.crashing import killed, survive
from tests.stage import MONITOR, Stage
from tests.world import ANOTHER, BETTER, JOB, TRAINING, VIEW, World, reconciled


class FailsAt:
    """The state store, failing once at the first write that tells of ``reason``."""

    def __init__(self, port: Any, reason: str, *, after: bool) -> None:
        self._port, self._reason, self._after = port, reason, after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            events = [item for arg in (*args, *kwargs.values()) if isinstance(arg, list | tuple) for item in arg]
            hit = any(isinstance(item, Event) and item.reason == self._reason for item in events)
            if hit and not self.failed:
                self.failed = True
                if self._after:
                    value(*args, **kwargs)
                raise TransientError("the database is locked")
            return value(*args, **kwargs)

        return call


def _everything(world: World) -> list[str]:
    """A life with nearly everything in it, told apart by resource."""
    world.run()
    world.commit(classifier=BETTER)
    world.run()
    good = next(iter(world.weights()))
    world.error_rate = lambda app: 0.0 if app == good else 0.5
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 66"))
    world.run()
    world.error_rate = lambda app: 0.0
    world.auc = lambda identity: 0.5
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 51"))
    world.run()
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    world.run()
    world.auc = lambda identity: 0.7
    world.commit(classifier=BETTER)
    world.run()
    world.ports.serving.change_route_by_hand("delay", weights={good: 40})
    world.run()
    world.source.terms = Terms(allow_prune=True)
    world.commit(delay=None, classifier=None)
    for _ in range(30):
        with suppress(TransientError):
            world.pass_()
        world.advance()
    kept = [event for event in world.ports.state.events(limit=10_000) if event.reason != "TransientError"]
    return [f"{event.ref} {event.reason} {event.data.get('run') or event.data.get('version')}" for event in kept]


TOLD = (
    "CandidateRejected", "Deleted", "Deleting", "DriftRepaired", "GateFailed", "ModelReady", "Promoted", "Published",
    "RevisionAccepted", "RevisionRefused", "RolloutStarted", "RunStarted", "Serving", "WeightChanged",
)  # fmt: skip


@pytest.fixture(scope="module")
def calm() -> list[str]:
    return _everything(World())


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("reason", TOLD)
def test_one_locked_database_loses_nothing_and_tells_nothing_twice(
    reason: str, after: bool, calm: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    state = FailsAt(world.ports.state, reason, after=after)
    world.restart(replace(world.ports, state=state))  # type: ignore[arg-type]
    monkeypatch.setattr(world, "pass_", _patient(world.pass_))
    found = _everything(world)
    assert state.failed
    assert Counter(found) == Counter(calm)
    assert world.ports.state.verify_events() == ()


def _patient(look: Callable[[], None]) -> Callable[[], None]:
    """A source that cannot be looked at is looked at again, as a controller does."""

    def again() -> None:
        try:
            look()
        except TransientError:
            look()

    return again


@pytest.mark.parametrize("ended", ["pending", "running", "succeeded", "failed"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("ref", [VIEW, JOB])
def test_that_a_run_started_is_told_once_whatever_has_become_of_it_since(ref: Ref, after: bool, ended: str) -> None:
    world = World()
    world.plane.seconds = lambda run: 3.0
    world.keeper.look()
    while ref == JOB and not world.state(VIEW).get("published"):
        world.source.poll()
        world.reconciler.reconcile(VIEW, world.source.desired[VIEW])
        world.advance()
    faults = killed(world, "runs.submit", after=after)
    for run in world.ports.runs.active():
        match ended:
            case "running":
                world.ports.runs.start(run.name)
            case "succeeded":
                world.plane.end(run)
            case "failed":
                world.ports.runs.fail(run.name, FailureKind.INFRASTRUCTURE)
    survive(world, faults)
    world.advance(60)
    survive(world, faults)
    started = [event.data["run"] for event in world.ports.state.events(ref, 100) if event.reason == "RunStarted"]
    mine = [name for name in world.ports.runs.runs() if name.startswith("train" if ref == JOB else "features")]
    assert started == list(mine)
    assert len(started) == (2 if after and ended == "failed" else 1)


def test_a_run_that_nobody_remembers_and_nobody_asks_for_any_more_is_stopped_and_was_told_of() -> None:
    world = reconciled()
    world.plane.seconds = lambda run: 30.0
    world.commit(classifier=BETTER)
    faults = killed(world, "runs.submit", after=True)
    (lost,) = world.ports.runs.active()
    world.commit(classifier=ANOTHER)
    world.pass_()
    assert [run.name for run in world.ports.runs.active()] != [lost.name]
    assert len(world.ports.runs.active()) == 1
    world.plane.seconds = lambda run: 0.0
    survive(world, faults)
    started = [event.data["run"] for event in world.ports.state.events(JOB, 100) if event.reason == "RunStarted"]
    assert started == [name for name in world.ports.runs.runs() if name.startswith("train")]


def test_a_run_that_was_never_started_is_never_told_of() -> None:
    world = reconciled()
    world.commit(classifier=BETTER)
    faults = killed(world, "runs.submit", after=False)
    world.commit(classifier=ANOTHER)
    survive(world, faults)
    assert world.reasons(JOB).count("RunStarted") == 2


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("verb", ["reports.write", "notifier.send", "state.save"])
def test_an_alert_and_the_log_name_the_same_episode_however_late_it_is_told(verb: str, after: bool) -> None:
    stage = Stage()
    stage.go(lambda stage: iter(()))
    stage.moved = True
    faults = FaultInjector()
    while "drift" not in stage.episodes():
        if not faults.changing:
            stage.world.restart(faults.around(stage.world.ports))
            faults.fail_on("notifier.send", Crash("killed"), after=after)
        try:
            stage.world.pass_()
        except Crash:
            faults.revive()
            stage.world.restart(faults.around(stage.world.ports))
            for _ in range(20):
                stage.advance()
            faults.fail_on(verb, TransientError("not now"), after=after)
        stage.advance()
    (alert,) = (alert for alert, _ in stage.world.ports.notifier.sent)
    (episode,) = stage.episodes().values()
    assert alert.episode == episode["id"]
    assert stage.world.reasons(MONITOR).count("DriftDetected") == 1
