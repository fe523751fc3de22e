"""Pinning a field of a spec in one environment, and a look at a commit as an edit of ours would leave it.

One base serves all environments, so a pin is a patch in the Environment's own file: the base and with it every other
environment stay as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from framework.api.meta import Ref
from framework.ports import Blob, SpecSource
from framework.specs.language.resource import ENVIRONMENT
from framework.specs.tree import blob_sha, inside
from framework.specs.yaml.editor import set_value
from framework.specs.yaml.positions import parse


def pin(text: str, environment: str, ref: Ref, path: str, value: str) -> str:
    """``text``, the file of ``Environment/environment``, with the field at ``path`` of the spec of ``ref`` patched to
    ``value``: in the patch that sets it now, where that one is for this resource alone, else in a patch of its own
    behind all others, so that it counts.

    Raises:
        EditError: the file does not hold the Environment, or cannot be edited without changing more.
    """
    patches, keys = _patches(text, environment), path.split(".")
    index = _deciding(patches, ref, keys)
    if index is not None and _pins_alone(patches[index], ref, keys):
        return set_value(text, (ENVIRONMENT, environment), f"spec.patches[{index}].patch.{path}", value)
    patch: Any = value
    for key in reversed(keys):
        patch = {key: patch}
    entry = {"target": {"kind": ref.kind, "name": ref.name}, "patch": patch}
    return set_value(text, (ENVIRONMENT, environment), f"spec.patches[{len(patches)}]", entry)


def _patches(text: str, environment: str) -> Sequence[Any]:
    for document in parse("", text.encode()).documents:
        if document.ref == (ENVIRONMENT, environment):
            return (document.data.get("spec") or {}).get("patches") or ()
    return ()


def _deciding(patches: Sequence[Any], ref: Ref, keys: Sequence[str]) -> int | None:
    """The last patch that may say what stands there."""
    found = [
        index
        for index, entry in enumerate(patches)
        if entry["target"]["kind"] == ref.kind
        and entry["target"].get("name") in {None, ref.name}
        and (_merged(entry, keys) is not None or any(_touches(item, keys) for item in entry.get("jsonPatch") or ()))
    ]
    return found[-1] if found else None


def _pins_alone(entry: Mapping[str, Any], ref: Ref, keys: Sequence[str]) -> bool:
    target = entry["target"]
    return target.get("name") == ref.name and not target.get("labels") and _merged(entry, keys) is not None


def _merged(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """What the merge patch of ``entry`` says there; None where it says nothing."""
    found = entry.get("patch")
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _touches(operation: Mapping[str, Any], keys: Sequence[str]) -> bool:
    above = {f"/{'/'.join(keys[:depth])}" for depth in range(len(keys) + 1)}
    return any(str(operation.get(name) or "/") in above for name in ("path", "from"))


class Edited:
    """A SpecSource in which one file of one commit is another, so that an edit is checked before anybody sees it."""

    def __init__(self, source: SpecSource, commit: str, path: str, data: bytes) -> None:
        self._source, self._commit, self._path, self._data = source, commit, inside(path), data
        self._sha = blob_sha(data)

    def resolve(self, revision: str) -> str:
        return self._source.resolve(revision)

    def blobs(self, commit: str, folder: str) -> Sequence[Blob]:
        return tuple(
            Blob(blob.path, self._sha) if commit == self._commit and blob.path == self._path else blob
            for blob in self._source.blobs(commit, folder)
        )

    def read(self, blobs: Iterable[Blob]) -> Mapping[str, bytes]:
        wanted = list(blobs)
        found = dict(self._source.read(blob for blob in wanted if blob.sha != self._sha))
        return {**found, self._sha: self._data} if any(blob.sha == self._sha for blob in wanted) else found

    def tree_digest(self, commit: str, folder: str) -> str | None:
        digest, path = self._source.tree_digest(commit, folder), inside(folder)
        if commit != self._commit or digest is None:
            return digest
        if path == self._path:
            return self._sha
        if path and not self._path.startswith(f"{path}/"):
            return digest
        return hashlib.sha1(f"{digest}{self._sha}".encode(), usedforsecurity=False).hexdigest()

    def archive(self, commit: str, folder: str) -> bytes:
        return self._source.archive(commit, folder)
