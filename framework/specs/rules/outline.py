"""What a Python file defines and imports, read without running it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from framework.specs.rules.meaning import Meaning, meaning_of
from framework.specs.yaml.positions import MAX_BYTES


@dataclass(frozen=True)
class SyntaxMistake:
    """Why a file is no Python; ``line`` and ``column`` count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True)
class Import:
    """A module that the file imports. ``level`` counts the dots of a relative import."""

    module: str
    level: int
    line: int
    column: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outline:
    """``names`` are those bound at the top level. ``open`` where more may be bound that only running would show."""

    names: frozenset[str]
    imports: tuple[Import, ...] = ()
    open: bool = False
    mistake: SyntaxMistake | None = None
    meaning: Meaning | None = None
    """None where nobody can tell."""


def read_outline(data: bytes) -> Outline:
    """The outline of a Python file; a file that does not parse has a ``mistake`` and no names. Never raises. A file of
    more than ``MAX_BYTES`` comes cut off, so nothing is said about it."""
    if len(data) > MAX_BYTES:
        return Outline(frozenset(), open=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
        return _outline(tree)
    except SyntaxError as error:
        return Outline(frozenset(), mistake=SyntaxMistake(error.lineno or 1, error.offset or 1, error.msg))
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
        return Outline(frozenset(), mistake=SyntaxMistake(1, 1, reason))


def _outline(tree: ast.Module) -> Outline:
    names: set[str] = set()
    stars = False
    for node in _top_level(tree.body):
        if isinstance(node, ast.ImportFrom):
            stars = stars or any(alias.name == "*" for alias in node.names)
        names.update(_bound(node))
    imports = tuple(sorted(_imports(tree), key=lambda item: (item.line, item.column, item.module)))
    return Outline(frozenset(names), imports, stars or "__getattr__" in names, meaning=meaning_of(tree))


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that bind names of the module, those inside ``if``, ``try``, ``with`` and loops included."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for attribute in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(node, attribute, ()))
        for handler in getattr(node, "handlers", ()):
            yield from _top_level(handler.body)


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))
    elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Import):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)


def _imports(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, 0, node.lineno, node.col_offset + 1)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Import(node.module or "", node.level, node.lineno, node.col_offset + 1, names)
