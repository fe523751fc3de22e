"""What a mistyped name was likely meant to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_ABBREVIATION = 3
"""Characters that the start of a name has at least."""


def nearest(word: str, options: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The option that ``word`` is a misspelling or the start of; case, ``-`` and ``_`` do not count."""
    by_form: dict[str, str] = {}
    for option in options:
        by_form.setdefault(_form(option), option)
    form = _form(word)
    matches = difflib.get_close_matches(form, by_form, n=1, cutoff=cutoff)
    if not matches and len(form) >= _ABBREVIATION:
        matches = [option for option in by_form if option.startswith(form)]
    return by_form[matches[0]] if len(matches) == 1 else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """``; did you mean 'carrier'?`` or nothing.

    >>> did_you_mean("carier", ["carrier", "hour"])
    "; did you mean 'carrier'?"
    """
    near = nearest(word, options)
    return f"; did you mean {near!r}?" if near else ""


def _form(word: str) -> str:
    return re.sub(r"[-_ ]", "", word).casefold()
