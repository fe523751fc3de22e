"""The embedded Ray: a head on this machine that outlives the controller and is driven over REST like any other cluster.

Nothing of it is reachable from outside: what can listen on loopback does, what cannot demands a client certificate, and
every request needs the token. The user's ``~/.ray`` is neither read nor written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from framework.api.errors import ConfigurationError
from framework.api.hashes import text_hash
from framework.backends.ray.head import LOOPBACK, MARKER, command, environment
from framework.backends.ray.rest import RayAddress
from framework.backends.ray.supervisor import GRACE_SECONDS
from framework.backends.ray.tls import ensure_certificates, write_private
from framework.process import birth

START_SECONDS = 120.0
"""A head is ready in 4 s on a quiet machine; a cold disk on a loaded one needs far longer."""
ALONE_SECONDS = 10.0
"""How long to wait for another process that writes. It may have been stopped for good."""

_LOG_LINES = 25
_LONGEST_LINE = 200
_ENDED = re.compile(r"(\w+)\s+\[exit code=(-?\d+)")
"""As the head says of a process of its own whose end it did not expect."""
_STATE = {"pid": int, "birth": str, "marker": str, "temp": str, "dashboardPort": int, "servePort": int}
_PLACE = re.compile(r"mlops-[0-9a-f]{10}")
_SOCKET_ROOT_LENGTH = 24
"""Longer temporary folders would push Ray's socket names over the 107 characters that the kernel takes."""


