"""The supervisor as a process, holding shells in the place of Ray."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from framework.process import birth

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
STRAY = "setsid sh -c 'setsid sleep 1234 & echo $! >> {pids}; sleep 1234' & echo $! >> {pids};"
"""A grandchild and its child, each in a session of its own, the way Ray's job drivers are."""


class Held:
    def __init__(self, script: str, *options: str):
        command = [sys.executable, "-m", "framework.backends.ray.supervisor", *options, "--", "sh", "-c", script]
        self.process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """Where the held processes note their pids; whatever is left of them at the end is killed."""
    path = tmp_path / "pids"
    yield path
    for pid in _noted(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _until(good: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone(pids: Path) -> bool:
    return not any(birth(pid) for pid in _noted(pids))


def test_it_leaves_nothing_when_it_is_told_to_end(pids: Path) -> None:
    held = Held(f"{STRAY.format(pids=pids)} exec sleep 1234")
    _until(lambda: len(_noted(pids)) == 2)
    held.process.terminate()
    held.process.wait(timeout=15)
    assert _gone(pids)


def test_it_leaves_nothing_when_the_head_dies(pids: Path) -> None:
    held = Held(f"{STRAY.format(pids=pids)} sleep 0.3; exit 7")
    assert held.process.wait(timeout=15) == 7
    assert len(_noted(pids)) == 2
    assert _gone(pids)


def test_a_head_that_does_not_listen_is_killed(pids: Path) -> None:
    held = Held(f"trap '' TERM; echo $$ >> {pids}; while true; do sleep 0.1; done")
    _until(lambda: len(_noted(pids)) == 1)
    asked = time.monotonic()
    held.process.terminate()
    held.process.wait(timeout=20)
    assert 5 < time.monotonic() - asked < 15
    assert _gone(pids)


def test_it_does_not_outlive_its_keeper(pids: Path) -> None:
    keeper = subprocess.Popen(["sleep", "1234"])
    held = Held(f"{STRAY.format(pids=pids)} exec sleep 1234", "--while", str(keeper.pid))
    _until(lambda: len(_noted(pids)) == 2)
    keeper.kill()
    keeper.wait()
    held.process.wait(timeout=15)
    assert _gone(pids)


def test_a_keeper_that_is_gone_already_ends_it_at_once(pids: Path) -> None:
    keeper = subprocess.Popen(["true"])
    keeper.wait()
    held = Held(f"echo $$ >> {pids}; exec sleep 1234", "--while", str(keeper.pid))
    held.process.wait(timeout=15)
    assert _gone(pids)


def test_the_head_goes_when_the_supervisor_is_killed_the_hard_way(pids: Path) -> None:
    held = Held(f"echo $$ >> {pids}; exec sleep 1234")
    _until(lambda: len(_noted(pids)) == 1)
    held.process.kill()
    held.process.wait()
    _until(lambda: _gone(pids))
