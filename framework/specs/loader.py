"""Files -> drafts -> resources. Every mistake of every object is found before anything is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from framework.api.errors import Problem
from framework.api.meta import API_VERSION, Metadata, Ref
from framework.planning.kind import Kind
from framework.ports import Blob, SpecSource
from framework.specs import words
from framework.specs.explain import Finding, explain
from framework.specs.outline import Outline
from framework.specs.positions import Document, parse
from framework.specs.resource import Draft, Resource, problem_at

SUFFIXES = (".yaml", ".yml")
ModelT = TypeVar("ModelT", bound=BaseModel)

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")
_KIND_LINE = re.compile(r"^kind:\s*['\"]?(\w+)", re.MULTILINE)
_NAME_LINE = re.compile(r"^(?:metadata:\s*\{\s*|\s+)name:\s*['\"]?([-a-z0-9]+)", re.MULTILINE)


@dataclass(frozen=True)
class LoadedFile:
    """Drafts and problems of one file. ``declared`` names every object it seems to hold, broken ones included, so that
    a reference to a broken object is not reported as a second mistake."""

    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    declared: frozenset[Ref]


@dataclass(frozen=True)
class LoadedFolder:
    folder: str
    files: int
    drafts: tuple[Draft, ...]
    problems: tuple[Problem, ...]
    declared: frozenset[Ref]


@dataclass
class ParseCache:
    """What was read already, by path and blob SHA. Its owner keeps it between commits; what a commit no longer holds is
    dropped, so it grows no larger than the specs themselves."""

    files: dict[tuple[str, str], LoadedFile] = field(default_factory=dict)
    resources: dict[tuple[str, str, int], Resource | tuple[Problem, ...]] = field(default_factory=dict)
    outlines: dict[str, Outline] = field(default_factory=dict)

    def retain(self, blobs: set[tuple[str, str]]) -> None:
        self.files = {key: value for key, value in self.files.items() if key in blobs}
        self.resources = {key: value for key, value in self.resources.items() if key[:2] in blobs}


def load_folder(
    source: SpecSource, commit: str, folder: str, kinds: Mapping[str, Kind], cache: ParseCache
) -> LoadedFolder:
    """Read every ``*.yaml`` and ``*.yml`` below ``folder``; names that start with a dot are left out.

    Raises:
        SpecError: the folder holds symlinks or submodules.
    """
    blobs = [blob for blob in source.blobs(commit, folder) if is_spec(blob.path)]
    fresh = [blob for blob in blobs if (blob.path, blob.sha) not in cache.files]
    data = source.read(fresh)
    for blob in fresh:
        cache.files[blob.path, blob.sha] = load_file(blob, data[blob.sha], kinds)
    files = [cache.files[blob.path, blob.sha] for blob in blobs]
    return LoadedFolder(
        folder,
        len(files),
        tuple(draft for file in files for draft in file.drafts),
        tuple(problem for file in files for problem in file.problems),
        frozenset().union(*(file.declared for file in files)),
    )


def is_spec(path: str) -> bool:
    """Whether a file of the spec folder is read: ``*.yaml`` or ``*.yml``, nothing hidden."""
    return path.endswith(SUFFIXES) and not any(part.startswith(".") for part in path.split("/"))


def load_file(blob: Blob, data: bytes, kinds: Mapping[str, Kind]) -> LoadedFile:
    """The drafts of one file and everything wrong with its text and its objects' envelopes."""
    parsed = parse(blob.path, data)
    drafts: list[Draft] = []
    problems = list(parsed.problems)
    declared = {ref for document in parsed.documents if (ref := _declared(document.data)) is not None}
    for document in parsed.documents:
        findings, draft = _draft(blob, document, kinds)
        problems += (problem_at(document.positions, finding) for finding in findings)
        if draft is not None:
            drafts.append(draft)
    if parsed.broken:
        declared |= _guessed(data)
    return LoadedFile(tuple(drafts), tuple(problems), frozenset(declared))


def _declared(data: Any) -> Ref | None:
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("kind"), str)
        or not isinstance(data.get("metadata"), dict)
    ):
        return None
    name = data["metadata"].get("name")
    return Ref(data["kind"], name) if isinstance(name, str) else None


