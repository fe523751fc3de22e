"""An Environment's patches, merged into the plain data of specs before these are understood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from framework.api.errors import Problem
from framework.api.meta import Ref
from framework.specs import paths, words
from framework.specs.paths import Path
from framework.specs.positions import Place, Places
from framework.specs.resource import ENVIRONMENT, Draft, Resource


def merge(base: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386): mappings key by key, null removes, anything else replaces. Neither side changes."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


@dataclass(frozen=True)
class _Layer:
    """One patch: where it stands in the Environment, what it says, and the spec that it was merged into."""

    path: Path
    patch: Mapping[str, Any]
    before: Mapping[str, Any]


@dataclass(frozen=True)
class PatchedPlaces:
    """Places of a patched object: what a patch says stands in the Environment's file, the rest where it was written."""

    base: Places
    environment: Places = field(repr=False)
    layers: tuple[_Layer, ...]

    def value(self, path: str | Path) -> Place:
        patched = self._patched(path)
        return self.base.value(path) if patched is None else self.environment.value(patched)

    def key(self, path: str | Path) -> Place:
        patched = self._patched(path, descend=False)
        return self.base.key(path) if patched is None else self.environment.key(patched)

    def _patched(self, path: str | Path, *, descend: bool = True) -> Path | None:
        full = paths.parse(path) if isinstance(path, str) else path
        if full[:1] != ("spec",):
            return None
        found = (_in_patch(layer, full[1:], descend) for layer in reversed(self.layers))
        return next((place for place in found if place is not None), None)


def _in_patch(layer: _Layer, path: Path, descend: bool) -> Path | None:
    """Where ``layer`` says something about ``path`` of the spec: sets it, sets a part of it, or sets it as a whole.
    ``descend`` to the first part that it sets: a mistake of the whole came with the part."""
    patch: Any = layer.patch
    before: Any = layer.before
    walked = layer.path
    for part in path:
        if not isinstance(patch, Mapping):
            return (*layer.path, *path)
        if part not in patch:
            return None if isinstance(before, Mapping) else walked
        patch, before = patch[part], before.get(part) if isinstance(before, Mapping) else None
        walked = (*walked, part)
    while descend and isinstance(patch, Mapping) and patch:
        key = next(iter(patch))
        patch, walked = patch[key], (*walked, key)
    return walked


def apply(
    environment: Resource, drafts: Sequence[Draft], kinds: Iterable[str], declared: frozenset[Ref]
) -> tuple[list[Draft], list[Problem]]:
    """``drafts``, which hold no Environment, with the patches of ``environment`` merged in, and patches that match
    nothing."""
    patched = {draft.ref: draft for draft in drafts}
    problems: list[Problem] = []
    for index, entry in enumerate(environment.raw["spec"].get("patches") or ()):
        target = entry["target"]
        kind, name = target["kind"], target.get("name")
        targets = {ref for ref in declared | patched.keys() if ref.kind == kind and name in {None, ref.name}}
        for ref in targets & patched.keys():
            patched[ref] = _patch(patched[ref], environment, ("spec", "patches", index, "patch"), entry["patch"])
        if not targets or kind == ENVIRONMENT:  # a target that is broken itself is no second mistake
            problems.append(_unmatched(environment, index, kind, name, patched, kinds))
    return [patched[draft.ref] for draft in drafts], problems


def _patch(draft: Draft, environment: Resource, path: Path, patch: Mapping[str, Any]) -> Draft:
    layer = _Layer(path, patch, draft.raw["spec"])
    if isinstance(draft.positions, PatchedPlaces):
        places = replace(draft.positions, layers=(*draft.positions.layers, layer))
    else:
        places = PatchedPlaces(draft.positions, environment.positions, (layer,))
    raw = {**draft.raw, "spec": merge(draft.raw["spec"], patch)}
    return replace(draft, raw=raw, positions=places, base=draft.base or draft)


def _unmatched(
    environment: Resource, index: int, kind: str, name: str | None, drafts: Iterable[Ref], kinds: Iterable[str]
) -> Problem:
    path = f"patches[{index}].target"
    patchable = tuple(known for known in kinds if known != ENVIRONMENT)
    if kind == ENVIRONMENT:
        message = "an Environment is not patched; write the field into it"
        return environment.problem(f"{path}.kind", message, allowed=patchable)
    if kind not in patchable:
        near = words.nearest(kind, patchable)
        return environment.problem(f"{path}.kind", f"unknown kind {kind!r}", allowed=patchable, suggestion=near)
    names = tuple(sorted(ref.name for ref in drafts if ref.kind == kind))
    if name is None:
        return environment.problem(path, f"the patch matches nothing: there is no {kind}")
    return environment.problem(
        f"{path}.name", f"the patch matches nothing: no {kind} is named {name!r}",
        allowed=names, suggestion=words.nearest(name, names),
    )  # fmt: skip
