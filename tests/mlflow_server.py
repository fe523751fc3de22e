"""A real MLflow server, in an environment of its own: all of MLflow wants an older pyarrow than ours."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
import pytest

from tests.waiting import until

EXECUTABLE = "MLOPS_TEST_MLFLOW"
"""Names an ``mlflow`` that is there already."""
_START_SECONDS = 90.0


def executable() -> str:
    """Of the version that our client is; installed once for all runs of the tests, which takes half a minute."""
    given = os.environ.get(EXECUTABLE)
    if given:
        return given
    folder = Path(tempfile.gettempdir()) / f"mlops-tests-{os.getuid()}-mlflow-{version('mlflow-skinny')}"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            wanted = f"mlflow=={version('mlflow-skinny')}"
            try:
                subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
                pip = [
                    sys.executable,
                    "-m",
                    "pip",
                    "--disable-pip-version-check",
                    "--python",
                    folder / "bin" / "python",
                ]
                # Most of what it brings is never imported here.
                subprocess.run([*pip, "install", "--no-compile", wanted], check=True, capture_output=True, timeout=240)
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"NO MLFLOW SERVER WAS TRIED: pip could not install {wanted}: {error}")
            (folder / "complete").touch()
    return str(folder / "bin" / "mlflow")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of one that listens on this machine alone, with a database and files in ``folder``."""
    port, log = _free_port(), folder / "server.log"
    command = [
        executable(), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts",
    ]  # fmt: skip
    variables = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with log.open("wb") as out:
        process = psutil.Popen(command, stdout=out, stderr=out, env=variables, cwd=folder)
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: not process.is_running() or _answers(address), _START_SECONDS)
        assert _answers(address), f"the MLflow server ended:\n{log.read_text()[-3000:]}"
        yield address
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else []
        for one in family:
            one.terminate()
        for one in psutil.wait_procs(family, timeout=10)[1]:
            one.kill()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False
