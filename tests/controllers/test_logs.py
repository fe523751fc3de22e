"""Where mlopsctl logs looks, and what is new in what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from controllers.commands.logs import added, controller_log, next_lines
from controllers.host.wiring import OBSERVERS
from framework.api.errors import ConfigurationError, TransientError
from framework.api.meta import Ref
from framework.backends.memory.faults import FaultInjector
from framework.ports import Log, Ports
from framework.render.logs import log_text
from tests.world import BETTER, ENDPOINT, JOB, VIEW, World, reconciled


@pytest.fixture
def world() -> World:
    return reconciled()


def logs_of(ref: Ref, ports: Ports, lines: int) -> Sequence[Log]:
    return OBSERVERS[ref.kind].logs(ref, ports, lines)


@pytest.mark.parametrize("ref", [VIEW, JOB])
def test_of_what_is_computed_it_is_the_run_that_was_started_last(world: World, ref: Ref) -> None:
    (run,) = [spec for spec in world.ports.runs.runs() if ref.name in spec]
    world.ports.runs.write(run.rpartition("-")[0], "fitting")
    assert logs_of(ref, world.ports, 10) == (Log(f"run {run}", "fitting"),)


def test_of_what_serves_it_is_every_replica_with_its_part(world: World) -> None:
    (stable,) = world.weights()
    world.ports.serving.write(stable, "answered")
    world.ports.serving.write("delay-abcdefabcd", "I was turned away")
    world.commit(classifier=BETTER)
    candidate = ""
    while not candidate:
        world.pass_()
        world.advance()
        candidate = next((app for app in world.weights() if app != stable), "")
    sources = [log.source for log in logs_of(ENDPOINT, world.ports, 10)]
    assert sources == [f"{stable} (stable)", "delay-abcdefabcd", f"{candidate} (candidate)"]


def test_nothing_is_told_of_what_has_not_run(world: World) -> None:
    assert logs_of(Ref("TrainingJob", "never"), world.ports, 10) == ()


def test_what_has_no_process_says_where_to_look(world: World) -> None:
    with pytest.raises(ConfigurationError, match="mlopsctl logs controller"):
        logs_of(Ref("ModelMonitor", "watch"), world.ports, 10)


def test_without_ray_it_is_said_where_logs_are_kept(world: World) -> None:
    faults = FaultInjector()
    faults.fail_on("serving.logs", TransientError("Ray is not running"))
    with pytest.raises(ConfigurationError, match="not running; what replicas write is kept by Ray"):
        logs_of(ENDPOINT, faults.around(world.ports), 10)


def test_the_controllers_own_log_is_its_end(tmp_path: Path) -> None:
    file = tmp_path / "controller.log"
    with pytest.raises(ConfigurationError, match="mlopsctl up has started no controller here"):
        controller_log(file, 10)
    file.write_bytes(b"x" * (2 << 20) + b"\nfirst\nlast \xff\n")
    assert controller_log(file, 2) == Log("controller", "first\nlast \N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("", "", ""), ("", "a b", "a b"), ("a b", "a b", ""), ("a b", "a b c", "c"), ("a b c", "b c d", "d"),
        ("a b c", "x y z", "x y z"), ("a a", "a a a", "a"), ("a b a", "a b a c", "c"), ("a b", "", ""),
    ],
)  # fmt: skip
def test_what_is_new_is_what_the_ends_do_not_share(before: str, now: str, expected: str) -> None:
    assert list(added(before.split(), now.split())) == expected.split()


def test_following_tells_each_line_once_and_outlasts_a_cluster_that_is_away() -> None:
    looks: Iterator[object] = iter(
        [
            [Log("a", "1\n2"), Log("b", "x")],
            [Log("a", "1\n2"), Log("b", "x")],
            TransientError("Ray is not running"),
            [Log("a", "2\n3"), Log("b", "x"), Log("b", "new", "replica 2")],
        ]
    )

    def look() -> list[Log]:
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, list)
        return found

    news = next_lines(look, [Log("a", "1")], wait=lambda: None)
    assert [next(news) for _ in range(4)] == [
        Log("a", "2"), Log("b", "x"), Log("a", "3"), Log("b", "new", "replica 2"),
    ]  # fmt: skip


def test_nothing_in_a_log_steers_the_terminal() -> None:
    shown = log_text(Log("app (stable)", "\x1b[2Jgone\na\ttab\n  kept", "replica 1", "a note"))
    assert shown == "==> app (stable), replica 1 <==\na note\n\\x1b[2Jgone\na       tab\n  kept\n"
