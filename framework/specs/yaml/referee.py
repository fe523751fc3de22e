"""A second opinion on what a YAML text says. Our own parser makes the edits; ruamel.yaml, which shares no code with it,
must agree that nothing else changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from framework.specs.yaml import nodes
from framework.specs.yaml.paths import Path


def documents(text: str) -> list[Any] | None:
    """The documents of a text, every scalar as the text that it is; None where it cannot be read."""
    found = _documents(text)
    if found is None and "\t" in text:
        with contextlib.suppress(yaml.YAMLError):
            return _documents(nodes.spaced(text))
    return found


def _documents(text: str) -> list[Any] | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return [one for one in YAML(typ="base", pure=True).load_all(text) if one not in (None, "")]
    except (YAMLError, ValueError, RecursionError):
        return None


def same(before: str, after: str) -> bool:
    """Whether two texts say the same."""
    read = documents(before)
    return read is not None and read == documents(after)


def same_elsewhere(before: str, after: str, path: Path) -> bool:
    """Whether two texts say the same but for what one of their documents says at ``path``."""
    old, new = documents(before), documents(after)
    if old is None or new is None or len(old) != len(new):
        return False
    differing = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
    return len(differing) < 2 and all(_apart_from(path, one) == _apart_from(path, other) for one, other in differing)


def _apart_from(path: Path, document: Any) -> dict[Path, str]:
    """The leaves that lie neither below ``path`` nor on the way to it."""
    return {
        leaf: text for leaf, text in _leaves((), document) if leaf[: len(path)] != path and path[: len(leaf)] != leaf
    }


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _leaves((*path, index), item)
    else:
        yield path, str(value)
