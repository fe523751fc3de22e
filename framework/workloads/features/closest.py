"""The nearest known name to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'carrier'?`` or nothing.

    >>> suggestion("carier", ["carrier", "hour"])
    "; did you mean 'carrier'?"
    """
    near = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
