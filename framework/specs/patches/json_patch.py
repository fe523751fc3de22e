"""JSON patch (RFC 6902) with JSON pointers (RFC 6901).

Written here, since a library gives the patched document, but not which part of it came from where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from framework.specs.language import words
from framework.specs.patches.room import Room
from framework.specs.patches.traced import Origin, PatchError, Trace, Traced, patched
from framework.specs.yaml.paths import Path

Change = Callable[[Traced, str], Traced]
Operation = Callable[[Traced, Mapping[str, Any], Path, Room], Traced]


def apply(document: Traced, operations: Sequence[Mapping[str, Any]], at: Path, room: Room) -> Traced:
    """``document`` after ``operations``, which stand at path ``at`` of the Environment, one after the other.

    Raises:
        PatchError: of the first one that fails, at the part of it that is to blame; or there is no ``room`` for it.
    """
    for index, operation in enumerate(operations):
        document = _OPERATIONS[operation["op"]](document, operation, (*at, index), room)
    return document


def tokens(pointer: str) -> list[str]:
    """``/a~1b/0`` as ``["a/b", "0"]``; the whole document is ``""``."""
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def same(one: Any, other: Any) -> bool:
    """Equal as JSON is: 1 equals 1.0, and neither is ``true``."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


# -- operations ------------------------------------------------------------------------------------------------------


