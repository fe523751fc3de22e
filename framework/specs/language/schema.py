"""JSON Schema of spec files, for editors: they complete keys, show descriptions and underline mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from framework.api.meta import API_VERSION, Metadata
from framework.planning.grammar.kind import Kind

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def kind_schema(kind: Kind) -> dict[str, Any]:
    """The schema of one whole object of a kind: apiVersion, kind, metadata and spec."""
    objects, definitions = _objects({kind.name: kind})
    return {"$schema": DRAFT, "title": kind.name, **objects[kind.name], "$defs": definitions}


def schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The schema of an object of any kind, as one ``oneOf``."""
    objects, definitions = _objects(kinds)
    return {
        "$schema": DRAFT,
        "title": "mlopsctl specs",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in objects],
        "$defs": {**definitions, **{name: {"title": name, **one} for name, one in objects.items()}},
    }


def text(found: Mapping[str, Any]) -> str:
    """A schema as it is printed and written."""
    return json.dumps(found, indent=2, ensure_ascii=False)


def files(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """What an editor is pointed at, by name: ``all.json``, and one file for each kind, such as ``FeatureView.json``."""
    found = {f"{name}.json": kind_schema(kind) for name, kind in kinds.items()}
    return {name: f"{text(one)}\n" for name, one in {**found, "all.json": schema(kinds)}.items()}


def _objects(kinds: Mapping[str, Kind]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    models = [(Metadata, "validation"), *((kind.spec, "validation") for kind in kinds.values())]
    references, definitions = models_json_schema(models, by_alias=True)  # type: ignore[arg-type]
    objects = {
        name: {
            "type": "object",
            "additionalProperties": False,
            "required": ["apiVersion", "kind", "metadata", "spec"],
            "properties": {
                "apiVersion": {"const": API_VERSION, "description": "The version of the spec language"},
                "kind": {"const": name, "description": "What the object is"},
                "metadata": {**references[Metadata, "validation"], "description": "Who it is"},
                "spec": {**references[kind.spec, "validation"], "description": "What should run"},
            },
        }
        for name, kind in kinds.items()
    }
    return objects, definitions.get("$defs", {})
