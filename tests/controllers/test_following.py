"""Following another controller: what is believed of it, and what becomes of the pass when it is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controllers.commands import following
from controllers.commands.project import Project
from controllers.host.passes import follow, lead
from controllers.revision.permits import Permit
from controllers.revision.snapshot import Snapshot
from controllers.settings import Settings
from framework.api.errors import ConfigurationError
from framework.planning.reports.convergence import Conclusion
from framework.ports import Lease
from framework.process import identity
from framework.render.outcome import PassResult
from tests.builders import NOW
from tests.controllers.test_passes import NoCluster, at_work, project, world
from tests.waiting import until
from tests.world import BETTER, JOB, TRAINING, World

__all__ = ["world"]

MINUTE = timedelta(minutes=1)
TTL = 0.6


class DeadCluster(NoCluster):
    def running(self) -> bool:
        return False


def impatient(made: Project, **more: Any) -> Project:
    """With a lease that runs out soon."""
    settings: Settings = replace(made.settings, lease=timedelta(seconds=TTL), **more)
    return replace(made, settings=settings)


def converged(world: World) -> None:
    assert lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None).word is Conclusion.CONVERGED


def left_by_the_dead(world: World, note: Mapping[str, Any] | None = None) -> Lease:
    lease = world.ports.state.acquire("dead", TTL, NOW, note or {"machine": "elsewhere", "pid": 1, "birth": "1"})
    assert lease is not None
    return lease


@contextmanager
def alive(world: World, lease: Lease) -> Iterator[None]:
    """Somebody who shows signs of life and does nothing else."""
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(TTL / 4):
            world.ports.state.renew(lease, NOW)

    thread = threading.Thread(target=renew)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def followed(made: Project, *, wait: bool = True, timeout: float = 60.0, **more: Any) -> PassResult | None:
    return follow(made, wait=wait, timeout=timedelta(seconds=timeout), stop=threading.Event(), **more)


def test_of_a_controller_that_is_gone_nothing_is_believed_and_its_place_is_taken(world: World) -> None:
    converged(world)
    left_by_the_dead(world)
    made = impatient(project(world))
    leadership, started = made.leadership(), time.monotonic()
    assert followed(made, leadership=leadership) is None
    assert TTL <= time.monotonic() - started < 10
    world.commit(classifier=TRAINING.replace("name: classifier", "name: classifier, owner: team"))
    result = lead(made, wait=True, timeout=MINUTE, listen=lambda result: None, leadership=leadership)
    assert (result.word, result.commit) == (Conclusion.CONVERGED, world.head)
    assert world.ports.state.lease() is None


def test_one_that_was_killed_on_this_machine_is_not_even_waited_for(world: World) -> None:
    converged(world)
    left_by_the_dead(world, {**identity(), "pid": 2**22 + 1})
    assert not project(world).leader_elsewhere()
    assert project(world).leadership().acquire()


@pytest.mark.parametrize("wait", [True, False])
def test_one_that_lives_and_does_nothing_never_converges(
    world: World, wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its records say: it has not looked at the newest commit."""
    monkeypatch.setattr(following, "TAKEN_UP_SECONDS", 1.0)
    converged(world)
    lease = left_by_the_dead(world)
    world.ports.source.change({"README.md": "new"})
    with alive(world, lease):
        result = followed(impatient(project(world)), wait=wait, timeout=1.0 if wait else 60.0)
    assert result is not None
    assert (result.word, result.taken_up) == (Conclusion.STARTED, False)
    assert "has not looked at the newest commit yet" in result.text()


def test_without_a_sign_of_life_a_settled_record_is_no_proof(world: World) -> None:
    converged(world)
    left_by_the_dead(world)
    result = followed(impatient(project(world)), timeout=TTL / 3)
    assert result is not None
    assert result.word is Conclusion.STARTED
    assert "no sign of life" in result.text()


