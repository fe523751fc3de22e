"""The user code that specs name: found, checked without running it, and named by what it comes to.

Code travels to the cluster as one folder: that of the package its module lies in. So a module must lie in a package,
and what it imports from its own package tree must lie in that folder. It is named by those of the folder's files that
can matter.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import commonpath, dirname
from typing import NamedTuple, Protocol, runtime_checkable

from framework.api.errors import Problem, SpecError
from framework.ports import Blob, CodeRef, SpecSource
from framework.specs.language import words
from framework.specs.language.resource import Resource
from framework.specs.rules.outline import Import, Outline, read_outline
from framework.specs.rules.reach import Reach, candidates, parent_inits, targets
from framework.specs.tree import MAX_ARCHIVE_BYTES


@runtime_checkable
class ManyDigests(Protocol):
    """A source that tells many digests at the price of one."""

    def tree_digests(self, commit: str, paths: Sequence[str]) -> Mapping[str, str | None]:
        """``tree_digest`` of each path."""
        ...


@runtime_checkable
class Weighed(Protocol):
    """A source that knows how large a folder is without reading it."""

    def weight(self, commit: str, folder: str) -> int:
        """Bytes of all files below it."""
        ...


class Sound(NamedTuple):
    """Entrypoints that were found right, and what they come to. While the digests of ``paths`` are the same, both
    stand."""

    paths: tuple[str, ...]
    ref: CodeRef


@dataclass(frozen=True)
class Code:
    """The code of one commit. ``outlines`` remembers files by blob SHA, ``sound`` the entrypoints of resources."""

    source: SpecSource
    commit: str
    outlines: dict[str, Outline]
    sound: dict[tuple[str, ...], Sound] = field(default_factory=dict)
    _digests: dict[str, str | None] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _unshippable: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    _listed: dict[str, Mapping[str, Blob]] = field(default_factory=dict)
    _reached: dict[tuple[str, ...], Mapping[str, str]] = field(default_factory=dict)

    def digest(self, path: str) -> str | None:
        """The tree or blob SHA of a path of the commit."""
        self._used.add(path)
        if path not in self._digests:
            self._digests[path] = self.source.tree_digest(self.commit, path)
        return self._digests[path]

    def ask(self, paths: Iterable[str]) -> None:
        """Learn the digests of all ``paths`` at once, where the source can."""
        missing = [path for path in dict.fromkeys(paths) if path not in self._digests]
        if len(missing) > 1 and isinstance(self.source, ManyDigests):
            self._digests.update(self.source.tree_digests(self.commit, missing))

    def check(self, resource: Resource) -> list[Problem]:
        """Everything wrong with the code that a resource names. What is right for one is so for all that name it."""
        names = resource.facts.names
        if names in self.sound:
            return []
        self._used.clear()
        problems = list(check_entrypoints(resource, dict(resource.facts.entrypoints), self))
        ref = None if problems else self.ref(names)
        if ref is not None:
            self.sound[names] = Sound(tuple(sorted(self._used)), ref)
        return problems

    def look_ahead(self, entrypoints: Iterable[str]) -> None:
        """Read what checking all ``entrypoints`` will need in few steps rather than one by one. Changes no answer."""
        modules = sorted({entrypoint.partition(":")[0] for entrypoint in entrypoints})
        self.ask(path for module in modules for path in candidates(module))
        blobs = {blob.sha: blob for module in modules if (blob := self.module(module)) is not None}
        folders = {blob.path.rpartition("/")[0] for blob in blobs.values()} - {""}
        self.ask([*folders, *(path for folder in folders for path in parent_inits(folder))])
        unknown = [blob for sha, blob in blobs.items() if sha not in self.outlines]
        if len(unknown) > 1:
            data = self.source.read(unknown)
            self.outlines.update((blob.sha, read_outline(data[blob.sha])) for blob in unknown)

    def module(self, name: str) -> Blob | None:
        """The file of a module: ``a/b.py`` or ``a/b/__init__.py``; None where the commit has neither."""
        for path in candidates(name):
            sha = self.digest(path)
            if sha is not None:
                return Blob(path, sha)
        return None

    def outline(self, blob: Blob) -> Outline:
        if blob.sha not in self.outlines:
            self.outlines[blob.sha] = read_outline(self.source.read([blob])[blob.sha])
        return self.outlines[blob.sha]

    def folder(self, entrypoints: Iterable[str]) -> str | None:
        """The folder that holds the packages of all modules named; None where one does not exist, "" for the root."""
        folders = []
        for entrypoint in entrypoints:
            blob = self.module(entrypoint.partition(":")[0])
            if blob is None:
                return None
            folders.append(dirname(blob.path))
        return commonpath(folders) if folders else None

    def ref(self, entrypoints: Iterable[str]) -> CodeRef | None:
        """The folder at this commit. Its digest names what the modules come to, whatever else changes there."""
        names = tuple(entrypoints)
        folder = self.folder(names)
        if not folder or self.digest(folder) is None:
            return None
        self._used.update(parent_inits(folder))  # which may have been read for other entrypoints
        reached = self.reached(names)
        text = "\n".join((folder, *(f"{path} {name}" for path, name in reached.items())))
        return CodeRef(
            self.commit,
            folder,
            hashlib.sha1(text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest(),
            tuple(reached),
        )

    def reached(self, entrypoints: Sequence[str]) -> Mapping[str, str]:
        """What each file that counts as their code is named by. The packages above the folder run when it is imported,
        so they are read on from, too."""
        names = tuple(entrypoints)
        if names not in self._reached:
            folder = self.folder(names)
            modules = [name.partition(":")[0] for name in names]
            self._reached[names] = Reach(self._files(folder), self.outline).names(modules) if folder else {}
        return self._reached[names]

    def modules_of(self, entrypoints: Sequence[str]) -> Sequence[Blob]:
        """The Python files that count as their code."""
        files = self._files(self.folder(entrypoints) or "")
        return [files[path] for path in self.reached(entrypoints) if path.endswith(".py")]

    def _files(self, folder: str) -> Mapping[str, Blob]:
        """By path. That of the folder names them all."""
        if folder not in self._listed:
            found = [Blob(path, sha) for path in parent_inits(folder) if (sha := self.digest(path)) is not None]
            with contextlib.suppress(SpecError):  # told of as what cannot travel
                found += self.source.blobs(self.commit, folder)
            self._listed[folder] = {blob.path: blob for blob in found}
        return self._listed[folder]

    def unshippable(self, folder: str) -> tuple[Problem, ...]:
        """What of a folder, or of the packages above it, cannot travel to the cluster."""
        if folder not in self._unshippable:
            self._unshippable[folder] = tuple(self._find_unshippable(folder))
        return self._unshippable[folder]

    def _find_unshippable(self, folder: str) -> Iterator[Problem]:
        for path in (folder, *parent_inits(folder)):
            try:
                blobs = self.source.blobs(self.commit, path)
            except SpecError as error:
                yield from error.problems
                continue
            for blob in blobs:
                if blob.path.encode(errors="ignore").decode() != blob.path:
                    yield Problem(blob.path, 0, 0, "", "its name is no UTF-8, and an archive cannot hold it")
        weight = self.source.weight(self.commit, folder) if isinstance(self.source, Weighed) else 0
        if weight > MAX_ARCHIVE_BYTES:
            message = f"holds {weight >> 20} MiB; at most {MAX_ARCHIVE_BYTES >> 20} MiB of code travel"
            yield Problem(folder, 0, 0, "", message)

    def modules_near(self, name: str) -> list[str]:
        """Modules of the nearest package above ``name`` that exists, to guess what a misspelt one stands for."""
        above = (str(folder) for folder in PurePosixPath(*name.split(".")).parents if folder.name)
        folder = next((folder for folder in above if self.digest(folder) is not None), None)
        with contextlib.suppress(SpecError):
            paths = [blob.path for blob in self.source.blobs(self.commit, folder)] if folder else []
            modules = (path.removesuffix(".py").removesuffix("/__init__") for path in paths if path.endswith(".py"))
            return sorted(module.replace("/", ".") for module in modules)
        return []


def check_entrypoints(resource: Resource, entrypoints: Mapping[str, str], code: Code) -> Iterator[Problem]:
    """Modules and attributes that do not exist, files that are no Python, and imports that the archive would lack."""
    blobs: dict[str, Blob] = {}
    for path, entrypoint in entrypoints.items():
        module, _, attribute = entrypoint.partition(":")
        blob = code.module(module)
        if blob is None:
            looked = " or ".join(candidates(module))
            near = words.nearest(module, code.modules_near(module), cutoff=0.8)
            yield resource.problem(
                path, f"no module {module} in the repository (looked for {looked})",
                suggestion=f"{near}:{attribute}" if near else None,
            )  # fmt: skip
            continue
        blobs[path] = blob
        yield from _check_attribute(resource, path, module, attribute, code.outline(blob), blob.path)
    if len(blobs) == len(entrypoints):
        yield from _check_folder(resource, entrypoints, blobs, code)


def _check_attribute(
    resource: Resource, path: str, module: str, attribute: str, outline: Outline, file: str
) -> Iterator[Problem]:
    if outline.mistake is not None:
        mistake = outline.mistake
        message = f"not Python: {mistake.message} ({resource.ref} names this module)"
        yield Problem(file, mistake.line, mistake.column, "", message)
    elif attribute not in outline.names and not outline.open:
        near = words.nearest(attribute, outline.names)
        yield resource.problem(
            path, f"{file} defines no {attribute} at its top level", suggestion=f"{module}:{near}" if near else None
        )


def _check_folder(
    resource: Resource, entrypoints: Mapping[str, str], blobs: Mapping[str, Blob], code: Code
) -> Iterator[Problem]:
    folder = code.folder(entrypoints.values())
    if folder == "":
        path, blob = next(iter(blobs.items()))
        if "/" not in blob.path:
            message = f"{blob.path} lies in no package; move it into a folder, which is what travels to the cluster"
        else:
            message = (
                f"{' and '.join(sorted(set(entrypoints.values())))} share no folder; one folder travels to the cluster"
            )
        yield resource.problem(path, message)
        return
    for file in code.modules_of(tuple(entrypoints.values())):
        for item in code.outline(file).imports:
            outside = _outside(item, file.path, f"{folder}/", code)
            if outside is not None:
                yield Problem(
                    file.path, item.line, item.column, "",
                    f"imports {outside}, but only {folder} travels to the cluster for {resource.ref}",
                )  # fmt: skip
    if folder is not None:
        yield from code.unshippable(folder)


def _outside(item: Import, file: str, folder: str, code: Code) -> str | None:
    """The file of the same top-level package that ``item`` imports from outside of ``folder``, if there is one."""
    target, *named = targets(item, file) or [""]
    if not target or target.split(".")[0] != file.split("/")[0]:
        return None
    travels = set(parent_inits(folder.rstrip("/")))
    for name in named or [target]:
        blob = code.module(name) or code.module(target)
        if blob is not None and not blob.path.startswith(folder) and blob.path not in travels:
            return blob.path
    return None
