"""Dotted paths as policies write them: whether a kind has such a field, and what stands there in a spec.

``[]`` is every item of a list, ``[0]`` one of them, ``*`` every key of a map: ``dataset.features[].maxAge``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel

from framework.api.nearest import nearest
from framework.specs.language import words
from framework.specs.yaml.paths import Path

Token = str | int
_TOKEN = re.compile(r"\[\]|\[\d+\]|[^.\[\]\s]+")
_EVERY = ("[]", "*")


class Miss(NamedTuple):
    """Why a path names nothing, with what may stand there and what was likely meant."""

    message: str
    allowed: tuple[str, ...] = ()
    suggestion: str | None = None


class Found(NamedTuple):
    """A value of a spec at a path without wildcards. ``written``: it is no default."""

    path: Path
    value: Any
    written: bool

    @property
    def is_set(self) -> bool:
        """Whether the author wrote something that says anything: null, ``[]``, ``{}`` and ``""`` do not."""
        return self.written and self.value is not None and self.value not in ((), [], {}, "")


def parse(text: str) -> tuple[Token, ...]:
    """The steps of a path; none where the text is no path."""
    found = _TOKEN.findall(text)
    if _render(found) != text:
        return ()
    return tuple(int(token[1:-1]) if re.fullmatch(r"\[\d+\]", token) else token for token in found)


def miss(model: type[BaseModel], text: str, *, number: bool = False) -> Miss | None:
    """What is wrong with a path into specs of ``model``; None where it may name something (``number``: a number)."""
    tokens = parse(text)
    if not tokens:
        return Miss(f"{text!r} is not a dotted path such as serving.replicas.max or columns[].name")
    current, known = _walked(model, tokens)
    if known < len(tokens):
        return _unknown(model, current, tokens, known)
    if number and not {int, float, Any}.intersection(filter(_hashable, current)):
        described = " or ".join(dict.fromkeys(words.describe(annotation) for annotation in current))
        return Miss(f"{text} is not a number but {described}")
    return None


def exists(model: type[BaseModel], tokens: tuple[Token, ...]) -> bool:
    """Whether specs of ``model`` may have something there."""
    return bool(tokens) and _walked(model, tokens)[1] == len(tokens)


def _walked(model: type[BaseModel], tokens: tuple[Token, ...]) -> tuple[list[Any], int]:
    """The annotations as far as the path can be followed, and how many of its steps that are."""
    current: list[Any] = [model]
    for index, token in enumerate(tokens):
        below = [found for annotation in current for found in _below(annotation, token)]
        if not below:
            return current, index
        current = [member for annotation in below for member in words.alternatives(annotation)]
    return current, len(tokens)


def find(value: Any, tokens: tuple[Token, ...], at: Path = (), written: bool = True) -> Iterator[Found]:
    """What a spec holds at a path: several values where it has wildcards, and one None where there is nothing."""
    if not tokens:
        yield Found(at, value, written)
        return
    token, *others = tokens
    rest = tuple(others)
    if value is None:
        yield Found((*at, *takewhile(lambda step: step not in _EVERY, tokens)), None, False)
    elif isinstance(value, BaseModel):
        fields = {info.alias or name: name for name, info in type(value).model_fields.items()}
        name = fields.get(str(token))
        child = None if name is None else getattr(value, name)
        yield from find(child, rest, (*at, token), written and name in value.model_fields_set)
    elif isinstance(value, Mapping):
        for key in value if token in _EVERY else (str(token),):
            yield from find(value.get(key), rest, (*at, key), written and key in value)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            if token in _EVERY or token == index:
                yield from find(item, rest, (*at, index), written)


def _below(annotation: Any, token: Token) -> Iterator[Any]:
    """The annotations of what ``token`` names in a value of ``annotation``."""
    for member in words.alternatives(annotation):
        origin, arguments = get_origin(member), get_args(member)
        if member is Any:
            yield Any
        elif isinstance(member, type) and issubclass(member, BaseModel):
            info = words.keys(member).get(str(token))
            if info is not None:
                yield info.annotation
        elif origin is dict and token != "[]":  # noqa: S105 - a wildcard
            yield arguments[1]
        elif origin in {tuple, list} and (token in _EVERY or isinstance(token, int)):
            yield arguments[0]


def _unknown(model: type[BaseModel], parents: list[Any], tokens: tuple[Token, ...], index: int) -> Miss:
    known = {name for parent in parents for found in words.models(parent) for name in words.keys(found)}
    written, token = _render(tokens), str(tokens[index])
    where = f" in {_render(tokens[:index])}" if index else ""
    message = f"there is no {token!r}{where}, so {written} names nothing" if index else f"there is no {token!r}"
    suggestion = None
    if any(get_origin(parent) in {tuple, list} for parent in parents):
        message = f"{_render(tokens[:index])} is a list; say which items"
        suggestion = _render((*tokens[:index], "[]", *tokens[index:]))
    elif token == "spec" and index == 0 and len(tokens) > 1:  # noqa: S105 - a key
        suggestion = _render(tokens[1:])
    elif near := nearest(token, known):
        suggestion = _render((*tokens[:index], near, *tokens[index + 1 :]))
    elif homes := words.homes(model, token):
        suggestion = f"{homes[0]}.{_render(tokens[index:])}".lstrip(".")
    return Miss(message, tuple(sorted(known)), suggestion)


def _render(tokens: Any) -> str:
    text = ""
    for token in tokens:
        step = f"[{token}]" if isinstance(token, int) else token
        text += step if step.startswith("[") or not text else f".{step}"
    return text


def _hashable(annotation: Any) -> bool:
    return isinstance(annotation, type) or annotation is Any
