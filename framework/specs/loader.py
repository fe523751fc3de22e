"""Files -> drafts -> resources. Every mistake of every object is found before anything is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from framework.api.errors import Problem, SpecError
from framework.api.meta import API_VERSION, Metadata, Ref
from framework.planning.grammar import fingerprint
from framework.planning.grammar.kind import Kind
from framework.ports import Blob, SpecSource
from framework.specs.cache import rows
from framework.specs.cache.lazy import LazyDraft, LazyResource
from framework.specs.cache.rows import LoadedFile
from framework.specs.language import words
from framework.specs.language.explain import Finding, explain
from framework.specs.language.resource import ENVIRONMENT, Draft, Facts, Resource, problem_at, spec_path
from framework.specs.rules import safety
from framework.specs.yaml.paths import Path
from framework.specs.yaml.positions import Document, parse

SUFFIXES = (".yaml", ".yml")
ModelT = TypeVar("ModelT", bound=BaseModel)

_ENVELOPE = ("apiVersion", "kind", "metadata", "spec")
_MAX_TOLD = 200
"""Problems of one file; whoever has more reads the rest after mending these."""
_NOT_EXECUTED = "is part of the language but not executed by this version"
_STALLS = "while it is there, the resource stalls (NotSupported), and what is built from it waits"
_CLOSED = "while it is there, no command works on this environment"
_KIND_LINE = re.compile(r"^kind:\s*['\"]?(\w+)", re.MULTILINE)
_NAME_LINE = re.compile(r"^(?:metadata:\s*\{\s*|\s+)name:\s*['\"]?([-a-z0-9]+)", re.MULTILINE)


def spec_blobs(source: SpecSource, commit: str, folder: str) -> Sequence[Blob]:
    """Every ``*.yaml`` and ``*.yml`` below ``folder``, or the one that it names; names that start with a dot are left
    out.

    Raises:
        SpecError: the folder holds symlinks or submodules, or is another file.
    """
    blobs = source.blobs(commit, folder)
    if any(blob.path == folder for blob in blobs) and not is_spec(folder):
        raise SpecError([Problem(folder, 0, 0, "", "is a file; specs are *.yaml and *.yml in a folder")])
    return [blob for blob in blobs if is_spec(blob.path)]


def is_spec(path: str) -> bool:
    """Whether a file of the spec folder is read: ``*.yaml`` or ``*.yml``, nothing hidden. One whose name ends almost so
    is read, too, and refused: it was meant to be."""
    ends_so = path.rstrip(" .").casefold().endswith(SUFFIXES)
    return ends_so and not any(part.startswith(".") for part in path.split("/"))


def _misnamed(path: str) -> str | None:
    """What is wrong with the name of a spec file."""
    if not path.isprintable():
        return "the name holds characters that cannot be shown; rename the file"
    if not path.endswith(SUFFIXES):
        stem, _, ending = path.rpartition("/")[2].rstrip(" .").rpartition(".")
        return f"is not read under this name; rename it to {stem}.{ending.casefold()}, or take it out of the folder"
    return None


def read_row(blob: Blob, data: bytes, kinds: Mapping[str, Kind]) -> bytes:
    """A file, read and understood as far as it is by itself, as ``rows.decode`` takes it."""
    return rows.encode(load_file(blob, data, kinds), kinds, understand_anew)


def load_file(blob: Blob, data: bytes, kinds: Mapping[str, Kind]) -> LoadedFile:
    """The drafts of one file and everything wrong with its name, its text and its objects' envelopes."""
    if (misnamed := _misnamed(blob.path)) is not None:
        return LoadedFile((), (Problem(blob.path, 0, 0, "", misnamed),), frozenset(_guessed(data)))
    parsed = parse(blob.path, data)
    if not (parsed.documents or parsed.problems or b"#" in data):
        return LoadedFile((), (Problem(blob.path, 0, 0, "", "the file is empty"),), frozenset())
    drafts: list[Draft] = []
    problems = list(parsed.problems)
    declared = {ref for document in parsed.documents if (ref := document.ref) is not None}
    for document in parsed.documents:
        findings, draft = _draft(blob, document, kinds)
        problems += (problem_at(document.positions, finding) for finding in findings)
        if draft is not None:
            drafts.append(draft)
    if parsed.broken:
        declared |= _guessed(data)
    return LoadedFile(tuple(drafts), tuple(problems[:_MAX_TOLD]), frozenset(declared))


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


def understand(draft: Draft, kinds: Mapping[str, Kind]) -> Resource | tuple[Problem, ...]:
    """The typed resource, or everything wrong with its spec. A mistake that a patch made is told at the patch."""
    if not isinstance(draft, LazyDraft):
        return understand_anew(draft, kinds)
    facts = draft.facts if draft.facts is not None else draft.body.facts
    if facts is None:
        return draft.body.problems
    return LazyResource(draft.ref, draft.file, draft.key, facts, lambda: draft)


def understand_anew(draft: Draft, kinds: Mapping[str, Kind]) -> Resource | tuple[Problem, ...]:
    """The same, from its plain data."""
    kind = kinds[draft.ref.kind]
    spec, findings = _understood(kind.spec, draft.raw["spec"], "spec")
    if spec is not None:
        return Resource(
            draft.ref, draft.metadata, spec, draft.file, draft.positions, draft.raw, draft.key,
            _facts(draft, spec, kind), fingerprint.texts(fingerprint.spec_json(spec), kind.categories, kind.renews),
        )  # fmt: skip
    base = draft.base
    secret = {one.path for one in safety.secrets(draft.raw, kind)}
    own = set(_understood(kind.spec, base.raw["spec"], "spec")[1]) if base is not None else set()
    told = (
        problem_at(base.positions if base is not None and finding in own else draft.positions, _hushed(finding, secret))
        for finding in findings
    )
    return (*told, *_secrets(draft, kind))


def _hushed(finding: Finding, secret: Set[Path]) -> Finding:
    """Without the words of whatever check refused a value that holds a secret: most repeat what they refuse."""
    if finding.path not in secret:
        return finding
    message = "is not valid, and is not repeated here: it holds a secret"
    return finding._replace(message=message, suggestion=None, secret=True)


def _facts(draft: Draft, spec: BaseModel, kind: Kind) -> Facts:
    secrets = tuple(_secrets(draft, kind))
    told = {problem.path for problem in secrets}
    exposed = (problem_at(draft.positions, one) for one in safety.exposed(spec, kind))
    return Facts(
        references=kind.references(spec),
        entrypoints=tuple(kind.entrypoints(spec).items()),
        claims=kind.claims(spec),
        warnings=tuple(problem_at(draft.positions, finding, "warning") for finding in _warnings(draft.ref, spec, kind)),
        secrets=(*secrets, *(problem for problem in exposed if problem.path not in told)),
        places=kind.places(spec),
        borrows=kind.borrows(spec),
        data=kind.data(spec),
    )


def _secrets(draft: Draft, kind: Kind) -> Iterator[Problem]:
    """Of the object as its own file has it: what a patch writes stands in the file of its Environment."""
    written = draft.base or draft
    return (problem_at(written.positions, finding) for finding in safety.secrets(written.raw, kind))


def _warnings(ref: Ref, spec: BaseModel, kind: Kind) -> Iterator[Finding]:
    comes_of_it = f"{_NOT_EXECUTED}: {_CLOSED if ref.kind == ENVIRONMENT else _STALLS}"
    yield from (Finding(spec_path(path), comes_of_it) for path in kind.unsupported(spec))
    for found in kind.remarks(spec):
        yield Finding(spec_path(found.path), found.message, found.allowed, found.suggestion)
