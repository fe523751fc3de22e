"""Work that goes on beside everything else, and that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from controllers.runtime.trouble import Trouble
from framework.api.errors import ConflictError
from framework.panics import panics_told

FAILED_SECONDS = 10.0
"""Until the next turn after one that failed."""


class Beside:
    """Calls ``turn`` from a thread of its own, again after as many seconds as it says, and until it says that there is
    nothing left to do now (any number but 0) once more at the end. Whoever leaves waits for that as many seconds as
    ``patience`` says then, and leaves a turn that hangs to itself. What ``turn`` raises is told, and ends nothing."""

    def __init__(self, turn: Callable[[], float], patience: Callable[[], float], trouble: Trouble) -> None:
        self._turn, self._patience, self._trouble = turn, patience, trouble
        self._over, self._left = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="beside", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(self._patience())
        self._left.set()

    @property
    def left(self) -> bool:
        """Whether nobody is there any more for whom it would be done."""
        return self._left.is_set()

    def _run(self) -> None:
        while not self._left.is_set():
            last = self._over.is_set()
            wait = self._try()
            if wait and (last or (self._over.wait(wait) and self._left.is_set())):
                return

    def _try(self) -> float:
        try:
            with panics_told():
                wait = self._turn()
        except ConflictError:  # another leads, and does it now
            return FAILED_SECONDS
        except Exception as error:
            if not self._left.is_set():
                self._trouble.came_up(error)
            return FAILED_SECONDS
        self._trouble.over()
        return wait
