"""What a run has made is not lost because its storage cannot be reached for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

WAITS = (1, 2, 4, 8, 15, 30, *(60 for _ in range(14)))
"""Seconds before each further try: a quarter of an hour in all. After that the attempt has failed, and `retries` of the
spec decides."""

pause = time.sleep

Made = TypeVar("Made")


def persistently(write: Callable[[], Made]) -> Made:
    """``write``, again and again while it raises OSError, as whatever cannot reach its storage does. It must come to
    the same however often it is called.

    Raises:
        OSError: that of the last try.
    """
    for wait in WAITS:
        try:
            return write()
        except OSError as error:
            log.warning("tried again in %d s: %s", wait, error)
            pause(wait)
    return write()
