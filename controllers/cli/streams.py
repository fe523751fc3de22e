"""Standard input, output and error, whatever the caller did with them."""

from __future__ import annotations

import contextlib
import os
import sys

_MODES = {0: os.O_RDONLY, 1: os.O_RDONLY, 2: os.O_WRONLY}
"""A closed standard output cannot be written, and that must show; what is said about it may go nowhere."""


def claim() -> None:
    """Keep the numbers of the standard streams from a database or a pipe that is opened later."""
    for number, mode in _MODES.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def abandon() -> None:
    """Let the interpreter end without writing once more what could not be written."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(null, stream.fileno())
