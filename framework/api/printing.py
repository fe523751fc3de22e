"""Text of others on its way to people and files: nothing in it can steer a terminal, pass for something else or give a
secret away."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from framework.api.credentials import redacted

Told = Annotated[str, AfterValidator(redacted)]
"""Text that is kept to be shown."""


def shown(text: str) -> str:
    """``text`` as people get to see it."""
    return printable(redacted(text))


def printable(text: str) -> str:
    """``text`` with control and direction-changing characters spelled out (``\\x1b``, ``\\n``), and so what is no
    character at all: the bytes of a file's name that are not UTF-8."""
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or unicodedata.category(character) == "Zs"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def number(value: float | None) -> str:
    """A measured value as people read it; nothing where there is none.

    >>> number(0.95716), number(12345.678), number(0.0000123), number(None)
    ('0.9572', '12,345.7', '1.23e-05', '')
    """
    if value is None:
        return ""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.1f}"
    return f"{value:.3g}" if 0 < size < 0.001 else f"{value:.4f}"


def amount(size: int) -> str:
    """Bytes as people read them.

    >>> amount(512), amount(12_345), amount(12_345_678), amount(3_000_000_000_000)
    ('512 B', '12 kB', '12 MB', '3 TB')
    """
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 10 else f"{value:,.0f} {unit}"
