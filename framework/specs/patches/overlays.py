"""An Environment's patches, applied to the plain data of specs before these are understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.planning.grammar.kind import Kind
from framework.specs.language.explain import Finding
from framework.specs.language.resource import Draft, Resource, problem_at
from framework.specs.patches import json_patch, strategic
from framework.specs.patches.room import Effort, Room, TooMuchError
from framework.specs.patches.targets import Target, Targets
from framework.specs.patches.traced import Origin, PatchError, Trace, Traced
from framework.specs.yaml import paths
from framework.specs.yaml.paths import Path
from framework.specs.yaml.positions import Position, Positions


@dataclass(frozen=True)
class PatchedPositions:
    """Of a patched object: what a patch says stands in the Environment's file, the rest where it was written."""

    base: Positions
    environment: Positions = field(repr=False)
    trace: Trace = field(repr=False)
    """Of the object's spec."""

    def value(self, path: str | Path) -> Position:
        trace = self._trace(path)
        return self.base.value(path) if trace is None else self._at(trace.place).value(trace.place.path)

    def key(self, path: str | Path) -> Position:
        trace = self._trace(path)
        if trace is None:
            return self.base.key(path)
        origin = trace.origin
        return self._at(origin).key(origin.path) if origin.name is None else self._at(origin).value(origin.name)

    def _trace(self, path: str | Path) -> Trace | None:
        full = paths.parse(path) if isinstance(path, str) else path
        return self.trace.at(full[1:]) if full[:1] == ("spec",) else None

    def _at(self, origin: Origin) -> Positions:
        return self.environment if origin.patched else self.base


def apply(
    environment: Resource, drafts: Sequence[Draft], kinds: Mapping[str, Kind], declared: frozenset[Ref]
) -> tuple[list[Draft], list[Problem]]:
    """``drafts``, which hold no Environment, with the patches of ``environment`` applied in order, and what is wrong
    with the patches. A draft that a patch fails on is left out; all of them are where the patches together are too
    much. ``declared`` names broken objects too."""
    overlay = _Overlay(environment, drafts, kinds, declared)
    try:
        for index, entry in enumerate(environment.raw["spec"].get("patches") or ()):
            overlay.apply(index, entry)
    except TooMuchError as error:
        return [], [*overlay.problems, problem_at(environment.positions, Finding(error.path, error.message))]
    return [overlay.patched[draft.ref] for draft in drafts if draft.ref in overlay.patched], overlay.problems


class _Overlay:
    """Drafts while an Environment's patches are applied to them, one after the other."""

    def __init__(
        self, environment: Resource, drafts: Sequence[Draft], kinds: Mapping[str, Kind], declared: frozenset[Ref]
    ) -> None:
        self.patched = {draft.ref: draft for draft in drafts}
        self.problems: list[Problem] = []
        self._environment, self._kinds = environment, kinds
        self._effort = Effort(len(drafts))
        self._rooms: dict[Ref, Room] = {}
        self._targets = Targets(environment, drafts, declared, kinds)

    def apply(self, index: int, entry: Mapping[str, Any]) -> None:
        """Raises TooMuchError."""
        at: Path = ("spec", "patches", index)
        target = Target.of(entry["target"])
        self._effort.look(self._targets.looked_through(target), (*at, "target"))
        targets = self._targets.of(target)
        failures: dict[tuple[Path, str], list[tuple[Ref, PatchError]]] = defaultdict(list)
        for ref in targets:
            if ref not in self.patched:  # an earlier patch failed on it
                continue
            try:
                self.patched[ref] = self._patched(self.patched[ref], at, entry)
            except TooMuchError:
                raise
            except PatchError as error:
                failures[error.path, error.message].append((ref, error))
                del self.patched[ref]
        self.problems += (_failed(self._environment, failed) for failed in failures.values())
        if not targets:
            self.problems += self._targets.unmatched(index, target)

    def _patched(self, draft: Draft, at: Path, entry: Mapping[str, Any]) -> Draft:
        places = draft.positions
        before, trace = (
            (places.base, places.trace)
            if isinstance(places, PatchedPositions)
            else (places, Trace(Origin(False, ("spec",))))
        )
        spec = Traced(draft.raw["spec"], trace)
        room = self._rooms.get(draft.ref)
        if room is None:
            room = self._rooms[draft.ref] = Room(spec.value, self._effort)
        if entry.get("patch") is not None:
            spec = strategic.merge(spec, entry["patch"], (*at, "patch"), self._kinds[draft.ref.kind].merge_keys, room)
        else:
            spec = json_patch.apply(spec, entry["jsonPatch"], (*at, "jsonPatch"), room)
        places = PatchedPositions(before, self._environment.positions, spec.trace)
        raw, base = {**draft.raw, "spec": spec.value}, draft.base or draft
        return Draft(draft.ref, draft.metadata, raw, draft.file, draft.sha, draft.index, places, base)


def _failed(environment: Resource, failed: Sequence[tuple[Ref, PatchError]]) -> Problem:
    """One problem for all objects that the same part of a patch failed on."""
    ref, error = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    message = f"{error.message} (patching {ref}{more})"
    return problem_at(environment.positions, Finding(error.path, message, error.allowed, error.suggestion))
