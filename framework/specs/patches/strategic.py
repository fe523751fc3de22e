"""The strategic merge of Kubernetes: mappings key by key, lists of named items item by item, the rest replaced.

``null`` removes a key. ``{$patch: delete}`` in a mapping removes that mapping, or the items of its list that have the
same name; ``{$patch: replace}`` in a mapping, or as the first item of a list, takes the rest instead of merging it.
Items that are new come last. Removing what is not there is no mistake: a patch applied twice is a patch applied once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from framework.specs.language import words
from framework.specs.patches.room import Room
from framework.specs.patches.traced import Origin, PatchError, Traced, patched
from framework.specs.yaml.paths import Path

_DIRECTIVE = "$patch"
_DIRECTIVES = ("delete", "merge", "replace")


def merge(base: Traced, patch: Any, at: Path, keys: Mapping[str, str], room: Room) -> Traced:
    """``base`` with ``patch``, which stands at ``at`` in the Environment, merged in. ``keys`` are the kind's
    ``merge_keys``.

    Raises:
        PatchError: a directive or an item that cannot be followed, or there is no ``room`` for the patch.
    """
    room.put(patch, 0, at)
    return _Merge(keys, room).merged(base, patch, at, ())


class _Merge(NamedTuple):
    """Of ``base``, None where there is nothing yet, ``patch``, which stands at ``at``, and ``inside``, the place in the
    spec."""

    keys: Mapping[str, str]
    room: Room

    def merged(self, base: Traced | None, patch: Any, at: Path, inside: tuple[str, ...]) -> Traced:
        if isinstance(patch, Mapping):
            return self._mapping(base, patch, at, inside)
        if not isinstance(patch, list):
            return patched(patch, at)
        if patch and patch[0] == {_DIRECTIVE: "replace"}:
            rest = [patched(item, (*at, index)) for index, item in enumerate(patch) if index]
            return patched([], at).with_items(rest, None)
        key = self.keys.get(".".join(inside))
        if key is None:
            _refuse_directives(patch, at, inside)
            return patched(patch, at)
        return self._items(base, patch, at, inside, key)

    def _mapping(self, base: Traced | None, patch: Mapping[str, Any], at: Path, inside: tuple[str, ...]) -> Traced:
        directive = _directive(patch, at)
        if directive == "delete":
            raise PatchError((*at, _DIRECTIVE), "a spec as a whole cannot be removed")
        merges = base is not None and isinstance(base.value, Mapping) and directive != "replace"
        start = base if base is not None and merges else patched({}, at)
        self.room.look(len(start.value), at)
        changed: dict[str, Traced] = {}
        removed: dict[str, Origin] = {}
        for key, value in patch.items():
            place = (*at, key)
            if key == _DIRECTIVE:
                continue
            if value is None or _directive(value, place) == "delete":
                removed[key] = Origin(True, place)
            else:
                before = start.part(key) if key in start.value else None
                changed[key] = self.merged(before, value, place, (*inside, key))
        merged = start.with_keys(changed, removed)
        return merged if merges else merged.told_at_itself()

    def _items(self, base: Traced | None, patch: list[Any], at: Path, inside: tuple[str, ...], key: str) -> Traced:
        start = base if base is not None and isinstance(base.value, list) else None
        found = start.items() if start is not None else []
        told: Origin | None = None
        seen: list[Any] = []
        for index, item in enumerate(patch):
            place = (*at, index)
            self.room.look(len(found) + len(seen), place)
            name = _name(item, place, key, inside)
            if name in seen:
                raise PatchError(place, f"two items of the patch have {key}: {name}; {_whole(inside)}")
            seen.append(name)
            same = [position for position, one in enumerate(found) if _has(one.value, key, name)]
            changed = Origin(True, place)
            if _directive(item, place) == "delete":
                found = [one for position, one in enumerate(found) if position not in same]
            elif len(same) > 1:
                message = f"{len(same)} items of {'.'.join(inside)} have {key}: {name}; {_whole(inside)}"
                raise PatchError((*place, key), message)
            elif same:
                found[same[0]] = self.merged(found[same[0]], item, place, inside)
                changed = found[same[0]].trace.place
            else:
                found.append(self.merged(None, item, place, inside))
            told = told or changed
        return patched([], at).with_items(found, None) if start is None else start.with_items(found, told)


def _name(item: Any, place: Path, key: str, inside: tuple[str, ...]) -> Any:
    """The name by which an item of a patch finds the one that it is merged into."""
    if not isinstance(item, Mapping):
        raise PatchError(place, f"items of {'.'.join(inside)} are mappings with {key!r}, found {words.found(item)}")
    if dict(item) == {_DIRECTIVE: "replace"}:
        raise PatchError(place, "{$patch: replace} stands first in a list")
    if item.get(key) is None:
        message = f"the item lacks {key!r}, by which items of {'.'.join(inside)} are merged; {_whole(inside)}"
        raise PatchError(place, message, suggestion=words.nearest(key, item))
    return item[key]


def _has(value: Any, key: str, name: Any) -> bool:
    return isinstance(value, Mapping) and bool(value.get(key) == name)


def _whole(inside: tuple[str, ...]) -> str:
    return f"write all of {inside[-1]} after a first item {{$patch: replace}}, or use jsonPatch"


def _directive(value: Any, at: Path) -> str | None:
    if not isinstance(value, Mapping) or _DIRECTIVE not in value:
        return None
    word = value[_DIRECTIVE]
    if word not in _DIRECTIVES:
        near = words.nearest(word, _DIRECTIVES) if isinstance(word, str) else None
        raise PatchError((*at, _DIRECTIVE), f"unknown directive, found {words.found(word)}", _DIRECTIVES, near)
    return str(word)


def _refuse_directives(patch: list[Any], at: Path, inside: tuple[str, ...]) -> None:
    """A list without names is replaced: there is no item that a directive in it could mean."""
    for index, item in enumerate(patch):
        if _directive(item, (*at, index)) is not None:
            where = ".".join(inside) or "this list"
            message = f"items of {where} have no names to find them by: the list is replaced as a whole; use jsonPatch"
            raise PatchError((*at, index, _DIRECTIVE), message)
