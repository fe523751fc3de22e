"""The process that holds an embedded Ray: starts its head, adopts every orphan of it, and leaves nothing behind.

Run as ``python -m framework.backends.ray.supervisor [--while PID] -- COMMAND...``. It ends when told to (SIGTERM), when
the head has died, or when the process named by ``--while`` is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import psutil

from framework.process import birth

GRACE_SECONDS = 10.0
"""How long the head may take to end by itself before everything is killed."""

_POLL_SECONDS = 0.5
_WOKEN_BY = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
_LINUX = platform.system() == "Linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def supervise(command: Sequence[str], keeper: int | None) -> int:
    """Run ``command`` until it ends, we are told to end, or the process ``keeper`` is gone. Returns its exit code."""
    keeper_birth = birth(keeper) if keeper is not None else None
    signal.pthread_sigmask(signal.SIG_BLOCK, _WOKEN_BY)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    head = subprocess.Popen(command, preexec_fn=_die_with_parent)  # noqa: PLW1509 - this process has one thread
    ended: int | None = None
    while ended is None:
        woken = signal.sigtimedwait(_WOKEN_BY, _POLL_SECONDS)
        told = woken is not None and woken.si_signo != signal.SIGCHLD
        ended = _reap(head.pid)
        if told or (keeper is not None and (keeper_birth is None or birth(keeper) != keeper_birth)):
            break
    return _end(head.pid, ended)


def _end(head: int, ended: int | None) -> int:
    """Ask the head to go, then kill what is left of the tree. Safe to call for a head that has ended."""
    if ended is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(head, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while ended is None and time.monotonic() < deadline:
            signal.sigtimedwait({signal.SIGCHLD}, 0.1)
            ended = _reap(head)
    while orphans := psutil.Process().children(recursive=True):
        for process in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        status = _reap(head)
        ended = status if ended is None else ended
        time.sleep(0.05)
    return 1 if ended is None else ended


def _reap(head: int) -> int | None:
    """Collect every child that has ended, adopted ones included; the exit code of ``head`` if it was among them."""
    ended: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        if pid == head:
            ended = os.waitstatus_to_exitcode(status)


def _die_with_parent() -> None:
    """In the child: take signals again, and go when the supervisor is killed the hard way."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WOKEN_BY)


def _prctl(option: int, value: int) -> None:
    if _LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--while", dest="keeper", type=int)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    sys.exit(supervise(command, arguments.keeper))


if __name__ == "__main__":
    main()
