"""Python's garbage collector, kept from walking over what is being built."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Build many objects that stay: looking through all of them again and again for garbage costs as much as building
    them. What is no longer referred to is freed as ever; cycles have to wait.

    In the end everything counts as old, without a look at it: freezing takes all objects out of the collector's sight,
    and thawing puts them among the oldest.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()
            gc.enable()
