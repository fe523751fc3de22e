"""An object of a spec file: as it was read, and as it is understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from framework.api.errors import Problem
from framework.api.meta import Metadata, Ref
from framework.specs import paths
from framework.specs.explain import Finding
from framework.specs.positions import Places

ENVIRONMENT = "Environment"
"""The kind that patches the others and is never patched itself."""


@dataclass(frozen=True)
class Draft:
    """An object with a name and a known kind whose spec is still plain data. ``base`` is what it was before patches."""

    ref: Ref
    metadata: Metadata
    raw: Mapping[str, Any]
    file: str
    sha: str
    index: int
    positions: Places
    base: Draft | None = None


@dataclass(frozen=True)
class Resource:
    """An object as its kind understands it. ``raw`` is the plain data it was made of, patches included."""

    ref: Ref
    metadata: Metadata
    spec: BaseModel
    file: str
    positions: Places = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)

    def problem(
        self,
        path: str,
        message: str,
        *,
        allowed: tuple[str, ...] = (),
        suggestion: str | None = None,
        severity: Literal["error", "warning"] = "error",
    ) -> Problem:
        """A mistake at a dotted path of the spec (``dataset.features[0].view``), at its place in the file."""
        inside = paths.parse(path)
        full = inside if inside[:1] in {("spec",), ("metadata",)} else ("spec", *inside)
        return problem_at(self.positions, Finding(full, message, allowed, suggestion), severity)


def problem_at(places: Places, finding: Finding, severity: Literal["error", "warning"] = "error") -> Problem:
    """What was found, at the place where it was written."""
    place = places.key(finding.path) if finding.at_key else places.value(finding.path)
    return Problem(
        place.file,
        place.line,
        place.column,
        paths.render(finding.path),
        finding.message,
        finding.allowed,
        finding.suggestion,
        severity,
    )
