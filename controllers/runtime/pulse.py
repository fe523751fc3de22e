"""Something that is said at once, again and again, and one last time at the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from framework.api.errors import ConflictError
from framework.panics import panics_told

log = logging.getLogger(__name__)

SECONDS = 5.0


class Pulse:
    """Calls ``say`` from a thread of its own, so that who hangs goes on to be heard of, and how long it hangs with it.
    What ``say`` raises is logged once while it lasts, and ends nothing. ``say`` is told whether it is the last time."""

    def __init__(self, say: Callable[[bool], None], seconds: float = SECONDS) -> None:
        self._say, self._seconds = say, seconds
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._failing = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        self._try(last=False)
        while not self._over.wait(self._seconds):
            self._try(last=False)
        self._try(last=True)

    def _try(self, *, last: bool) -> None:
        try:
            with panics_told():
                self._say(last)
            self._failing = False
        except ConflictError as error:  # another leads, and speaks now
            log.debug("the heartbeat is not wanted any more: %s", error)
        except Exception as error:
            if not self._failing:
                log.warning("the heartbeat could not be written: %s", error)
            self._failing = True
