"""Stored values as canonical JSON, and what is wrong with those that cannot be read. Pure; no database."""

from __future__ import annotations

import json
from typing import Any, TypeGuard, TypeVar

from framework.api.errors import DamagedError
from framework.api.meta import Stored, problem_of

StoredT = TypeVar("StoredT", bound=Stored)

_LARGEST = 2**53


def dump(value: Stored) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII only, so that any database stores it byte for byte."""
    return dump_json(value.model_dump(mode="json"))


def dump_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def load(model: type[StoredT], body: str | bytes, where: str) -> StoredT:
    """The value that :func:`dump` wrote; keys of a newer version are ignored.

    Raises:
        DamagedError: the stored text is not such a value. ``where`` says what it should have been.
    """
    try:
        return model.model_validate_json(body)
    except ValueError:
        pass  # half a surrogate pair is no text to pydantic, and one to whoever wrote it
    try:
        return model.model_validate(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise DamagedError(where, problem_of(error)) from None


def is_count(value: object) -> TypeGuard[int]:
    """Whether a column holds what a counter may hold. SQLite keeps anything in any column."""
    return type(value) is int and 0 <= value < _LARGEST
