"""A commit that was read and found valid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.kinds import KINDS
from framework.kinds.environment.spec import EnvironmentSpec
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind
from framework.planning.plan.heirs import claims


@dataclass(frozen=True)
class Loaded:
    """``desired`` is in dependency order. Equal digests mean that two commits ask for the same."""

    commit: str
    subject: str
    digest: str
    desired: Mapping[Ref, Desired[Any]]
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)

    @cached_property
    def downstream(self) -> Mapping[Ref, tuple[Ref, ...]]:
        """Who builds on a resource directly."""
        found: dict[Ref, list[Ref]] = {}
        for ref, desired in self.desired.items():
            for upstream in desired.upstream:
                found.setdefault(upstream, []).append(ref)
        return {ref: tuple(below) for ref, below in found.items()}

    def claimed(self, kind: str, value: str) -> Ref | None:
        """Who is to have ``value`` (e.g. a route), of which there is only one."""
        if kind not in self._claims:
            self._claims[kind] = claims(self.desired, KINDS[kind])
        return self._claims[kind].get(value)

    @cached_property
    def _claims(self) -> dict[str, dict[str, Ref]]:
        return {}

    @cached_property
    def order(self) -> Mapping[Ref, int]:
        return {ref: place for place, ref in enumerate(self.desired)}


Read = Callable[[str], Loaded]
"""Reads one commit. Raises SpecError with every problem in it."""

Examine = Callable[[Loaded | None, Loaded], tuple[Problem, ...]]
"""What speaks against a commit that is valid as it reads, compared with what is in force."""


def unexamined(before: Loaded | None, after: Loaded) -> tuple[Problem, ...]:
    return ()


def files_of(desired: Mapping[Ref, Desired[Any]], kinds: Mapping[str, Kind], specs: str) -> frozenset[str]:
    """Files and folders of the project that ``desired`` comes from: the specs, and the code and data that they name."""
    code = {item.code.folder for item in desired.values() if item.code is not None}
    data = {path for item in desired.values() if (reads := kinds[item.ref.kind].data) for path in reads(item.spec)}
    return frozenset({specs, *code, *data})


def same_meaning(one: Desired[Any] | None, other: Desired[Any] | None) -> bool:
    """Whether both ask for the same, whichever commit they are from."""
    if one is None or other is None:
        return one is other
    return (one.digest, one.identity) == (other.digest, other.identity)
