"""Which process is meant, and when it is certain that it has ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framework import process
from framework.process import birth, dead, identity

ROOT = Path(__file__).parents[2]
SAY_WHO = "import json; from framework.process import identity; print(json.dumps(identity()), flush=True); input()"


@pytest.fixture
def another() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A process, and what it says it is."""
    child = subprocess.Popen(
        [sys.executable, "-c", SAY_WHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdout is not None
    yield child, json.loads(child.stdout.readline())
    child.kill()
    child.wait()


def test_a_birth_names_one_process(another: tuple[subprocess.Popen[str], dict[str, Any]]) -> None:
    child, who = another
    assert birth(child.pid) == who["birth"] != birth(os.getpid())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert birth(child.pid) is None, "what waits to be collected does not live"
    child.wait()
    assert birth(child.pid) is None


def test_one_that_lives_is_not_dead_and_one_that_was_killed_is(
    another: tuple[subprocess.Popen[str], dict[str, Any]],
) -> None:
    child, who = another
    assert not dead(who)
    assert not dead(identity())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert dead(who)
    child.wait()
    assert dead(who)


def test_another_process_under_the_same_pid_is_not_the_one_that_was_meant() -> None:
    assert dead({**identity(), "birth": "1"})


@pytest.mark.parametrize(
    "changes",
    [{"machine": None}, {"machine": "elsewhere/boot/pid:[1]"}, {"pid": "7"}, {"birth": None}, {"birth": 12.5}],
)
def test_what_runs_elsewhere_or_is_not_known_is_never_called_dead(changes: dict[str, Any]) -> None:
    assert not dead({**identity(), "pid": 2**22 + 1, **changes})
    assert not dead({})


def test_one_that_does_not_show_itself_to_us_is_not_called_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(process, "birth", lambda pid: None)
    monkeypatch.setattr(os, "kill", refuse)
    assert not dead({**identity(), "birth": "7"})


def test_a_pid_that_no_system_gives_is_dead() -> None:
    assert dead({**identity(), "pid": 2**70})
