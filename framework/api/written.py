"""Texts and lists that have to say something: an empty one reads like a rule and is none, or fails in the run."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, WithJsonSchema

from framework.api.errors import FieldError

T = TypeVar("T", bound=Hashable)


def _visible(value: str) -> str:
    if value.strip():
        return value
    raise FieldError("must not be empty" if not value else f"{value!r} is blank: nothing is written there")


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """In a union with a word a length is not told as such, so that emptiness is told here as well."""
    if not values:
        raise FieldError("must hold at least 1 item, found none")
    seen: set[T] = set()
    for value in values:
        if value in seen:
            raise FieldError(f"names {value!r} twice; each may stand there once")
        seen.add(value)
    return values


Text = Annotated[str, AfterValidator(_visible), WithJsonSchema({"type": "string", "pattern": r"\S"})]
"""With a character in it that can be seen."""

Names = Annotated[
    tuple[Text, ...],
    AfterValidator(_distinct),
    WithJsonSchema(
        {"type": "array", "items": {"type": "string", "pattern": r"\S"}, "minItems": 1, "uniqueItems": True}
    ),
]
"""One or more, each once."""
