"""Types and values in the words of the person who writes a spec, and guesses at what they meant."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date, datetime, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from framework.api.credentials import redacted
from framework.api.fields import parse_duration
from framework.api.nearest import nearest as nearest
from framework.specs.yaml.paths import Path

_PLAIN: dict[Any, tuple[str, str]] = {
    str: ("text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    timedelta: ("a duration such as 90s, 5m, 3h or 7d", "durations such as 90s, 5m, 3h or 7d"),
    date: ("a date such as 2013-01-31", "dates such as 2013-01-31"),
    datetime: ("a time such as 2013-01-31T06:00:00Z", "times such as 2013-01-31T06:00:00Z"),
}
_ELLIPSIS_AT = 60
MAX_NAMES = 20
"""That are listed where one of them is needed."""
_MAX_EFFORT = 50_000
"""Names that are compared to guess what was meant (about a second)."""


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types a value may have: unions taken apart, ``Annotated`` and ``None`` taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return tuple(member for part in get_args(annotation) for member in alternatives(part))
    return () if annotation is NoneType else (annotation,)


def describe(annotation: Any, *, many: bool = False) -> str:
    """``tuple[str, ...] | Literal["all"]`` as ``a list of texts, or 'all'``."""
    found = dict.fromkeys(_one(member, many) for member in alternatives(annotation))
    if "a number" in found:
        found.pop("a whole number", None)
    return ", or ".join(found) or "a value"


def _one(annotation: Any, many: bool) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation][many]
    values = literals(annotation)
    if values:
        return repr(values[0]) if len(values) == 1 else f"one of {', '.join(values)}"
    if origin in {tuple, list}:
        if origin is tuple and Ellipsis not in arguments:
            return f"a list of {len(arguments)} {describe(arguments[0], many=True)}"
        return f"{'lists' if many else 'a list'} of {describe(arguments[0], many=True)}"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "mappings" if many else "a mapping"
    return "values" if many else "a value"


def found(value: Any) -> str:
    """What was written instead: ``the text 'x'``, ``the number 7``, ``a list``."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {shorten(value)!r}"
    return "a list" if isinstance(value, list) else "a mapping"


def shorten(text: str) -> str:
    """What is cut off may be what a secret is recognised by, so it is hidden before."""
    told = redacted(text)
    return told if len(told) <= _ELLIPSIS_AT else f"{told[:_ELLIPSIS_AT]}…"


def literals(annotation: Any) -> tuple[str, ...]:
    """The words that are allowed, where a field takes words."""
    found: list[object] = []
    for member in alternatives(annotation):
        if get_origin(member) is Literal:
            found += get_args(member)
        elif isinstance(member, type) and issubclass(member, Enum):
            found += [one.value for one in member]
    return tuple(map(str, found))


def models(annotation: Any) -> tuple[type[BaseModel], ...]:
    return tuple(
        member for member in alternatives(annotation) if isinstance(member, type) and issubclass(member, BaseModel)
    )


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """The keys a mapping may hold, as they are written, with their fields."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def at(model: type[BaseModel], path: Path) -> Any:
    """The annotation of what ``path`` names, as a union where there are several; None for what has no declared type."""
    current: tuple[Any, ...] = (model,)
    for part in path:
        current = tuple(
            below for annotation in current for member in alternatives(annotation) for below in _step(member, part)
        )
    return Union[current] if current else None  # noqa: UP007 - as many members as were found


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        info = keys(annotation).get(str(part))
        if info is not None:
            yield info.annotation
    elif origin is dict:
        yield arguments[1]
    elif origin in {tuple, list} and arguments:
        if Ellipsis in arguments or origin is list:
            yield arguments[0]
        elif isinstance(part, int) and part < len(arguments):
            yield arguments[part]


def homes(model: type[BaseModel], key: str) -> list[str]:
    """Where else in a spec ``key`` exists, as dotted paths of the mapping that takes it, nearest to the top first."""
    found_at: list[str] = []
    level: list[tuple[str, Any, frozenset[type]]] = [("", model, frozenset())]
    while level:
        below: list[tuple[str, Any, frozenset[type]]] = []
        for path, annotation, above in level:
            for member in alternatives(annotation):
                origin, arguments = get_origin(member), get_args(member)
                if origin in {tuple, list, dict} and arguments:
                    below.append(
                        (f"{path}{'.*' if origin is dict else '[]'}", arguments[-1 if origin is dict else 0], above)
                    )
                elif isinstance(member, type) and issubclass(member, BaseModel) and member not in above:
                    if key in keys(member):
                        found_at.append(path)
                    below += [
                        (f"{path}.{name}", info.annotation, above | {member}) for name, info in keys(member).items()
                    ]
        level = below
    return list(dict.fromkeys(found_at))


class Guesses:
    """``nearest`` for many words. Guessing ends when it took long enough: whoever misspelt so many has another
    problem."""

    def __init__(self) -> None:
        self._left = _MAX_EFFORT

    def __call__(self, word: str, options: Collection[str], cutoff: float = 0.6) -> str | None:
        self._left -= len(options)
        return nearest(word, options, cutoff) if self._left >= 0 else None


_UNITS = {
    "ms": ("ms", "mil"),
    "s": ("s", "sec"),
    "m": ("m", "min"),
    "h": ("h", "hr", "hrs", "hou"),
    "d": ("d", "day"),
}
_LONG = 1e9
_UNIT_OF = {start: unit for unit, starts in _UNITS.items() for start in starts}


def duration(value: Any) -> str | None:
    """``5 minutes``, ``1H`` or ``30`` as the duration that was likely meant."""
    likely = _likely_duration(value)
    try:
        return likely if likely is not None and likely != value and parse_duration(likely) else None
    except ValueError:
        return None


def _likely_duration(value: Any) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value}s" if 0 < value < _LONG else None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value).casefold())
    if match is None:
        return None
    if match[2].startswith("w"):
        return f"{7 * float(match[1]):g}d"
    unit = _UNIT_OF.get(match[2][:3])
    return f"{match[1]}{unit or 's'}" if unit or not match[2] else None


def number(value: str, *, whole: bool) -> str | None:
    """``10%`` or ``500m`` as the number that was likely meant."""
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([%m])\s*", value)
    if match is None:
        return None
    if match[2] == "m":
        return None if whole else f"{float(match[1]) / 1000:g}"
    return match[1] if whole else f"{float(match[1]) / 100:g}"


def fitting(value: str, pattern: str) -> str | None:
    """A form of ``value`` that matches ``pattern``: in lower case, with dashes, with a leading slash."""
    slug = re.sub(r"[^a-z0-9/]+", "-", value.casefold()).strip("-")
    for candidate in (value.strip(), value.casefold(), slug, f"/{slug.strip('/')}", slug.replace("/", "-").strip("-")):
        if candidate and candidate != value and re.search(pattern, candidate):
            return candidate
    return None
