"""Waiting for a world that takes its time, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Patience:
    """How long a backend may take to get somewhere, and how long to wait between two looks; both in seconds."""

    seconds: float
    interval: float

    def until(self, look: Callable[[], ValueT], accept: Callable[[ValueT], bool]) -> ValueT:
        """Look again and again; the first value that is accepted. Fails with the last one when time is up."""
        deadline = time.monotonic() + self.seconds
        while True:
            found = look()
            if accept(found):
                return found
            if time.monotonic() >= deadline:
                raise AssertionError(f"not within {self.seconds:g} s; at last: {found!r}")
            time.sleep(self.interval)
