"""An Environment's patches, applied to the plain data of specs before these are understood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.planning.kind import Kind
from framework.specs import json_patch, paths, strategic, words
from framework.specs.explain import Finding
from framework.specs.paths import Path
from framework.specs.positions import Place, Places
from framework.specs.resource import ENVIRONMENT, Draft, Resource, problem_at
from framework.specs.traced import Origin, PatchError, Trace, Traced


@dataclass(frozen=True)
class PatchedPlaces:
    """Places of a patched object: what a patch says stands in the Environment's file, the rest where it was written."""

    base: Places
    environment: Places = field(repr=False)
    trace: Trace = field(repr=False)
    """Of the object's spec."""

    def value(self, path: str | Path) -> Place:
        trace = self._trace(path)
        return self.base.value(path) if trace is None else self._at(trace.place).value(trace.place.path)

    def key(self, path: str | Path) -> Place:
        trace = self._trace(path)
        if trace is None:
            return self.base.key(path)
        origin = trace.origin
        return self._at(origin).key(origin.path) if origin.name is None else self._at(origin).value(origin.name)

    def _trace(self, path: str | Path) -> Trace | None:
        full = paths.parse(path) if isinstance(path, str) else path
        return self.trace.at(full[1:]) if full[:1] == ("spec",) else None

    def _at(self, origin: Origin) -> Places:
        return self.environment if origin.patched else self.base


class _Target(NamedTuple):
    """What a patch is for, as it is written."""

    kind: str
    name: str | None
    labels: Mapping[str, str]

    def takes(self, draft: Draft) -> bool:
        return self.name in {None, draft.ref.name} and self.labels.items() <= draft.metadata.labels.items()

    def may_mean(self, broken: Ref) -> bool:
        """Whether it may be for an object whose labels nobody could read."""
        return broken.kind == self.kind and self.name in {None, broken.name}


def apply(
    environment: Resource, drafts: Sequence[Draft], kinds: Mapping[str, Kind], declared: frozenset[Ref]
) -> tuple[list[Draft], list[Problem]]:
    """``drafts``, which hold no Environment, with the patches of ``environment`` applied in order, and what is wrong
    with the patches. A draft that a patch fails on is left out. ``declared`` names broken objects too."""
    patched = {draft.ref: draft for draft in drafts}
    of_kind: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        of_kind[draft.ref.kind].append(draft)
    broken = declared - patched.keys()
    problems: list[Problem] = []
    for index, entry in enumerate(environment.raw["spec"].get("patches") or ()):
        written = entry["target"]
        target = _Target(written["kind"], written.get("name"), written.get("labels") or {})
        targets = [draft.ref for draft in of_kind[target.kind] if target.takes(draft)]
        failures: dict[tuple[Path, str], list[tuple[Ref, PatchError]]] = defaultdict(list)
        for ref in targets:
            if ref not in patched:  # an earlier patch failed on it
                continue
            try:
                patched[ref] = _patched(patched[ref], environment, ("spec", "patches", index), entry, kinds[ref.kind])
            except PatchError as error:
                failures[error.path, error.message].append((ref, error))
                del patched[ref]
        problems += (_failed(environment, failed) for failed in failures.values())
        # a target that is broken itself is no second mistake
        if target.kind == ENVIRONMENT or not (targets or any(map(target.may_mean, broken))):
            problems.append(_unmatched(environment, index, target, of_kind[target.kind], broken, kinds))
    return [patched[draft.ref] for draft in drafts if draft.ref in patched], problems


def _patched(draft: Draft, environment: Resource, at: Path, entry: Mapping[str, Any], kind: Kind) -> Draft:
    places = draft.positions
    before, trace = (
        (places.base, places.trace) if isinstance(places, PatchedPlaces) else (places, Trace(Origin(False, ("spec",))))
    )
    spec = Traced(draft.raw["spec"], trace)
    if entry.get("patch") is not None:
        spec = strategic.merge(spec, entry["patch"], (*at, "patch"), kind.merge_keys)
    else:
        spec = json_patch.apply(spec, entry["jsonPatch"], (*at, "jsonPatch"))
    places = PatchedPlaces(before, environment.positions, spec.trace)
    return replace(draft, raw={**draft.raw, "spec": spec.value}, positions=places, base=draft.base or draft)


def _failed(environment: Resource, failed: Sequence[tuple[Ref, PatchError]]) -> Problem:
    """One problem for all objects that the same part of a patch failed on."""
    ref, error = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    message = f"{error.message} (patching {ref}{more})"
    return problem_at(environment.positions, Finding(error.path, message, error.allowed, error.suggestion))


def _unmatched(
    environment: Resource,
    index: int,
    target: _Target,
    drafts: Sequence[Draft],
    broken: Iterable[Ref],
    kinds: Iterable[str],
) -> Problem:
    path, kind = f"patches[{index}].target", target.kind
    patchable = tuple(known for known in kinds if known != ENVIRONMENT)
    if kind == ENVIRONMENT:
        message = "an Environment is not patched; write the field into it"
        return environment.problem(f"{path}.kind", message, allowed=patchable)
    if kind not in patchable:
        near = words.nearest(kind, patchable)
        return environment.problem(f"{path}.kind", f"unknown kind {kind!r}", allowed=patchable, suggestion=near)
    if not drafts:
        return environment.problem(path, f"the patch matches nothing: there is no {kind}")
    names = tuple(sorted({draft.ref.name for draft in drafts} | {ref.name for ref in broken if ref.kind == kind}))
    if target.name is not None and target.name not in names:
        return environment.problem(
            f"{path}.name", f"the patch matches nothing: no {kind} is named {target.name!r}",
            allowed=names, suggestion=words.nearest(target.name, names),
        )  # fmt: skip
    pairs = tuple(sorted({_pair(label) for draft in drafts for label in draft.metadata.labels.items()}))
    wanted = [_pair(label) for label in target.labels.items()]
    unknown = next((pair for pair in wanted if pair not in pairs), wanted[0])
    who = f"no {kind} carries" if target.name is None else f"{kind}/{target.name} does not carry"
    return environment.problem(
        f"{path}.labels", f"the patch matches nothing: {who} {' and '.join(wanted)}",
        allowed=pairs, suggestion=words.nearest(unknown, (pair for pair in pairs if pair != unknown), cutoff=0.7),
    )  # fmt: skip


def _pair(label: tuple[str, str]) -> str:
    return f"{label[0]}={label[1]}"
