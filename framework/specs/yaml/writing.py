"""Plain values as YAML text, the way a person would write them. Read back, the text gives the same values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from framework.specs.yaml.scalars import ScalarError, resolve

WIDTH = 120
"""Columns that a line may have before a flow collection is better written in block style."""
INDENT = 2

_PLAIN = re.compile(r"[A-Za-z0-9_/.~(][-\w ./@%+()=<>;*'~!?&|$^]*(:[-\w./@%+()=<>;*'~]+[-\w ./@%+()=<>;*'~!?&|$^]*)*")
"""Text that means itself without quotes, in block and in flow style. Narrower than YAML's own rule, never wider."""
_HIDDEN = re.compile("[^ -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def scalar(value: str | int | float | bool | None, quote: str = "") -> str:
    """A scalar on one line. ``quote`` is kept where text can stand in it.

    >>> scalar("a b"), scalar("yes"), scalar("7"), scalar(0.5), scalar("it's", "'")
    ('a b', '"yes"', '"7"', '0.5', "'it''s'")
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else {"inf": ".inf", "-inf": "-.inf"}.get(str(value), ".nan")
    if isinstance(value, int):
        return str(value)
    if quote == "'" and not _HIDDEN.search(value):
        doubled = value.replace("'", "''")
        return f"'{doubled}'"
    return value if quote != '"' and _plain(value) else _quoted(value)


def _plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or text != text.strip():
        return False
    try:
        return resolve(text) == text
    except ScalarError:
        return False


def _quoted(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def flow(value: Any) -> str:
    """A value of any depth on one line: ``{min: 1, names: [a, b]}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value)


def entry(key: str, value: Any, indent: int) -> list[str]:
    """The lines of ``key: value`` in a block mapping at column ``indent``: on one line where it fits."""
    head = f"{' ' * indent}{scalar(key)}:"
    return [f"{head} {flow(value)}"] if _fits(head, value) else [head, *block(value, indent + INDENT)]


def item(value: Any, indent: int) -> list[str]:
    """The lines of ``- value`` in a block list at column ``indent``."""
    head = f"{' ' * indent}-"
    if _fits(head, value):
        return [f"{head} {flow(value)}"]
    first, *rest = block(value, indent + INDENT)
    return [f"{head} {first.lstrip(' ')}", *rest]


def block(value: Any, indent: int) -> list[str]:
    """The lines of a mapping or list in block style; what fits on a line of its own is in flow style."""
    return list(_block(value, indent))


def _block(value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from entry(str(key), below, indent)
    else:
        for below in value:
            yield from item(below, indent)


def _fits(head: str, value: Any) -> bool:
    nested = isinstance(value, Mapping | Sequence) and not isinstance(value, str)
    return not nested or not value or len(head) + 1 + len(flow(value)) <= WIDTH
