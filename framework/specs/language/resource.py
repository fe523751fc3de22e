"""An object of a spec file: as it was read, and as it is understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel

from framework.api.errors import Problem
from framework.api.meta import Metadata, Ref
from framework.api.places import Place
from framework.planning.grammar.fingerprint import Texts
from framework.planning.grammar.kind import Borrowed, Claim, Reference
from framework.ports import SourcePath
from framework.specs.language.explain import Finding
from framework.specs.yaml import paths
from framework.specs.yaml.positions import Positions

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
    positions: Positions
    base: Draft | None = None

    @property
    def key(self) -> str:
        """Names what was read: the file, its bytes and the object's place among those of the file."""
        return f"{self.file}\0{self.sha}\0{self.index}"


@dataclass(frozen=True)
class Facts:
    """What an object tells about itself that rules between objects need, so that most of them need no spec.
    ``entrypoints`` are pairs of path and ``module:attribute``; ``warnings`` name what this version does not execute;
    ``secrets`` say where something stands that no spec may hold, though it is understood."""

    references: tuple[Reference, ...]
    entrypoints: tuple[tuple[str, str], ...]
    claims: tuple[Claim, ...]
    warnings: tuple[Problem, ...]
    secrets: tuple[Problem, ...]
    places: tuple[Place, ...]
    borrows: tuple[Borrowed, ...]
    data: tuple[SourcePath, ...] = ()

    @cached_property
    def upstreams(self) -> tuple[Ref, ...]:
        """What it is built from, in the order its spec names it."""
        return tuple(dict.fromkeys(one.ref for one in self.references if not one.informs))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The user code that it names."""
        return tuple(entrypoint for _, entrypoint in self.entrypoints)


@dataclass(frozen=True)
class Resource:
    """An object as its kind understands it. ``raw`` is the plain data it was made of, patches included; equal ``key``
    means that it was made of the same text. ``texts`` is what its fingerprint is made of."""

    ref: Ref
    metadata: Metadata
    spec: BaseModel
    file: str
    positions: Positions = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)
    key: str = field(repr=False)
    facts: Facts = field(repr=False)
    texts: Texts = field(repr=False)

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
        return problem_at(self.positions, Finding(spec_path(path), message, allowed, suggestion), severity)


def patched_key(key: str, environment: Resource) -> str:
    """Names what a draft is once ``environment`` has patched it."""
    return f"{key}\0{environment.key}"


def spec_path(path: str) -> paths.Path:
    """A dotted path of an object; what names neither ``spec`` nor ``metadata`` lies in the spec."""
    inside = paths.parse(path)
    return inside if inside[:1] in {("spec",), ("metadata",)} else ("spec", *inside)


def problem_at(places: Positions, finding: Finding, severity: Literal["error", "warning"] = "error") -> Problem:
    """What was found, at the place where it was written."""
    place = places.key(finding.path) if finding.at_key else places.value(finding.path)
    path = paths.render(finding.path)
    return Problem(*place, path, finding.message, finding.allowed, finding.suggestion, severity, finding.secret)
