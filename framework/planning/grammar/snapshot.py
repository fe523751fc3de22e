"""One environment at one commit, as far as git alone tells: what carries it from reading to the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from framework.api.meta import Ref
from framework.planning.grammar.changes import Desired
from framework.planning.grammar.kind import Kind

EnvironmentT = TypeVar("EnvironmentT", bound=BaseModel)


@dataclass(frozen=True)
class Snapshot(Generic[EnvironmentT]):
    """What was read and found sound. ``desired`` is in dependency order and leaves Environments out; ``environment`` is
    the spec of its own, ``file`` where that stands. ``digest`` is equal for two commits that ask for the same:
    comments, formatting and unrelated files do not count."""

    commit: str
    digest: str
    desired: Mapping[Ref, Desired[Any]]
    environment: EnvironmentT
    subject: str = ""
    """The first line of what the commit says of itself."""
    file: str = ""
    """Empty where no file declares the environment."""

    @cached_property
    def downstream(self) -> Mapping[Ref, tuple[Ref, ...]]:
        """Who builds on a resource directly."""
        found: dict[Ref, list[Ref]] = {}
        for ref, desired in self.desired.items():
            for upstream in desired.upstream:
                found.setdefault(upstream, []).append(ref)
        return {ref: tuple(below) for ref, below in found.items()}

    @cached_property
    def order(self) -> Mapping[Ref, int]:
        return {ref: place for place, ref in enumerate(self.desired)}

    def claimed(self, kind: Kind, value: str) -> Ref | None:
        """Who of ``kind`` is to have ``value`` (e.g. a route), of which there is only one."""
        if kind.name not in self._claims:
            own = [(ref, asked) for ref, asked in self.desired.items() if ref.kind == kind.name]
            self._claims[kind.name] = {
                claim.value: ref for ref, asked in own for claim in kind.claims(asked.spec) if claim.handed_over
            }
        return self._claims[kind.name].get(value)

    @cached_property
    def _claims(self) -> dict[str, dict[str, Ref]]:
        return {}


def same_meaning(one: Desired[Any] | None, other: Desired[Any] | None) -> bool:
    """Whether both ask for the same, whichever commit they are from."""
    if one is None or other is None:
        return one is other
    return (one.digest, one.identity) == (other.digest, other.identity)
