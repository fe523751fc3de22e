"""What goes wrong again and again is told once, and once more when it is over."""

from __future__ import annotations

import logging
import threading

from framework.api.errors import MlopsError

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
        words = cause(error)
        with self._lock:
            if words in self._told:
                return
            if len(self._told) >= _REMEMBERED:  # a cause that never says the same twice
                self._told.clear()
            self._told.add(words)
        self._log.warning("%s: %s", self._what, words, exc_info=None if isinstance(error, MlopsError) else error)

    def over(self) -> None:
        with self._lock:
            over = bool(self._told)
            self._told.clear()
        if over:
            self._log.warning("%s: that is over", self._what)


def cause(error: Exception) -> str:
    """In a few words."""
    return str(error) if isinstance(error, MlopsError) else f"{type(error).__name__}: {error}"
