"""The databases that a view reads: named by its sources, and described by the Environment. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.kinds.environment.spec import EnvironmentSpec
from framework.kinds.feature_view.spec import FeatureViewSpec
from framework.planning.grammar.kind import CrossProblem


def problems(spec: FeatureViewSpec, specs: Mapping[Ref, BaseModel]) -> Iterator[CrossProblem]:
    """Connections that the Environment does not have."""
    asking = {name: source for name, source in spec.sources.items() if source.sql is not None}
    if not asking:
        return
    found = next((specs[ref] for ref in specs if ref.kind == "Environment"), None)
    known = tuple(found.connections) if isinstance(found, EnvironmentSpec) else ()
    for name, source in asking.items():
        wanted = source.connection
        if wanted is None and len(known) != 1:
            told = "which connection? The Environment has several" if known else "the Environment has no connections"
            yield CrossProblem(f'spec.sources["{name}"].sql', told, allowed=known)
        elif wanted is not None and wanted not in known:
            told = f"the Environment has no connection {wanted!r}"
            yield CrossProblem(f'spec.sources["{name}"].connection', told, allowed=known, wanted=wanted)


def resolved(spec: Mapping[str, Any], connections: Mapping[str, Any]) -> dict[str, Any]:
    """A spec as JSON by alias, with what the Environment has of a connection, {name, url, passwordFrom}, in the place
    of its name; without it where there is none of that name."""
    sources = {name: _of_source(source, connections) for name, source in spec["sources"].items()}
    return {**spec, "sources": sources}


def _of_source(source: Mapping[str, Any], connections: Mapping[str, Any]) -> Mapping[str, Any]:
    if not source.get("sql"):
        return source
    name = source.get("connection") or (next(iter(connections)) if len(connections) == 1 else "")
    found = {"name": name, **connections[name]} if name in connections else None
    return {**source, "connection": found}
