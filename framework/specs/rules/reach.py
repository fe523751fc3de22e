"""Which files of its folder the code of a resource comes to: what it imports, and what it may read beside that.

Everything else may change without a table or a model being made anew. Where only running would show what is read, more
counts rather than less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from framework.ports import Blob
from framework.specs.rules.meaning import Meaning
from framework.specs.rules.outline import Import, Outline

_DOCUMENTS = frozenset({".md", ".rst", ".adoc", ".pyi"})
"""Read by people and their tools, unless a module names them."""


def candidates(module: str) -> tuple[str, str]:
    """The files that a module may be."""
    path = module.replace(".", "/")
    return f"{path}.py", f"{path}/__init__.py"


def parent_inits(folder: str) -> list[str]:
    """``__init__.py`` of every package above ``folder``, outermost first."""
    parts = folder.split("/")
    return ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts))]


def targets(item: Import, file: str) -> list[str]:
    """Modules that an import in ``file`` may mean. What it names in a module may be one itself."""
    package = file.split("/")[:-1]
    base = package[: len(package) - item.level + 1] if item.level else []
    target = ".".join([*base, *filter(None, item.module.split("."))])
    return [target, *(f"{target}.{name}" for name in item.names)] if target else []


class Reach:
    """``files`` are those of a folder and of the packages above it, by path; ``outline`` reads one."""

    def __init__(self, files: Mapping[str, Blob], outline: Callable[[Blob], Outline]) -> None:
        self._files, self._outline = files, outline
        self._read: dict[str, Meaning | None] = {}
        """What each module that was come by means."""

    def names(self, modules: Iterable[str]) -> dict[str, str]:
        """What each file that ``modules`` come to is named by, in order of paths."""
        self._follow(modules)
        found = {path: meaning.digest if meaning else self._files[path].sha for path, meaning in self._read.items()}
        found |= {
            path: blob.sha for path, blob in self._files.items() if not path.endswith(".py") and self._reads(path)
        }
        return dict(sorted(found.items()))

    def _follow(self, modules: Iterable[str]) -> None:
        pending = [path for name in modules for path in self._with_packages(name)]
        while pending:
            path = pending.pop()
            if path in self._read:
                continue
            outline = self._outline(self._files[path])
            meaning = self._read[path] = outline.meaning
            pending += [found for name in _imported(path, outline) for found in self._with_packages(name)]
            if meaning is None or meaning.searches:
                pending += [other for other in self._files if other.endswith(".py")]

    def _with_packages(self, module: str) -> Iterator[str]:
        """The files of a module and of the packages that it lies in, which run first."""
        parts = module.split(".")
        for depth in range(1, len(parts) + 1):
            yield from (path for path in candidates(".".join(parts[:depth])) if path in self._files)

    def _reads(self, path: str) -> bool:
        """Whether a module may read the file: one names it, its folder or how its name ends, or one that lies above it
        looks for files beside itself."""
        file = PurePosixPath(path)
        for module, meaning in self._read.items():
            if meaning is None:
                return True
            if any(_names(text.rpartition("/")[2], file.name) for text in meaning.texts):
                return True
            beside = meaning.looks_beside and file.is_relative_to(PurePosixPath(module).parent)
            if file.suffix not in _DOCUMENTS and (beside or file.parent.name in meaning.texts):
                return True
        return False


def _imported(file: str, outline: Outline) -> Iterator[str]:
    """Modules that a file may import, and texts that may be the name of one."""
    for item in outline.imports:
        yield from targets(item, file)
    if outline.meaning is not None:
        yield from (text for text in outline.meaning.texts if all(map(str.isidentifier, text.split("."))))


def _names(text: str, file: str) -> bool:
    """Whether ``text`` is the name of a file, a pattern that it fits, or a part with which it ends."""
    part = text.startswith((".", "_", "-")) and len(text) > 1
    return text == file or (part and file.endswith(text)) or ("*" in text and fnmatchcase(file, text))
