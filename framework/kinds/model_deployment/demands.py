"""What a new version asks of its callers that the one in service does not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework.api.categories import Category
from framework.kinds.model_deployment.observed import ServedVersion
from framework.planning.grammar.changes import FieldDiff

_BITS = {
    **{f"Int{bits}": (bits - 1, True) for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": (bits, False) for bits in (8, 16, 32, 64)},
}
"""Whole numbers by dtype: how many bits hold the value, and whether it may be negative."""
_FLOATS = ("Float32", "Float64")


def demands(new: ServedVersion, old: ServedVersion) -> tuple[FieldDiff, ...]:
    """Inputs of the model that must now be there, or be of another dtype than was taken before. Where a transformer
    stands between, it may supply them: callers are only known to have to where none does."""
    before = {column["name"]: column for column in _inputs(old)}
    found = []
    for column in _inputs(new):
        was = before.get(column["name"])
        needed = not column["nullable"] and (was is None or was["nullable"])
        retyped = was is not None and not takes(column["dtype"], was["dtype"])
        if needed or retyped:
            path = f"model.inputs.{column['name']}"
            found.append(FieldDiff(path, _word(was) if was else None, _word(column), Category.BREAKING))
    return tuple(found)


def sentence(found: tuple[FieldDiff, ...]) -> str:
    """``callers must now send z: Float64``; empty where nothing is asked."""
    told = ", ".join(f"{item.path.removeprefix('model.inputs.')}: {item.after}" for item in found)
    return f"callers must now send {told}" if told else ""


def takes(dtype: str, other: str) -> bool:
    """Whether every value that an input of dtype ``other`` takes fits one of ``dtype``."""
    if dtype == other or (dtype in _FLOATS and other in _BITS) or (dtype, other) == ("Datetime", "Date"):
        return True
    if dtype in _FLOATS or other in _FLOATS:
        return (dtype, other) == ("Float64", "Float32")
    if dtype not in _BITS or other not in _BITS:
        return False
    (bits, signed), (needed, negative) = _BITS[dtype], _BITS[other]
    return bits >= needed and (signed or not negative)


def _inputs(version: ServedVersion) -> list[Mapping[str, Any]]:
    """What callers are to send: the inputs that are not looked up, and the keys by which others are."""
    found: list[Mapping[str, Any]] = version.arguments.signature.get("inputs", [])
    online = version.arguments.online
    if online is None:
        return found
    looked_up = {name for view in online.views for name in view.inputs}
    keys = {name: word for view in online.views for name, word in view.asked_by}
    sent = [column for column in found if column["name"] not in {*looked_up, *keys}]
    return [*sent, *({"name": name, "dtype": word, "nullable": False} for name, word in keys.items())]


def _word(column: Mapping[str, Any]) -> str:
    return f"{column['dtype']}{', or nothing' if column['nullable'] else ''}"