def _guessed(data: bytes) -> set[Ref]:
    """The objects that a text which is no YAML was probably meant to hold."""
    found = set()
    for part in re.split(r"^---", data[: 1 << 20].decode("utf-8", "replace"), flags=re.MULTILINE):
        kind, name = _KIND_LINE.search(part), _NAME_LINE.search(part)
        if kind and name:
            found.add(Ref(kind[1], name[1]))
    return found


def _draft(blob: Blob, document: Document, kinds: Mapping[str, Kind]) -> tuple[list[Finding], Draft | None]:
    data = document.data
    if not isinstance(data, dict):
        return [Finding((), f"expected an object with {', '.join(_ENVELOPE)}, found {words.found(data)}")], None
    findings = [
        Finding((key,), f"unknown key {words.shorten(key)!r}", _ENVELOPE, words.nearest(key, _ENVELOPE), at_key=True)
        for key in data
        if key not in _ENVELOPE
    ]
    misspelt = {finding.suggestion for finding in findings}
    findings += (Finding((key,), "is missing") for key in _ENVELOPE if key not in data and key not in misspelt)
    findings += _api_version(data) + _kind(data, kinds)
    metadata, wrong = _metadata(data)
    findings += wrong
    if "spec" in data and not isinstance(data["spec"], dict):
        findings.append(Finding(("spec",), f"expected a mapping, found {words.found(data['spec'])}"))
    if not isinstance(data.get("kind"), str) or data["kind"] not in kinds or not isinstance(data.get("spec"), dict):
        return findings, None
    if metadata is None:
        return findings + _understood(kinds[data["kind"]].spec, data["spec"], "spec")[1], None
    ref = Ref(data["kind"], metadata.name)
    return findings, Draft(ref, metadata, data, blob.path, blob.sha, document.positions.index, document.positions)


def _api_version(data: Mapping[str, Any]) -> list[Finding]:
    version = data.get("apiVersion", API_VERSION)
    if version == API_VERSION:
        return []
    return [Finding(("apiVersion",), f"expected {API_VERSION}, found {words.found(version)}", suggestion=API_VERSION)]


def _kind(data: Mapping[str, Any], kinds: Mapping[str, Kind]) -> list[Finding]:
    kind = data.get("kind")
    if "kind" not in data or (isinstance(kind, str) and kind in kinds):
        return []
    if not isinstance(kind, str):
        return [Finding(("kind",), f"expected the name of a kind, found {words.found(kind)}", tuple(kinds))]
    return [Finding(("kind",), f"unknown kind {words.shorten(kind)!r}", tuple(kinds), words.nearest(kind, kinds))]


def _metadata(data: Mapping[str, Any]) -> tuple[Metadata | None, list[Finding]]:
    if "metadata" not in data:
        return None, []
    return _understood(Metadata, data["metadata"], "metadata")


def _understood(model: type[ModelT], value: Any, key: str) -> tuple[ModelT | None, list[Finding]]:
    if not isinstance(value, dict):
        return None, [Finding((key,), f"expected a mapping, found {words.found(value)}")]
    try:
        # Strict, and by way of JSON: "7" is no number, and text is still read as a date where a date is wanted.
        return model.model_validate_json(json.dumps(value), strict=True), []
    except ValidationError as error:
        return None, explain(error, model, value, (key,))


def understand(draft: Draft, kinds: Mapping[str, Kind], cache: ParseCache) -> Resource | tuple[Problem, ...]:
    """The typed resource, or everything wrong with its spec. A mistake that a patch made is told at the patch."""
    key = (draft.file, draft.sha, draft.index)
    if draft.base is None and key in cache.resources:
        return cache.resources[key]
    outcome = _understand(draft, kinds)
    if draft.base is None:
        cache.resources[key] = outcome
    return outcome


def _understand(draft: Draft, kinds: Mapping[str, Kind]) -> Resource | tuple[Problem, ...]:
    model = kinds[draft.ref.kind].spec
    spec, findings = _understood(model, draft.raw["spec"], "spec")
    if spec is not None:
        return Resource(draft.ref, draft.metadata, spec, draft.file, draft.positions, draft.raw)
    base = draft.base
    own = set(_understood(model, base.raw["spec"], "spec")[1]) if base is not None else set()
    return tuple(
        problem_at(base.positions if base is not None and finding in own else draft.positions, finding)
        for finding in findings
    )
