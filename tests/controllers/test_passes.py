"""The loop with its real threads, lease and clock, on a world in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controllers.commands.project import Project
from controllers.host import passes
from controllers.host.passes import follow, lead, serve
from controllers.host.wiring import dry_runs
from controllers.runtime.backoff import Backoff
from controllers.settings import Settings
from framework.api.errors import ConfigurationError, SpecError
from framework.planning.reports.convergence import Conclusion, EnvironmentHealth
from framework.ports import Pin
from framework.render.outcome import PassResult
from tests.waiting import until
from tests.world import ENDPOINT, TRAINING, World, environment

MINUTE = timedelta(minutes=1)


class NoCluster:
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def running(self) -> bool:
        return True

    def lost(self) -> str:
        return ""

    def trouble(self) -> str:
        return ""

    def links(self) -> Mapping[str, str]:
        return {}


def real_time() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def world() -> Iterator[World]:
    """Its data plane works in the background until the test ends."""
    made = World()
    made.resign()
    with made.at_work():
        yield made


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever serves looks and tries again after milliseconds."""
    quick = timedelta(milliseconds=5)
    monkeypatch.setattr(passes, "Backoff", lambda jitter: Backoff(jitter, quick, 4 * quick))
    monkeypatch.setattr(passes, "LONGEST_POLL", 0.1)
    monkeypatch.setattr("controllers.loop.manager.LONGEST_POLL", 0.1)


@contextmanager
def at_work(made: Project) -> Iterator[None]:
    """A controller, from when it leads on."""
    stop = threading.Event()
    controller = threading.Thread(target=serve, args=(made, stop, lambda result: None), daemon=True)
    controller.start()
    try:
        until(lambda: made.ports.state.lease() is not None)
        yield
    finally:
        stop.set()
        controller.join(10)
    assert not controller.is_alive()


def project(world: World, holder: str = "test") -> Project:
    settings = Settings(
        Path("/project"),
        revision="main",
        holder=holder,
        poll=timedelta(milliseconds=20),
        lease=timedelta(seconds=3),
    )
    return Project(
        settings, world.ports, world.ports, NoCluster(), world.kinds, world.observers, world.read, real_time, dry_runs,
    )  # fmt: skip


def test_a_pass_reconciles_the_newest_commit_and_gives_the_lease_back(world: World) -> None:
    first = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert first.word is Conclusion.CONVERGED
    assert first.calls["SubmitRun"] == 2
    assert world.weights()
    assert not project(world, "another").leader_elsewhere()
    again = lead(project(world, "another"), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert again.text().startswith("Nothing to do: 3 resources match commit")
    assert again.document()["changing_calls"] == {}


def test_a_pass_before_the_first_commit_is_in_force_says_so() -> None:
    held = PassResult(
        Conclusion.HELD, "local", "", 0.1, EnvironmentHealth(), note="no new commit takes effect until 23:00 UTC"
    )
    assert held.text().splitlines() == [held.note, "Held: no commit is in force yet, and nothing was changed."]


def test_while_serving_a_refused_commit_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    wrong = world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    with caplog.at_level("WARNING", "controllers.host.passes"), at_work(project(world)):
        until(lambda: bool(caplog.records))
        time.sleep(0.2)  # several polls
    (told,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert wrong[:7] in told
    assert "ruonds" in told


def test_without_waiting_everything_is_looked_at_and_started(world: World) -> None:
    result = lead(project(world), wait=False, timeout=MINUTE, listen=lambda result: None)
    assert result.looks >= 3
    assert result.calls["SubmitRun"] >= 1


def test_a_wrong_commit_ends_the_pass_with_its_problems(world: World) -> None:
    world.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    with pytest.raises(SpecError, match="ruonds"):
        lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)


def test_while_a_controller_serves_another_pass_follows_it(world: World) -> None:
    with at_work(project(world, "controller")):
        other = project(world, "other")
        found = follow(other, wait=True, timeout=MINUTE, stop=threading.Event())
        assert found.word is Conclusion.CONVERGED
        assert found.followed
        assert other.leader_elsewhere()
        with pytest.raises(ConfigurationError, match="lease"):
            lead(other, wait=True, timeout=MINUTE, listen=lambda result: None)
        world.commit(classifier=TRAINING.replace("name: classifier", "name: classifier, owner: team"))
        assert follow(other, wait=True, timeout=MINUTE, stop=threading.Event()).commit == world.head
    assert not project(world, "other").leader_elsewhere()
    assert world.status(ENDPOINT).conditions.ready.status


def closed_now() -> str:
    """A deny window that is open now and for an hour to come."""
    hour = real_time().hour
    return f"windows: [{{deny: '* {hour},{(hour + 1) % 24} * * *'}}]"


def test_in_a_window_a_pass_ends_with_what_is_in_force_and_says_what_waits(world: World) -> None:
    world.commit(local=environment(""))
    assert lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None).word is Conclusion.CONVERGED
    world.commit(local=environment(closed_now()))
    taken = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert taken.word is Conclusion.CONVERGED, "the window comes with this commit"
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 80"))
    held = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert (held.word, held.commit, held.calls.total()) == (Conclusion.HELD, taken.commit, 0)
    assert "no new commit takes effect until" in held.text()
    assert held.document()["note"] == held.note


def test_a_first_commit_that_has_to_wait_ends_the_pass_too(world: World) -> None:
    world.commit(local=environment(closed_now()))
    held = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert (held.word, held.commit) == (Conclusion.HELD, "")


def test_a_pass_under_a_pin_is_held_and_a_suspended_one_too(world: World) -> None:
    world.commit(local=environment(""))
    first = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    world.commit(classifier=TRAINING.replace("rounds: 50", "rounds: 80"), local=environment("suspend: true"))
    suspended = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert (suspended.word, suspended.calls.total()) == (Conclusion.HELD, 0)
    assert "suspended" in suspended.text()
    world.ports.state.set_pin(Pin(commit=first.commit, over=world.head, actor="ana", time=real_time()))
    pinned = lead(project(world), wait=True, timeout=MINUTE, listen=lambda result: None)
    assert (pinned.word, pinned.commit) == (Conclusion.HELD, first.commit)
    assert "ana pinned commit" in pinned.note