class EmbeddedRay:
    """One Ray head kept in ``folder``. ``dashboard_port`` and ``serve_port`` of 0 pick a free port."""

    def __init__(
        self,
        folder: Path | str,
        cpus: int | None = None,
        gpus: int | None = None,
        dashboard_port: int = 8265,
        serve_port: int = 8000,
    ):
        self.folder = Path(folder).resolve()
        self.log = self.folder / "ray.log"
        self._cpus, self._gpus = cpus, gpus
        self._ports = {"dashboardPort": dashboard_port, "servePort": serve_port}
        self._state_file = self.folder / "daemon.json"
        self._token_file = self.folder / "token"
        self._stopped_file = self.folder / "stopped"

    def start(self, keeper: int | None = None) -> RayAddress:
        """Start the head and wait until its REST interface answers; one that runs already is taken as it is.

        ``keeper``: a process that the daemon must not outlive. Raises ConfigurationError for a busy port and for a Ray
        that does not start; nothing is left running then.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._lock():
            self._stopped_file.unlink(missing_ok=True)
            if (address := self.running()) is not None:
                return address
            self._sweep()
            ports = _choose(self._ports)
            process, state = self._launch(ports, keeper)
            self._state_file.write_text(json.dumps(state))
            try:
                self._await_ready(process, _address(state, self._read_token()))
            except BaseException:
                self._end()
                raise
            return _address(state, self._read_token())

    def running(self) -> RayAddress | None:
        """Where the daemon is to be reached, None while there is none. Looks at the process, not at the network."""
        state = self._state()
        if state is None or birth(state["pid"]) != state["birth"]:
            return None
        return _address(state, self._read_token())

    def stop(self) -> None:
        """End the daemon with all of its processes, if there is one, and remove its sockets and logs.

        Raises:
            ConfigurationError: some processes survive.
        """
        if not self.folder.is_dir():
            return
        with self._lock():
            self._stopped_file.touch()
            places = {_private_place(self.folder), *_places_named(self._state())}
            self._end()
            for place in filter(_is_private, places):
                shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off other processes of the project that write what the head takes as a whole. It is best effort: after
        ALONE_SECONDS one goes on beside the other."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + ALONE_SECONDS
        with (self.folder / "writing.lock").open("w") as stream:
            while time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.02)
            yield

    def lost(self) -> str:
        """Why it does not run though nobody stopped it: the end of its log. "" where it runs, was stopped, or was never
        started."""
        if self._stopped_file.exists() or not self._token_file.exists() or self.running() is not None:
            return ""
        said = self.log.read_text(errors="replace") if self.log.exists() else ""
        if ended := _ENDED.findall(said):
            return "; ".join(dict.fromkeys(f"{name} ended with exit code {code}" for name, code in ended))
        last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it left no log")
        return f"its processes have ended: {last[-_LONGEST_LINE:]}"

    def processes(self) -> list[psutil.Process]:
        """Every live process of the daemon: the supervisor's tree, and strays with its mark or in their session."""
        state = self._state()
        if state is None:
            return []
        found: dict[int, psutil.Process] = {}
        if birth(state["pid"]) == state["birth"]:
            root = psutil.Process(state["pid"])
            found = {process.pid: process for process in [root, *root.children(recursive=True)]}
        mine = [process for process in psutil.process_iter() if _owned(process)]
        marked = [process for process in mine if _mark(process) == state["marker"]]
        # A Ray worker overwrites its environment with its title, but shares the session of a process that still has it.
        # Without such a witness a session number proves nothing: it may be someone else's by now.
        led = {process.pid for process in marked if _session(process) == state["pid"]}
        members = [process for process in mine if led and _session(process) == state["pid"]]
        found |= {process.pid: process for process in [*marked, *members]}
        return [process for process in found.values() if _alive(process)]

    def _launch(self, ports: dict[str, int], keeper: int | None) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
        if not self._token_file.exists():
            write_private(self._token_file, secrets.token_hex(32).encode())
        tls = ensure_certificates(self.folder / "tls", datetime.now(UTC))
        temp = _private_folder(self.folder)
        marker = f"{self.folder}:{secrets.token_hex(4)}"
        watch = ["--while", str(keeper)] if keeper is not None else []
        head = command(temp, self._cpus, self._gpus, ports["dashboardPort"])
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "framework.backends.ray.supervisor", *watch, "--", *head],
                env=environment(os.environ, self._token_file, tls.environment, marker),
                cwd=temp.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return process, {"pid": process.pid, "birth": birth(process.pid), "marker": marker, "temp": str(temp), **ports}

    def _await_ready(self, process: subprocess.Popen[bytes], address: RayAddress) -> None:
        deadline = time.monotonic() + START_SECONDS
        headers = {"Authorization": f"Bearer {address.token}"}
        with httpx.Client(base_url=address.dashboard_url, headers=headers, timeout=5, trust_env=False) as client:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if client.get("/api/version").is_success and _has_node(client):
                        return
                if (code := process.poll()) is not None:
                    raise ConfigurationError(f"the embedded Ray did not start (exit code {code}); {self._log_tail()}")
                if time.monotonic() > deadline:
                    raise ConfigurationError(
                        f"the embedded Ray did not answer within {START_SECONDS:.0f} s; {self._log_tail()}"
                    )
                time.sleep(0.05)

    def _end(self) -> None:
        state = self._state()
        if state is None:
            return
        if birth(state["pid"]) == state["birth"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state["pid"], signal.SIGTERM)
            _wait_for_end(state, GRACE_SECONDS + 5)
        self._sweep()

    def _sweep(self) -> None:
        """Kill what a supervisor that died the hard way left, and forget the daemon."""
        deadline = time.monotonic() + GRACE_SECONDS
        while left := self.processes():
            if time.monotonic() > deadline:
                pids = ", ".join(str(process.pid) for process in left)
                raise ConfigurationError(f"processes of the embedded Ray do not end: {pids}")
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(left, timeout=1)
        self._state_file.unlink(missing_ok=True)

    def _state(self) -> dict[str, Any] | None:
        try:
            state = json.loads(self._state_file.read_text())
        except (OSError, ValueError, RecursionError):
            return None
        whole = isinstance(state, dict) and all(isinstance(state.get(key), kind) for key, kind in _STATE.items())
        return state if whole else None

    def _read_token(self) -> str:
        return self._token_file.read_text().strip()

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:] if self.log.exists() else []
        return f"the end of {self.log}:\n" + "\n".join(lines)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One start or stop at a time, whichever process asks."""
        with (self.folder / "daemon.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield


def _address(state: dict[str, Any], token: str) -> RayAddress:
    return RayAddress(f"http://{LOOPBACK}:{state['dashboardPort']}", token, LOOPBACK, state["servePort"])


def _has_node(client: httpx.Client) -> bool:
    """Whether the raylet has joined: before that, the first request that needs a worker stalls for seconds."""
    answer = client.get("/nodes", params={"view": "summary"})
    return answer.is_success and "ALIVE" in answer.text


def _choose(wanted: dict[str, int]) -> dict[str, int]:
    """A port for each setting, all different. Raises ConfigurationError for one that is taken."""
    with contextlib.ExitStack() as held:
        chosen = {}
        for setting, port in sorted(wanted.items(), key=lambda item: item[1] == 0):
            listener = held.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((LOOPBACK, port))
                listener.listen()
            except OSError as error:
                raise ConfigurationError(
                    f"port {port} is not free ({error.strerror}): "
                    f"set ray.{setting} of the Environment to another one, or to 0"
                ) from error
            chosen[setting] = listener.getsockname()[1]
        return chosen


def _private_place(folder: Path) -> Path:
    """Where a daemon kept in ``folder`` has its sockets and logs: a short name."""
    base = tempfile.gettempdir() if len(tempfile.gettempdir()) <= _SOCKET_ROOT_LENGTH else "/tmp"  # noqa: S108
    return Path(base) / f"mlops-{text_hash(f'{os.getuid()}:{folder}')}"


def _places_named(state: dict[str, Any] | None) -> Iterator[Path]:
    """Where a daemon has them that was started before its folder was moved: a name that we would have given."""
    place = Path(str((state or {}).get("temp", ""))).parent
    if place.parent == _private_place(place).parent and _PLACE.fullmatch(place.name):
        yield place


def _is_private(place: Path) -> bool:
    try:
        found = place.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _private_folder(folder: Path) -> Path:
    """A fresh folder for Ray's sockets and logs; what an earlier head left there is removed."""
    path = _private_place(folder)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if not _is_private(path):
        raise ConfigurationError(f"{path} is not a private folder of this user: remove it")
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return path / "r"  # Ray opens the folder it is given to everybody


def _owned(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.pid != os.getpid() and process.uids().real == os.getuid()
    return False


def _mark(process: psutil.Process) -> str | None:
    with contextlib.suppress(psutil.Error):
        return process.environ().get(MARKER)
    return None


def _session(process: psutil.Process) -> int | None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return os.getsid(process.pid)
    return None


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _wait_for_end(state: dict[str, Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while birth(state["pid"]) == state["birth"] and time.monotonic() < deadline:
        time.sleep(0.05)
