"""Values as canonical JSON: equal values give equal bytes, on every machine and in every process."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

from pydantic import BaseModel

from framework.api.credentials import redacted, redacted_value
from framework.api.meta import Ref
from framework.ports import Json

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def plain_value(value: Any) -> Json:
    """``value`` out of JSON's own types.

    Models and dataclasses become objects by field name, references ``Kind/name``, times ISO 8601 in UTC, durations
    seconds. JSON has no infinities: they and NaN become the strings ``Infinity``, ``-Infinity`` and ``NaN``. What looks
    like a credential is hidden.

    Raises:
        TypeError: a type that no plan or status holds.
    """
    match value:
        case Ref():
            return str(value)
        case Enum():
            return plain_value(value.value)
        case str():
            return redacted(value)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else _NOT_FINITE[str(value)]
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case BaseModel():
            return {name: plain_value(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return redacted_value({str(key): plain_value(item) for key, item in value.items()})
        case Set():
            return sorted((plain_value(item) for item in value), key=str)
        case list() | tuple():
            return [plain_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain_value(getattr(value, item.name)) for item in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def document(value: Mapping[str, Any]) -> str:
    """An indented JSON document that ends in a line break."""
    return json.dumps(plain_value(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def line(value: Mapping[str, Any]) -> str:
    """One JSON object on one line, without the line break."""
    return json.dumps(plain_value(value), sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
