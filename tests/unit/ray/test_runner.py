"""The runner as a process, without Ray."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from framework.api.errors import TerminalError, TransientError
from framework.api.layout import run_folder
from framework.ports import FailureKind
from framework.storage import StoreError, read_json, write_json
from framework.workloads.context import WorkloadError
from framework.workloads.run import failure_of

ROOT = Path(__file__).parents[3]


class Run:
    def __init__(self, storage: Path, workload: str, timeout: float | None = None, **payload: object):
        self.folder = run_folder(str(storage), "run-1")
        request = {"workload": workload, "payload": payload, "metadata": {}, "timeout_seconds": timeout}
        write_json(f"{self.folder}/request-1.json", request)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "framework.workloads.run", str(storage), "run-1", "1"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self) -> dict[str, Any]:
        output, _ = self.process.communicate(timeout=30)
        found: dict[str, Any] | None = read_json(f"{self.folder}/result-1.json")
        assert found is not None, output
        return found

    def heartbeat(self) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while True:
            found: dict[str, Any] | None = read_json(f"{self.folder}/heartbeat-1.json")
            if found is not None and found["message"]:
                return found
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.slow
def test_a_result_is_written_with_its_times(tmp_path: Path) -> None:
    run = Run(tmp_path, "tests.contract.ray_workloads:echo", value="ü")
    result = run.result()
    assert run.process.returncode == 0
    assert (result["status"], result["result"], result["attempt"]) == ("succeeded", {"value": "ü", "attempt": 1}, 1)
    assert result["started"] <= result["finished"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workload", "kind", "reason", "words"),
    [
        ("refuse", "User", "Refused", "42 is too many"),
        ("divide", "User", "ZeroDivisionError", "ray_workloads.py"),
        ("fill_disk", "Infrastructure", "OSError", "No space left"),
        ("answer_set", "User", "TypeError", "JSON serializable"),
        ("leave", "User", "SystemExit", "3"),
        ("missing", "User", "AttributeError", "missing"),
    ],
)
def test_a_failure_is_told_by_name(tmp_path: Path, workload: str, kind: str, reason: str, words: str) -> None:
    run = Run(tmp_path, f"tests.contract.ray_workloads:{workload}", by=0)
    result = run.result()
    assert run.process.returncode == 1
    assert result["status"] == "failed"
    assert (result["failure"]["kind"], result["failure"]["reason"]) == (kind, reason)
    assert words in result["failure"]["message"]


@pytest.mark.slow
def test_a_failure_keeps_its_place_in_one_line_and_its_traceback_beside_it(tmp_path: Path) -> None:
    failure = Run(tmp_path, "tests.contract.ray_workloads:divide", by=0).result()["failure"]
    place = r"\(tests/contract/ray_workloads\.py:\d+, in divide\)"
    assert re.fullmatch(rf"(float )?division by zero {place}", failure["message"])
    assert failure["traceback"].startswith("Traceback (most recent call last):")
    assert "ray_workloads.py" in failure["traceback"]
    assert failure["traceback"].rstrip().endswith("division by zero")


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["sleep", "compute"])
def test_sigterm_leaves_a_result_even_from_native_code(tmp_path: Path, workload: str) -> None:
    run = Run(tmp_path, f"tests.contract.ray_workloads:{workload}")
    run.heartbeat()
    asked = time.monotonic()
    run.process.send_signal(signal.SIGTERM)
    failure = run.result()["failure"]
    assert (failure["kind"], failure["reason"]) == ("Infrastructure", "Stopped")
    assert time.monotonic() - asked < 2, "Ray kills a job 3 s after it asked it to stop"


@pytest.mark.slow
def test_a_run_gives_way_to_what_answers_requests_and_still_tells_that_it_is_alive(tmp_path: Path) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    found = Run(tmp_path, "tests.contract.ray_workloads:priorities").result()["result"]
    assert found == {"here": 19, "below": 19, "least": ours}


@pytest.mark.slow
def test_a_run_ends_when_its_time_is_up(tmp_path: Path) -> None:
    failure = Run(tmp_path, "tests.contract.ray_workloads:compute", timeout=0.5).result()["failure"]
    assert (failure["kind"], failure["reason"]) == ("User", "TimedOut")


@pytest.mark.slow
def test_the_heartbeat_carries_the_progress_and_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, "tests.contract.ray_workloads:sleep")
    first = run.heartbeat()
    assert (first["progress"], first["message"]) == (0.25, "asleep")
    deadline = time.monotonic() + 10
    while run.heartbeat()["time"] == first["time"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.process.kill()
    run.process.communicate()
    assert read_json(f"{run.folder}/result-1.json") is None


@pytest.mark.slow
def test_without_a_request_there_is_nothing_to_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "framework.workloads.run", str(tmp_path), "run-1", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "request-1.json" in done.stderr


@pytest.mark.slow
def test_starting_a_run_loads_neither_ray_nor_anything_else_that_is_slow() -> None:
    code = "import framework.workloads.run, sys; print([m for m in ('ray', 'polars', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Named and placed like Ray's own, so that what is matched by name is matched here too.
_Lost = type("NodeDiedError", (Exception,), {"__module__": "ray.exceptions"})
_NoMemory = type("OutOfMemoryError", (Exception,), {"__module__": "ray.exceptions"})
_Died = type("ActorDiedError", (Exception,), {"__module__": "ray.exceptions"})
_Wrapper = type("RayTaskError", (Exception,), {"__module__": "ray.exceptions"})
_SameName = type("NodeDiedError", (Exception,), {"__module__": "project.errors"})


def _with(error: Exception, **attributes: object) -> Exception:
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (MemoryError(), "Infrastructure", "MemoryError"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "Infrastructure", "OSError"),
        (FileNotFoundError(errno.ENOENT, "no such file"), "User", "FileNotFoundError"),
        (TransientError("the store is away"), "Infrastructure", "TransientError"),
        (StoreError("s3://b: ClientError: slow down"), "Infrastructure", "StoreError"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "Infrastructure", "ConnectionRefusedError"),
        (TerminalError("DriverMissing", "pip install it"), "User", "DriverMissing"),
        (_Lost("gone"), "Infrastructure", "NodeDiedError"),
        (_SameName("gone"), "User", "NodeDiedError"),
        (_with(_Wrapper("outer"), worker_failures={1: _NoMemory("7.6GB / 8GB")}), "Infrastructure", "OutOfMemory"),
        (_with(_Wrapper("outer"), cause=ValueError("inner")), "User", "ValueError"),
        (_with(_Wrapper("outer"), worker_failures={0: _Lost("gone")}), "Infrastructure", "NodeDiedError"),
        (
            _with(
                _Wrapper("outer"), worker_failures={0: _with(_Wrapper("w"), _base_exc=WorkloadError("Refused", "no"))}
            ),
            "User",
            "Refused",
        ),
        (_Wrapper("nothing inside"), "User", "RayTaskError"),
    ],
)
def test_the_cause_decides_whether_another_attempt_can_help(error: Exception, kind: str, reason: str) -> None:
    found = failure_of(error)
    assert (found["kind"], found["reason"]) == (kind, reason)
    assert found["message"]


def test_a_process_that_memory_was_too_small_for_is_told_so() -> None:
    assert "because its node ran out of memory: 7.6GB / 8GB" in failure_of(_NoMemory("7.6GB / 8GB\nessay"))["message"]
    killed = _Died("The actor died unexpectedly.\nSome common causes: (1) the process was killed by the OOM killer.")
    assert failure_of(killed)["message"].endswith("a process that takes more memory than there is ends so")
    assert "memory" not in failure_of(_Died("The actor died because its node has died."))["message"]


def _deep(depth: int) -> None:
    if depth:
        _deeper(depth - 1)
    json.loads("{" + "x" * 9_000)


def _deeper(depth: int) -> None:
    _deep(depth)


def test_what_is_kept_of_a_failure_is_bounded_and_names_code_of_the_users() -> None:
    with pytest.raises(ValueError, match="property name") as caught:
        _deep(300)
    found = failure_of(caught.value)
    assert "tests/unit/ray/test_runner.py:" in found["message"]
    assert found["message"].endswith(", in _deep)")
    assert len(found["traceback"]) < 20_000
    assert found["traceback"].rstrip().endswith("double quotes: line 1 column 2 (char 1)")
    assert len(failure_of(ValueError("x" * 100_000))["message"]) < 1_000


def test_the_traceback_of_a_worker_is_the_one_that_is_kept() -> None:
    found = failure_of(WorkloadError("TrainerFailed", "f raised it", data={"traceback": "in the worker", "rows": 3}))
    assert (found["traceback"], found["data"]) == ("in the worker", {"rows": 3})


def test_a_cycle_of_causes_ends() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    assert failure_of(first)["reason"] == "ValueError"


def test_an_explicit_cause_is_followed() -> None:
    error = RuntimeError("could not write")
    error.__cause__ = OSError(errno.ENOSPC, "full")
    assert failure_of(error)["kind"] == FailureKind.INFRASTRUCTURE
