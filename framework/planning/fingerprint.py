"""What a resource is named by. Pure: equal meaning gives equal names, in whatever order or style it was written."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from framework.api.categories import Category, category_of
from framework.api.meta import Metadata, Ref

_FORM = "1"
"""Of this computation: bumping it renames everything and rebuilds everything."""
LENGTH = 10


def canonical(value: Any) -> bytes:
    """One text for each JSON value: keys sorted, no spaces, UTF-8. ``1`` and ``1.0`` differ, ``-0.0`` and ``0.0`` not.

    Raises:
        TypeError: the value is not JSON.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return {"float": repr(value)} if not math.isfinite(value) else value + 0.0
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys of a JSON object are text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} is not JSON")


def short_hash(value: Any) -> str:
    """10 hex characters of the SHA-256 of a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()[:LENGTH]


def spec_json(spec: BaseModel) -> dict[str, Any]:
    """The form of a spec that fingerprints are made of: names as written, fields at their default left out.

    Hence a field that a later version adds, with a default that means "as before", renames nothing.
    """
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def identity(
    spec: Mapping[str, Any],
    categories: Mapping[str, Category],
    code: Iterable[str],
    upstream: Mapping[Ref, str],
    workload_version: str,
) -> str:
    """10 hex characters that name what would be built.

    ``spec`` is ``spec_json`` of the resource, of which only fields that rebuild count, and descriptions of columns do
    not; ``code`` the digests of user code, ``upstream`` the identities of the resources it is built from.
    """
    return short_hash(
        {
            "form": _FORM,
            "spec": _rebuilding(spec, categories),
            "code": sorted(code),
            "upstream": {str(ref): name for ref, name in upstream.items()},
            "workload": workload_version,
        }
    )


def digest(ref: Ref, metadata: Metadata, spec: Mapping[str, Any], identity: str) -> str:
    """10 hex characters over everything a user wrote, labels included: equal digests mean nothing changed at all."""
    written = metadata.model_dump(mode="json", exclude_defaults=True)
    return short_hash({"form": _FORM, "ref": str(ref), "metadata": written, "spec": dict(spec), "identity": identity})


def _rebuilding(spec: Mapping[str, Any], categories: Mapping[str, Category]) -> dict[str, Any]:
    kept = {}
    for key, value in spec.items():
        if key == "columns":
            value = _undescribed(value)
        reduced, counts = _reduced(key, value, categories)
        if counts:
            kept[key] = reduced
    return kept


def _reduced(path: str, value: Any, categories: Mapping[str, Category]) -> tuple[Any, bool]:
    """``value`` without the fields that do not rebuild, and whether anything is left of it."""
    divided = any(entry.startswith(f"{path}.") for entry in categories)
    if divided and isinstance(value, Mapping) and value:
        parts = {key: _reduced(f"{path}.{key}", item, categories) for key, item in value.items()}
        kept = {key: item for key, (item, counts) in parts.items() if counts}
        return kept, bool(kept)
    return value, category_of(path, categories).rebuilds


def _undescribed(columns: Any) -> Any:
    if isinstance(columns, Mapping):
        return {key: _undescribed(item) for key, item in columns.items() if key != "description"}
    if isinstance(columns, list | tuple):
        return [_undescribed(item) for item in columns]
    return columns
