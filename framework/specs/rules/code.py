"""The user code that specs name: found, checked without running it, and named by its bytes.

Code travels to the cluster as one folder: that of the package its module lies in. So a module must lie in a package,
and what it imports from its own package tree must lie in that folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from framework.api.errors import Problem, SpecError
from framework.ports import Blob, CodeRef, SpecSource
from framework.specs.language import words
from framework.specs.language.resource import Resource
from framework.specs.rules.outline import Import, Outline, read_outline
from framework.specs.tree import MAX_ARCHIVE_BYTES

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""Git's name of a file without content."""


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


@dataclass(frozen=True)
class Code:
    """The code of one commit. ``outlines`` remembers files by blob SHA. ``sound`` holds the entrypoints of resources
    that were found right, with the paths on which that rests: while their digests are the same, it is."""

    source: SpecSource
    commit: str
    outlines: dict[str, Outline]
    sound: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    _digests: dict[str, str | None] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _unshippable: dict[str, tuple[Problem, ...]] = field(default_factory=dict)

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
        if not problems:
            self.ref(names)
            self.sound[names] = tuple(sorted(self._used))
        return problems

    def look_ahead(self, entrypoints: Iterable[str]) -> None:
        """Read what checking all ``entrypoints`` will need in few steps rather than one by one. Changes no answer."""
        modules = sorted({entrypoint.partition(":")[0] for entrypoint in entrypoints})
        self.ask(path for module in modules for path in _candidates(module))
        blobs = {blob.sha: blob for module in modules if (blob := self.module(module)) is not None}
        folders = {blob.path.rpartition("/")[0] for blob in blobs.values()} - {""}
        self.ask([*folders, *(path for folder in folders for path in parent_inits(folder))])
        unknown = [blob for sha, blob in blobs.items() if sha not in self.outlines]
        if len(unknown) > 1:
            data = self.source.read(unknown)
            self.outlines.update((blob.sha, read_outline(data[blob.sha])) for blob in unknown)

    def module(self, name: str) -> Blob | None:
        """The file of a module: ``a/b.py`` or ``a/b/__init__.py``; None where the commit has neither."""
        for path in _candidates(name):
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
            folders.append(blob.path.split("/")[:-1])
        if not folders:
            return None
        common = []
        for parts in zip(*folders, strict=False):
            if len(set(parts)) > 1:
                break
            common.append(parts[0])
        return "/".join(common)

    def ref(self, entrypoints: Iterable[str]) -> CodeRef | None:
        """The folder at this commit. Its digest is the git tree SHA; where packages above it run code of their own when
        they are imported, theirs counts too."""
        folder = self.folder(entrypoints)
        digest = self.digest(folder) if folder else None
        if not folder or digest is None:
            return None
        above = [self.digest(path) for path in parent_inits(folder)]
        running = [sha for sha in above if sha is not None and sha != EMPTY_BLOB]
        if running:
            digest = hashlib.sha1("\n".join([digest, *running]).encode(), usedforsecurity=False).hexdigest()
        return CodeRef(self.commit, folder, digest)

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
                if not _encodable(blob.path):
                    yield Problem(blob.path, 0, 0, "", "its name is no UTF-8, and an archive cannot hold it")
        weight = self.source.weight(self.commit, folder) if isinstance(self.source, Weighed) else 0
        if weight > MAX_ARCHIVE_BYTES:
            message = f"holds {weight >> 20} MiB; at most {MAX_ARCHIVE_BYTES >> 20} MiB of code travel"
            yield Problem(folder, 0, 0, "", message)

    def modules_near(self, name: str) -> list[str]:
        """Modules of the nearest package above ``name`` that exists, to guess what a misspelt one stands for."""
        parts = name.split(".")
        while parts:
            parts = parts[:-1]
            folder = "/".join(parts)
            if parts and self.digest(folder) is not None:
                try:
                    blobs = self.source.blobs(self.commit, folder)
                except SpecError:
                    return []
                return sorted(filter(None, (_module_name(blob.path) for blob in blobs)))
        return []


def _candidates(module: str) -> tuple[str, str]:
    path = module.replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"


def _module_name(path: str) -> str | None:
    if not path.endswith(".py"):
        return None
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def parent_inits(folder: str) -> list[str]:
    """``__init__.py`` of every package above ``folder``, outermost first."""
    parts = folder.split("/")
    return ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts))]


def check_entrypoints(resource: Resource, entrypoints: Mapping[str, str], code: Code) -> Iterator[Problem]:
    """Modules and attributes that do not exist, files that are no Python, and imports that the archive would lack."""
    blobs: dict[str, Blob] = {}
    for path, entrypoint in entrypoints.items():
        module, _, attribute = entrypoint.partition(":")
        blob = code.module(module)
        if blob is None:
            looked = " or ".join(_candidates(module))
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
    for blob in {blob.path: blob for blob in blobs.values()}.values():
        for item in code.outline(blob).imports:
            outside = _outside(item, blob.path, f"{folder}/", code)
            if outside is not None:
                yield Problem(
                    blob.path, item.line, item.column, "",
                    f"imports {outside}, but only {folder} travels to the cluster for {resource.ref}",
                )  # fmt: skip
    if folder is not None:
        yield from code.unshippable(folder)


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _outside(item: Import, file: str, folder: str, code: Code) -> str | None:
    """The file of the same top-level package that ``item`` imports from outside of ``folder``, if there is one."""
    package = file.split("/")[:-1]
    if item.level:
        base = package[: len(package) - item.level + 1]
        target = ".".join([*base, *filter(None, item.module.split("."))])
    else:
        target = item.module
    if not target or target.split(".")[0] != package[0]:
        return None
    travels = set(parent_inits(folder.rstrip("/")))
    for name in [f"{target}.{name}" for name in item.names] or [target]:
        blob = code.module(name) or code.module(target)
        if blob is not None and not blob.path.startswith(folder) and blob.path not in travels:
            return blob.path
    return None
