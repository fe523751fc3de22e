"""The webhook of a controller that leads: open while it does, and opened again where it could not be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from controllers.runtime.trouble import Trouble
from controllers.runtime.webhook import WebhookReceiver

log = logging.getLogger(__name__)

RETRY_SECONDS = 30.0


class Door:
    """Made by ``webhook`` at each try, None where none is asked for. Polling goes on while it cannot be opened."""

    def __init__(
        self, webhook: Callable[[], WebhookReceiver | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._make, self._monotonic = webhook, monotonic
        self._open: WebhookReceiver | None = None
        self._next = self._monotonic()
        self._trouble = Trouble(log, "nobody can say that something was pushed, and it is only polled")

    def keep_open(self) -> None:
        """Open it, unless it is or was tried only just now."""
        if self._open is not None or self._monotonic() < self._next:
            return
        self._next = self._monotonic() + RETRY_SECONDS
        made = self._make()
        try:
            if made is not None:
                made.start()
                self._open = made
        except Exception as error:
            self._trouble.came_up(error)
        else:
            self._trouble.over()

    def __enter__(self) -> Self:
        self.keep_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            self._open.stop()
