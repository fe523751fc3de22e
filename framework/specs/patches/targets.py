"""What a patch is for: the objects that it names, and what is told where there are none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.specs.language import words
from framework.specs.language.resource import ENVIRONMENT, Draft, Resource
from framework.specs.language.words import MAX_NAMES, Guesses


class Target(NamedTuple):
    """As it is written."""

    kind: str
    name: str | None
    labels: Mapping[str, str]

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Target:
        return cls(written["kind"], written.get("name"), written.get("labels") or {})


class Targets:
    """The objects of one commit that may be patched. ``declared`` names those that nobody could read, too."""

    def __init__(
        self,
        environment: Resource,
        drafts: Sequence[Draft],
        declared: frozenset[Ref],
        kinds: Mapping[str, Any],
    ) -> None:
        self._environment = environment
        self._drafts = {draft.ref: draft for draft in drafts}
        self._of_kind: dict[str, list[Draft]] = defaultdict(list)
        for draft in drafts:
            self._of_kind[draft.ref.kind].append(draft)
        self._broken = declared - self._drafts.keys()
        self._patchable = tuple(kind for kind in kinds if kind != ENVIRONMENT)
        self._guesses = Guesses()
        # What keeps answers for a method of its own refers to itself, and all of a commit stays with it.
        self._names = cache(partial(_names_of, self._of_kind, self._broken))
        self._pairs = cache(partial(_pairs_of, self._of_kind))

    def looked_through(self, target: Target) -> int:
        """How many objects have to be looked at to find those of ``target``."""
        return 1 if target.name is not None else len(self._of_kind[target.kind])

    def of(self, target: Target) -> list[Ref]:
        """All that ``target`` names."""
        if target.name is None:
            some = self._of_kind[target.kind]
        else:
            draft = self._drafts.get(Ref(target.kind, target.name))
            some = [] if draft is None else [draft]
        return [
            draft.ref for draft in some if not target.labels or target.labels.items() <= draft.metadata.labels.items()
        ]

    def unmatched(self, index: int, target: Target) -> Iterator[Problem]:
        """What is wrong with the patch of that number, whose target names nothing. Nothing is where it may name an
        object whose labels nobody could read: that is told already."""
        path, kind = f"patches[{index}].target", target.kind
        problem = self._environment.problem
        if kind == ENVIRONMENT:
            message = "an Environment is not patched; write the field into it"
            yield problem(f"{path}.kind", message, allowed=self._patchable)
        elif self._may_be_broken(target):
            return
        elif kind not in self._patchable:
            near = words.nearest(kind, self._patchable)
            message = f"unknown kind {words.shorten(kind)!r}"
            yield problem(f"{path}.kind", message, allowed=self._patchable, suggestion=near)
        elif not self._of_kind[kind]:
            yield problem(path, f"the patch matches nothing: there is no {kind}")
        elif target.name is not None and target.name not in self._names(kind):
            names = self._names(kind)
            message = f"the patch matches nothing: no {kind} is named {target.name!r}"
            yield problem(f"{path}.name", message, allowed=_few(names), suggestion=self._guesses(target.name, names))
        else:
            yield self._unlabelled(f"{path}.labels", target)

    def _unlabelled(self, path: str, target: Target) -> Problem:
        pairs = self._pairs(target.kind)
        wanted = [_pair(label) for label in target.labels.items()]
        unknown = next((pair for pair in wanted if pair not in pairs), wanted[0])
        who = f"no {target.kind} carries" if target.name is None else f"{target.kind}/{target.name} does not carry"
        near = self._guesses(unknown, [pair for pair in pairs if pair != unknown], cutoff=0.7)
        message = f"the patch matches nothing: {who} {words.shorten(' and '.join(wanted))}"
        return self._environment.problem(path, message, allowed=_few(pairs), suggestion=near)

    def _may_be_broken(self, target: Target) -> bool:
        if target.name is not None:
            return Ref(target.kind, target.name) in self._broken
        return any(ref.kind == target.kind for ref in self._broken)


def _names_of(drafts: Mapping[str, Sequence[Draft]], broken: Collection[Ref], kind: str) -> tuple[str, ...]:
    unread = {ref.name for ref in broken if ref.kind == kind}
    return tuple(sorted({draft.ref.name for draft in drafts.get(kind, ())} | unread))


def _pairs_of(drafts: Mapping[str, Sequence[Draft]], kind: str) -> tuple[str, ...]:
    return tuple(sorted({_pair(label) for draft in drafts.get(kind, ()) for label in draft.metadata.labels.items()}))


def _few(names: tuple[str, ...]) -> tuple[str, ...]:
    return names if len(names) <= MAX_NAMES else ()


def _pair(label: tuple[str, str]) -> str:
    return f"{label[0]}={label[1]}"
