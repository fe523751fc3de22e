"""What goes wrong again and again is told once, and once more when it is over."""

from __future__ import annotations

import logging
import threading

from framework.api.errors import MlopsError, SpecError

_REMEMBERED = 100


class Trouble:
    """Of one thing that is tried until it works. ``what`` comes before the cause in the log. Thread-safe."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log, self._what = log, what
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def came_up(self, error: Exception) -> None:
        """Told unless it was since things last went well. Of what no backend says on purpose, where it came from is
        told as well."""
        known = f"{type(error)}{error.errno}" if isinstance(error, OSError) else cause(error)
        with self._lock:
            if known in self._told:
                return
            if len(self._told) >= _REMEMBERED:  # a cause that never says the same twice
                self._told.clear()
            self._told.add(known)
        expected = isinstance(error, MlopsError | OSError)
        self._log.warning("%s: %s", self._what, cause(error), exc_info=None if expected else error)

    def over(self) -> None:
        with self._lock:
            over = bool(self._told)
            self._told.clear()
        if over:
            self._log.warning("%s: that is over", self._what)


def cause(error: Exception) -> str:
    """What an error of ours says; of any other, what it is as well."""
    return str(error) if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"


def in_a_line(error: Exception) -> str:
    """Its cause, cut short: of several problems the first."""
    found = str(error.problems[0]) if isinstance(error, SpecError) and error.problems else cause(error)
    return (found.splitlines() or [type(error).__name__])[0]
