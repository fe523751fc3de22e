"""Who goes first where runs and replicas share cores: requests have callers who wait."""

from __future__ import annotations

import contextlib
import os

NICENESS = 19
"""The least that there is. Ray starts jobs with 0 and everything else, replicas of Serve among it, with 15 (0 where the
cluster is ours): what computes features would go before what a caller waits for."""


def give_way() -> None:
    """For this thread and those that it starts from now on. Where the system knows no priorities, nothing happens."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
