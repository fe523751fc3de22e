"""Names of model versions beside the versions themselves, and what a person's own stand for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

LATEST = "latest"
"""The newest version of what git asks for that passed its gates."""
CHAMPION = "champion"
"""What serves."""
CHALLENGER = "challenger"
"""What is being rolled out; where nothing is, the newest version that passed its gates, if it is newer than what
serves."""
RESERVED = (LATEST, CHAMPION, CHALLENGER)
"""No alias of a person's own may be called so."""
_VERSION = re.compile(r"[0-9a-f]{10}")


def is_version(text: str) -> bool:
    """Whether it has the form of a build's name."""
    return _VERSION.fullmatch(text) is not None


def stands_for(name: str, aliases: Mapping[str, str]) -> str:
    """The version, or ``latest``, that an alias comes to, over as many others as there are in between; the last of them
    where they go round in a circle, or lead to nothing.

    >>> stands_for("stable", {"stable": "good", "good": "3f2a91c0de"})
    '3f2a91c0de'
    """
    seen = {name}
    while (target := aliases.get(name)) is not None and target not in seen:
        seen.add(target)
        name = target
    return name


def circle(name: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The aliases that lead from ``name`` back to it, with it at both ends; empty where they do not.

    >>> circle("a", {"a": "b", "b": "a"})
    ('a', 'b', 'a')
    """
    way = [name]
    while (target := aliases.get(way[-1])) is not None and target not in way[1:]:
        way.append(target)
    return tuple(way) if len(way) > 1 and way[-1] == name else ()
