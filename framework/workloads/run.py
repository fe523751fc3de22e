"""The one entrypoint of every run: ``python -m framework.workloads.run STORAGE RUN ATTEMPT``.

Reads the request, calls the workload, and writes what came of it. A heartbeat tells every second that the run is alive.
The result is written once, last and atomically: whoever finds it knows everything, and nobody has to read a log.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

from framework.api.layout import run_folder
from framework.ports import FailureKind
from framework.storage import DamagedFileError, read_json, write_sealed
from framework.workloads.context import RunContext
from framework.workloads.failures import failure_of
from framework.workloads.persistence import persistently
from framework.workloads.priority import give_way

HEARTBEAT_SECONDS = 1.0


class Attempt:
    """The files of one attempt. ``finish`` counts once: whoever is first, the workload, the clock or a signal."""

    def __init__(self, folder: str, attempt: int, timeout_seconds: float | None):
        self._folder = folder
        self._attempt = attempt
        self._timeout = timeout_seconds
        self._began = time.monotonic()
        self._started = datetime.now(UTC).isoformat()
        self._progress: tuple[float | None, str] = (None, "")
        self._finished = threading.Lock()

    def progress(self, fraction: float | None, message: str) -> None:
        """The next heartbeat tells it; the log of the run has each message once."""
        if message != self._progress[1]:
            print(f"{datetime.now(UTC):%H:%M:%S} {message}", flush=True)
        self._progress = (fraction, message)

    def finish(self, outcome: Mapping[str, Any]) -> bool:
        """Write the result file; False where it was written before. Raises OSError."""
        if not self._finished.acquire(blocking=False):
            return False
        times = {"started": self._started, "finished": datetime.now(UTC).isoformat()}
        result = {"attempt": self._attempt, **outcome, **times}
        write = partial(write_sealed, f"{self._folder}/result-{self._attempt}.json", result)
        persistently(write) if outcome["status"] == "succeeded" else write()
        return True

    def fail_now(self, kind: FailureKind, reason: str, message: str) -> None:
        """End the process from another thread, while the workload may sit in native code."""
        failure = {"kind": kind, "reason": reason, "message": message, "data": {}}
        if self.finish({"status": "failed", "failure": failure}):
            print(f"{reason}: {message}", file=sys.stderr, flush=True)
            os._exit(1)

    def beat(self) -> None:
        """Report until the process ends, and end it when its time is up."""
        while not self._finished.locked():
            fraction, message = self._progress
            now = datetime.now(UTC).isoformat()
            try:
                report = {"time": now, "progress": fraction, "message": message}
                write_sealed(f"{self._folder}/heartbeat-{self._attempt}.json", report)
            except OSError as error:
                print(f"no heartbeat: {error}", file=sys.stderr)
            if self._timeout is not None and time.monotonic() - self._began > self._timeout:
                self.fail_now(FailureKind.USER, "TimedOut", f"the run took longer than {self._timeout:g} s")
            time.sleep(HEARTBEAT_SECONDS)

    def heed_signals(self, wakeups: socket.socket) -> None:
        """Wait for SIGTERM. A handler in Python would have to wait for native code to return; Ray kills after 3 s."""
        while data := wakeups.recv(1):
            if data[0] == signal.SIGTERM:
                self.fail_now(FailureKind.INFRASTRUCTURE, "Stopped", "the run was stopped")


def run(storage: str, name: str, attempt: int) -> int:
    """Run one attempt; the process's exit code. Call it in the main thread."""
    folder = run_folder(storage, name)
    try:
        request = read_json(f"{folder}/request-{attempt}.json")
    except DamagedFileError as error:
        print(error, file=sys.stderr)
        return 2
    if request is None:
        print(f"there is no request-{attempt}.json in {folder}", file=sys.stderr)
        return 2
    watched = Attempt(folder, attempt, request.get("timeout_seconds"))
    sender, receiver = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=watched.heed_signals, args=(receiver,), daemon=True).start()
    threading.Thread(target=watched.beat, daemon=True).start()
    context = RunContext(
        name=name,
        attempt=attempt,
        payload=request["payload"],
        storage=storage,
        folder=folder,
        metadata=request["metadata"],
        progress=watched.progress,
    )
    try:
        give_way()  # after the threads began that tell of the run
        module, _, function = request["workload"].partition(":")
        result = dict(getattr(importlib.import_module(module), function)(context))
        json.dumps(result)
    except BaseException as error:  # whatever it is, the control plane must hear of it
        traceback.print_exc()
        watched.finish({"status": "failed", "failure": failure_of(error)})
        return 1
    watched.finish({"status": "succeeded", "result": result})
    return 0


def main() -> NoReturn:
    storage, name, attempt = sys.argv[1:]
    sys.exit(run(storage, name, int(attempt)))


if __name__ == "__main__":
    main()
