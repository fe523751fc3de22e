"""The controller as a background process of this machine: one pid file, one log."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil

from framework.api.errors import ConfigurationError
from framework.process import birth

STOP_SECONDS = 20.0
START_SECONDS = 1.0
"""A controller that cannot start (wrong settings) has ended by then."""


class Background:
    """Started by one command and stopped by another; the pid file names the process beyond doubt (pid and birth)."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "controller.log"
        self._pid_file = folder / "controller.json"

    def running(self) -> int | None:
        """The pid, None where nothing runs."""
        process = self._process()
        return process.pid if process else None

    def start(self, command: Sequence[str]) -> int:
        """Start it unless it runs. Raises ConfigurationError with the end of its log when it ends at once."""
        if (pid := self.running()) is not None:
            return pid
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        self._pid_file.write_text(json.dumps({"pid": child.pid, "birth": birth(child.pid)}))
        try:
            code = child.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            return child.pid
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
        raise ConfigurationError(f"the controller ended at once (exit code {code}); the end of {self.log}:\n{tail}")

    def stop(self) -> bool:
        """End it in order, by force if it does not; False where nothing ran."""
        process = self._process()
        self._pid_file.unlink(missing_ok=True)
        if process is None:
            return False
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
        return True

    def _process(self) -> psutil.Process | None:
        """None also where what the pid file holds is no process of ours."""
        try:
            known = json.loads(self._pid_file.read_text())
            pid, born = int(known["pid"]), str(known["birth"])
            return psutil.Process(pid) if birth(pid) == born else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, psutil.Error):
            return None