def test_what_nobody_looked_at_lately_is_no_proof(world: World) -> None:
    converged(world)
    lease = left_by_the_dead(world)
    hour, heartbeat = timedelta(hours=1), world.ports.state.heartbeat()
    assert heartbeat is not None
    stuck = heartbeat.model_copy(update={"ended": None, "late": {str(JOB): world.now - hour}, "process": {}})
    world.ports.state.beat(stuck, lease.token)
    with alive(world, lease):
        result = followed(impatient(project(world)), timeout=1.0)
    assert result is not None
    assert result.word is Conclusion.STARTED
    assert f"has not looked at {JOB} lately" in result.text()


def test_without_ray_nothing_is_converged(world: World) -> None:
    converged(world)
    with at_work(impatient(project(world, "controller"))):
        made = replace(impatient(project(world)), cluster=DeadCluster())
        result = followed(made, timeout=3 * TTL)
        assert result is not None
        assert (result.word, result.note) == (Conclusion.STARTED, "Ray does not run")
        back = followed(impatient(project(world)))
        assert back is not None
        assert (back.word, back.followed) == (Conclusion.CONVERGED, True)


def test_the_ray_of_another_machine_is_not_seen_from_here(world: World) -> None:
    converged(world)
    lease = left_by_the_dead(world)
    with alive(world, lease):
        result = followed(replace(impatient(project(world)), cluster=DeadCluster()))
    assert result is not None
    assert result.word is Conclusion.CONVERGED


def test_a_pass_that_does_not_wait_ends_once_the_commit_is_taken_up(world: World) -> None:
    with at_work(impatient(project(world, "controller"))):
        world.commit(classifier=BETTER)
        started = time.monotonic()
        result = followed(impatient(project(world)), wait=False)
        assert time.monotonic() - started < 5
        assert result is not None
        assert (result.taken_up, result.commit) == (True, world.head)
        assert result.word in {Conclusion.STARTED, Conclusion.CONVERGED}


def test_a_controller_that_dies_while_it_is_followed_is_replaced(world: World) -> None:
    lease = left_by_the_dead(world)
    made = impatient(project(world))
    leadership, found = made.leadership(), []
    thread = threading.Thread(target=lambda: found.append(followed(made, leadership=leadership)))
    with alive(world, lease):
        thread.start()
        time.sleep(2 * TTL)
        assert thread.is_alive(), "it shows signs of life"
    thread.join(10)
    assert found == [None]
    assert leadership.held
    leadership.release()


def test_what_the_operator_allows_is_told_to_the_controller_that_refuses(world: World) -> None:
    converged(world)
    with at_work(impatient(project(world, "controller"))):
        small = world.commit(classifier=None, delay=None)
        made = impatient(project(world))
        with pytest.raises(ConfigurationError, match="mlopsctl reconcile --once --allow-prune"):
            followed(made)
        result = followed(made, permits={Permit.PRUNE}, actor="ann@host")
        assert result is not None
        assert (result.word, result.commit) == (Conclusion.CONVERGED, small)
        assert list(world.ports.state.words()) == []
        told = [event.message for event in world.ports.state.events(limit=1000) if event.reason == "CommitAllowed"]
        assert told == [f"ann@host let commit {small[:7]} remove as much as it does"]


def test_what_is_allowed_in_the_midst_of_a_look_is_not_said_to_be_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = following._look

    def slowly(made: Project, newest: Snapshot) -> Any:
        seen = look(made, newest)
        until(lambda: not world.ports.state.words())
        return seen

    converged(world)
    with at_work(impatient(project(world, "controller"))):
        world.commit(classifier=None, delay=None)
        until(lambda: not world.ports.state.revisions(1)[0].accepted)
        monkeypatch.setattr(following, "_look", slowly)
        monkeypatch.setattr(following, "LOOK_SECONDS", 0.0)
        result = followed(impatient(project(world)), permits={Permit.PRUNE}, actor="ann@host")
        assert result is not None
        assert result.word is Conclusion.CONVERGED


def test_what_the_operator_does_not_speak_of_stays_refused(world: World) -> None:
    converged(world)
    with at_work(impatient(project(world, "controller"))):
        world.commit(classifier=None, delay=None)
        with pytest.raises(ConfigurationError, match="the controller refuses commit"):
            followed(impatient(project(world)), permits={Permit.REWRITE}, actor="ann@host")
    assert list(world.ports.state.words()) == []
