"""Dotted paths inside a document: ``spec.strategy.canary.steps[0].setWeight``."""

from __future__ import annotations

import re
from collections.abc import Iterable

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[^\s.\[\]\"]+")
_PART = re.compile(r"\[(\d+)\]|\[\"([^\"]*)\"\]|([^\s.\[\]\"]+)")


def render(path: Iterable[str | int]) -> str:
    """The text of a path; keys that hold dots, brackets or spaces are quoted: ``labels["app.kubernetes.io/name"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text


def parse(text: str) -> Path:
    """The path a text stands for. ``steps.0`` reads as a key named ``0``; lookups accept it as an index too."""
    return tuple(
        int(match[1]) if match[1] is not None else (match[2] if match[2] is not None else match[3])
        for match in _PART.finditer(text)
    )