def _add(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    room.put(operation["value"], _level(operation["path"]), (*at, "value"))
    return _put(document, operation, at, patched(operation["value"], (*at, "value"), name=(*at, "path")), room)


def _remove(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    return _take_out(document, operation["path"], (*at, "path"), room)


def _replace(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    new = patched(operation["value"], (*at, "value"), name=(*at, "path"))
    pointer, place = operation["path"], (*at, "path")
    _find(document, pointer, place)
    room.put(new.value, _level(pointer), (*at, "value"))

    def change(parent: Traced, token: str) -> Traced:
        return _exchanged(parent, _key(parent, token, pointer, place), new)

    return _changed(document, pointer, place, change, room) if pointer else _whole(new)


def _move(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    source, target = operation["from"], operation["path"]
    moved = _carried(document, operation, at)
    room.move(moved.value, _level(target), (*at, "path"))
    if source == target:
        return document
    if target.startswith(f"{source}/"):
        raise PatchError((*at, "path"), f"{source or 'the whole spec'} cannot be moved into itself")
    return _put(_take_out(document, source, (*at, "from"), room), operation, at, moved, room)


def _copy(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    copied = _carried(document, operation, at)
    room.put(copied.value, _level(operation["path"]), (*at, "path"))
    return _put(document, operation, at, copied, room)


def _test(document: Traced, operation: Mapping[str, Any], at: Path, room: Room) -> Traced:
    found = _find(document, operation["path"], (*at, "path")).value
    expected = operation["value"]
    if not same(found, expected):
        pointer = operation["path"] or "the spec"
        raise PatchError((*at, "value"), f"the test failed: {pointer} is {_shown(found)}, expected {_shown(expected)}")
    return document


_OPERATIONS: Mapping[str, Operation] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


# -- their parts -----------------------------------------------------------------------------------------------------


def _carried(document: Traced, operation: Mapping[str, Any], at: Path) -> Traced:
    """What ``from`` names. Wherever it goes, what is wrong with it there is the operation's doing."""
    found = _find(document, operation["from"], (*at, "from"))
    return Traced(found.value, Trace(Origin(True, (*at, "path"), name=(*at, "path"), carried=True)))


def _level(pointer: str) -> int:
    return len(tokens(pointer))


def _put(document: Traced, operation: Mapping[str, Any], at: Path, new: Traced, room: Room) -> Traced:
    pointer, place = operation["path"], (*at, "path")

    def change(parent: Traced, token: str) -> Traced:
        if not isinstance(parent.value, list):
            return _exchanged(parent, token, new)
        items = parent.items()
        end = len(items) if token == "-" else _index(parent, token, pointer, place, len(items))  # noqa: S105 - RFC 6901
        return parent.with_items([*items[:end], new, *items[end:]], new.trace.place)

    return _changed(document, pointer, place, change, room) if pointer else _whole(new)


def _take_out(document: Traced, pointer: str, place: Path, room: Room) -> Traced:
    if not pointer:
        raise PatchError(place, "a spec as a whole cannot be removed")
    by = Origin(True, place)

    def change(parent: Traced, token: str) -> Traced:
        key = _key(parent, token, pointer, place)
        if isinstance(key, str):
            return parent.with_keys({}, {key: by})
        return parent.with_items([item for index, item in enumerate(parent.items()) if index != key], by)

    return _changed(document, pointer, place, change, room)


def _whole(new: Traced) -> Traced:
    if not isinstance(new.value, Mapping):
        raise PatchError(new.trace.place.path, f"a spec is a mapping, found {words.found(new.value)}")
    return new


def _changed(document: Traced, pointer: str, place: Path, change: Change, room: Room) -> Traced:
    """``document`` with ``change`` made where the last token of ``pointer`` applies."""

    def descend(node: Traced, rest: list[str]) -> Traced:
        if not isinstance(node.value, Mapping | list):
            raise _nothing_below(node, rest[0], pointer, place)
        room.look(len(node.value), place)
        if len(rest) == 1:
            return change(node, rest[0])
        key = _key(node, rest[0], pointer, place)
        return _exchanged(node, key, descend(node.part(key), rest[1:]))

    return descend(document, tokens(pointer))


def _exchanged(parent: Traced, key: str | int, child: Traced) -> Traced:
    if isinstance(key, str):
        return parent.with_keys({key: child}, {})
    items = parent.items()
    return parent.with_items([*items[:key], child, *items[key + 1 :]], child.trace.place)


def _find(document: Traced, pointer: str, place: Path) -> Traced:
    node = document
    for token in tokens(pointer):
        node = node.part(_key(node, token, pointer, place))
    return node


def _key(node: Traced, token: str, pointer: str, place: Path) -> str | int:
    """The key or index of something that is there."""
    if isinstance(node.value, list):
        return _index(node, token, pointer, place, len(node.value) - 1)
    if not isinstance(node.value, Mapping):
        raise _nothing_below(node, token, pointer, place)
    if token not in node.value:
        near = _meant(node, pointer) or words.nearest(token, node.value)
        allowed = tuple(node.value) if len(node.value) <= _MAX_KEYS else ()
        raise PatchError(place, f"path not found: {pointer} ({token!r} is not there)", allowed, near)
    return token


_MAX_KEYS = 20


def _meant(node: Traced, pointer: str) -> str | None:
    """``/spec/serving`` and ``/serving.route`` for ``/serving`` and ``/serving/route``."""
    for candidate in (pointer.removeprefix("/spec"), pointer.replace(".", "/")):
        first, *_ = [*tokens(candidate), ""]
        if candidate != pointer and first in node.value:
            return candidate
    return None


def _index(node: Traced, token: str, pointer: str, place: Path, last: int) -> int:
    size = len(node.value)
    if not (token.isascii() and token.isdigit()) or (token != "0" and token.startswith("0")):  # noqa: S105
        hint = "; only add knows '-', the end" if token == "-" else ""  # noqa: S105
        raise PatchError(place, f"{pointer}: {token!r} is no index of a list{hint}")
    if int(token) > last:
        held = f"{size} item{'' if size == 1 else 's'}"
        raise PatchError(place, f"{pointer}: index {token} is out of range, the list has {held}")
    return int(token)


def _nothing_below(node: Traced, token: str, pointer: str, place: Path) -> PatchError:
    return PatchError(place, f"path not found: {pointer} ({token!r} lies below {words.found(node.value)})")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return words.shorten(str(value))
    return words.found(value).removeprefix("the number ").removeprefix("the text ")
