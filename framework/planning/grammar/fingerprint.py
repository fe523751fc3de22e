"""What a resource is named by. Pure: equal meaning gives equal names, in whatever order or style it was written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from framework.api.categories import Category, category_of
from framework.api.hashes import text_hash
from framework.api.meta import Metadata, Ref

_FORM = "1"
"""Of this computation: bumping it renames everything and rebuilds everything."""


def canonical(value: Any) -> bytes:
    """One text for each JSON value: keys sorted, no spaces, UTF-8. ``1`` and ``1.0`` differ, ``-0.0`` and ``0.0`` not.

    Raises:
        TypeError: the value is not JSON.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict and all(type(key) is str for key in value):
        return {key: item if type(item) in _AS_THEY_ARE else _plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int):
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
    return text_hash(canonical(value))


def spec_json(spec: BaseModel) -> dict[str, Any]:
    """The form of a spec that fingerprints are made of: names as written, fields at their default left out.

    Hence a field that a later version adds, with a default that means "as before", renames nothing.
    """
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)


class Texts(NamedTuple):
    """A spec as canonical JSON: the part of it that rebuilds, the whole, and, where that is less than what rebuilds,
    the part that says how."""

    rebuilding: str
    whole: str
    how: str = ""

    @property
    def recipe(self) -> str:
        """The part that says how something is built."""
        return self.how or self.rebuilding


def texts(spec: Mapping[str, Any], categories: Mapping[str, Category], renews: str = "") -> Texts:
    """``spec`` is ``spec_json`` of the resource; ``renews`` the field that asks for the same anew."""
    how = without(spec, renews)
    differs = how is not spec
    return Texts(
        _text(_rebuilding(spec, categories)), _text(spec), _text(_rebuilding(how, categories)) if differs else ""
    )


def without(spec: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """``spec`` without the field at a dotted path; itself where it does not set that."""
    name, _, rest = path.partition(".")
    if name not in spec:
        return spec
    if not rest:
        return {key: value for key, value in spec.items() if key != name}
    below = without(spec[name], rest)
    return spec if below is spec[name] else {**spec, name: below}


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
    return identity_of(_text(_rebuilding(spec, categories)), code, upstream, workload_version)


def identity_of(
    rebuilding: str,
    code: Iterable[str],
    upstream: Mapping[Ref, str],
    workload_version: str,
    meanings: Mapping[str, str] | None = None,
) -> str:
    """``identity`` of a spec whose text is known. ``meanings`` are those of its words that an upstream explains."""
    above = {str(ref): name for ref, name in upstream.items()}
    borrowed = {"meanings": _text(meanings)} if meanings else {}
    return _hash_of(
        code=_text(sorted(code)), form=_text(_FORM), **borrowed, spec=rebuilding, upstream=_text(above),
        workload=_text(workload_version),
    )  # fmt: skip


def digest(ref: Ref, metadata: Metadata, spec: Mapping[str, Any], identity: str) -> str:
    """10 hex characters over everything a user wrote, labels included: equal digests mean nothing changed at all."""
    return digest_of(ref, metadata, _text(spec), identity)


def digest_of(ref: Ref, metadata: Metadata, whole: str, identity: str) -> str:
    """``digest`` of a spec whose text is known."""
    written = metadata.model_dump(mode="json", exclude_defaults=True)
    return _hash_of(
        form=_text(_FORM), identity=_text(identity), metadata=_text(written), ref=_text(str(ref)), spec=whole
    )


def with_data(digest: str, data: str) -> str:
    """``digest`` of what reads ``data`` at the commit: what these files hold is asked for like the rest. Itself where
    nothing is."""
    return short_hash([digest, data]) if data else digest


def _text(value: Any) -> str:
    return canonical(value).decode()


def _hash_of(**texts: str) -> str:
    """``short_hash`` of an object whose fields are canonical JSON already, given in alphabetical order."""
    text = ",".join(f'"{key}":{value}' for key, value in texts.items())
    return text_hash(f"{{{text}}}")


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
