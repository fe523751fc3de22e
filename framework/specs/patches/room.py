"""How large patches may make objects, and how much they may cost: in proportion to the specs, whatever they say.

What an operation brings in counts as what it expands to, as aliases do, and what is taken out again later counts on:
so a chain of copies that doubles at each step ends soon.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from framework.specs.patches.traced import PatchError
from framework.specs.yaml.paths import Path
from framework.specs.yaml.positions import MAX_BYTES, MAX_DEPTH, MAX_NODES

_BYTES_OF_NODE = 32
_GROWTH, _GROWTH_OF_OBJECT = 4 << 20, 8 << 10
"""Bytes that all patches of an Environment may bring in together, and for each object there is."""
_WORK, _WORK_OF_OBJECT = 2_000_000, 1_000
"""Likewise the values that are looked at on the way."""
_WORK_ON_OBJECT = 1_000_000
"""Of the same, for one object; less than for all, so that one that was right among others is so alone."""


class Size(NamedTuple):
    """Values, characters of text, and levels of a part of an object, shared parts counted wherever they stand."""

    nodes: int
    characters: int
    levels: int


def size(value: Any) -> Size:
    """Of plain data. Stops counting soon after it is larger than any object may be."""
    nodes = characters = levels = 0
    waiting = [(value, 1)]
    while waiting and nodes <= MAX_NODES and characters <= MAX_BYTES:
        one, level = waiting.pop()
        nodes += 1
        levels = max(levels, level)
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict):
            characters += sum(map(len, one))
            waiting += [(below, level + 1) for below in one.values()]
        elif isinstance(one, list):
            waiting += [(below, level + 1) for below in one]
    return Size(nodes, characters, levels)


class TooMuchError(PatchError):
    """All patches together cost too much: none of them is applied to anything."""


class Effort:
    """What all patches of one Environment may still bring in and look at, with ``objects`` to patch."""

    def __init__(self, objects: int) -> None:
        self._growth = _GROWTH + _GROWTH_OF_OBJECT * objects
        self._work = _WORK + _WORK_OF_OBJECT * objects

    def look(self, values: int, place: Path) -> None:
        """So many values are looked at for what stands at ``place``. Raises TooMuchError."""
        self._work -= values
        if self._work < 0:
            raise TooMuchError(place, "the patches up to here take more work than all specs; write it into the specs")

    def bring(self, found: Size, place: Path) -> None:
        """So much is brought in. Raises TooMuchError."""
        self.look(found.nodes, place)
        self._growth -= found.nodes * _BYTES_OF_NODE + found.characters
        if self._growth < 0:
            raise TooMuchError(place, "the patches up to here write more than all specs; write it into the specs")


class Room:
    """What may still be written into one object."""

    def __init__(self, spec: Any, effort: Effort) -> None:
        self._effort = effort
        self._work = _WORK_ON_OBJECT
        self._nodes, self._characters, _ = size(spec)

    def look(self, values: int, place: Path) -> None:
        """So many values are looked at for what stands at ``place``. Raises PatchError."""
        self._effort.look(values, place)
        self._work -= values
        if self._work < 0:
            raise PatchError(place, "the patches up to here take too much work; write it into the object")

    def put(self, value: Any, level: int, place: Path) -> None:
        """``value`` is written so many levels below the spec, by what stands at ``place``.

        Raises:
            PatchError: the object becomes larger than what is read of a file.
            TooMuchError: all patches together write too much.
        """
        found = size(value)
        self._effort.bring(found, place)
        self._nodes += found.nodes
        self._characters += found.characters
        self._hold(found, level, place)

    def move(self, value: Any, level: int, place: Path) -> None:
        """The same of what was there already."""
        found = size(value)
        self.look(found.nodes, place)
        self._hold(found, level, place)

    def _hold(self, found: Size, level: int, place: Path) -> None:
        if self._nodes > MAX_NODES:
            raise PatchError(place, f"the patches up to here make it more than {MAX_NODES:,} values")
        if self._characters > MAX_BYTES:
            raise PatchError(place, f"the patches up to here make it more than {MAX_BYTES >> 20} MiB of text")
        if level + found.levels > MAX_DEPTH:
            raise PatchError(place, f"nested more than {MAX_DEPTH} levels deep")
