"""What a commit holds, asked by the paths of sources. Pure: the listing was read, nothing else is looked at."""

from __future__ import annotations

import glob
import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import takewhile

from framework.api.errors import TerminalError
from framework.ports import SUBMODULE, SYMLINK, Held
from framework.sources.pointers import Pointer

_MOST_LINKS = 40
"""As many as an operating system follows."""


class CommitListing:
    """``held`` is sorted by path; ``targets`` says where links lead, ``pointers`` what data lies elsewhere, by the path
    at which it is to be."""

    def __init__(
        self, held: Sequence[Held] = (), targets: Mapping[str, str] | None = None, pointers: Iterable[Pointer] = ()
    ) -> None:
        self._held, self._targets = held, targets or {}
        self._paths = [item.path for item in held]
        self._at = dict(zip(self._paths, held, strict=True))
        self.pointers = {pointer.path: pointer for pointer in pointers}
        self._notes = frozenset(pointer.by for pointer in self.pointers.values())
        self._submodules = frozenset(item.path for item in held if item.mode == SUBMODULE)

    def __contains__(self, path: str) -> bool:
        return path in self._at

    def followed(self, path: str) -> str:
        """``path`` without the links of the commit that lie on the way before its first wildcard.

        Raises:
            TerminalError: "PathOutsideRoot" where one leads out of the project, "SourceNotInGit" below a submodule.
        """
        parts, done = parts_of(path), list[str]()
        for _ in range(_MOST_LINKS):
            while parts and "/".join([*done, parts[0]]) not in self._targets and not glob.has_magic(parts[0]):
                done.append(parts.pop(0))
            here = "/".join([*done, *parts[:1]])
            if not parts or here not in self._targets:
                found = "/".join([*done, *parts])
                self._ensure_inside(found)
                return found
            target = posixpath.normpath(posixpath.join(*done, self._targets[here]))
            if posixpath.isabs(target) or target.partition("/")[0] == "..":
                told = f"{here} is a symbolic link that leads out of the project, to {self._targets[here]}"
                raise TerminalError("PathOutsideRoot", f"{told}; name that place by a URL such as file:///...")
            parts, done = [*parts_of(target), *parts[1:]], []
        raise TerminalError("PathOutsideRoot", f"{path}: symbolic links lead to one another")

    def _ensure_inside(self, path: str) -> None:
        below = next((part for part in above(path) if part in self._submodules), None)
        if below is not None:
            told = f"{path} lies in {below}, another repository (submodule), whose files no commit of this one holds"
            raise TerminalError("SourceNotInGit", f"{told}; put them into this one, or name them by a URL")

    def named(self, path: str) -> Iterator[tuple[str, Held]]:
        """The files that ``path``, which was followed, names: a file, else those directly in a folder, else those that
        match a pattern, or lie directly in a folder that does. What is hidden is left out, and so are links that lead
        nowhere and notes of where data lies."""
        pattern = parts_of(path)
        if path in self._at:
            candidates: Iterable[Held] = [self._at[path]]
        elif (below := self._below(path)) or not glob.has_magic(path):
            candidates = (item for item in below if posixpath.dirname(item.path) == path)
        else:
            fixed = "/".join(takewhile(lambda part: not glob.has_magic(part), pattern))
            candidates = (item for item in self._below(fixed) if fits(item.path, pattern))
        for item in candidates:
            if item.path not in self._notes and not posixpath.basename(item.path).startswith("."):
                yield from self._file(item)

    def _file(self, item: Held) -> Iterator[tuple[str, Held]]:
        """Of a link the file that it leads to, under the name of the link."""
        if item.mode == SYMLINK:
            found = self._at.get(self.followed(item.path))
            if found is not None:
                yield item.path, found
        elif item.mode != SUBMODULE:
            yield item.path, item

    def pointed(self, path: str) -> Iterator[Pointer]:
        """Those to the file that ``path`` names, to files that match it, and to folders that hold such."""
        pattern = parts_of(path)
        for pointer in self.pointers.values():
            if _leads_to(parts_of(pointer.path), pattern) if pointer.folder else fits(pointer.path, pattern):
                yield pointer

    def covers(self, path: str) -> bool:
        """Whether the commit says what is at ``path``: it holds it, or a link on the way, or a pointer to it."""
        return path in self._at or any(part in self._targets or part in self.pointers for part in above(path))

    def _below(self, folder: str) -> Sequence[Held]:
        if not folder:
            return self._held
        start = bisect_left(self._paths, f"{folder}/")
        return self._held[start : bisect_left(self._paths, f"{folder}0")]  # "0" comes after "/"


def parts_of(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def above(path: str) -> Iterator[str]:
    """``path`` and the folders that it lies in."""
    while path:
        yield path
        path = posixpath.dirname(path)


def fits(path: str, pattern: Sequence[str]) -> bool:
    """Whether a pattern names a file, or the folder that it lies in directly, as :mod:`glob` has it.

    >>> fits("data/2013/a.csv", ["data", "**", "*.csv"]), fits("data/.old/a.csv", ["data", "*", "a.csv"])
    (True, False)
    """
    parts = parts_of(path)
    return not parts[-1].startswith(".") and (_fits(parts, pattern) or _fits(parts[:-1], pattern))


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    first = pattern[0]
    if first == "**":
        deeper = bool(parts) and not parts[0].startswith(".") and _fits(parts[1:], pattern)
        return _fits(parts, pattern[1:]) or deeper
    return bool(parts) and _matches(parts[0], first) and _fits(parts[1:], pattern[1:])


def _matches(name: str, part: str) -> bool:
    if not glob.has_magic(part):
        return name == part
    return fnmatchcase(name, part) and (not name.startswith(".") or part.startswith("."))


def _leads_to(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether files that a pattern names may lie below ``folder``."""
    if not folder:
        return True
    if not pattern:
        return False
    if pattern[0] == "**":
        return True
    return _matches(folder[0], pattern[0]) and _leads_to(folder[1:], pattern[1:])
