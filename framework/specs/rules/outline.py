"""What a Python file defines, imports and means, read without running it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from framework.specs.yaml.positions import MAX_BYTES


@dataclass(frozen=True)
class Mistake:
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
    mistake: Mistake | None = None
    meaning: str | None = None
    """40 hex characters, equal for files that differ in comments, docstrings and form alone. None: nobody can tell."""
    texts: frozenset[str] = frozenset()
    """String constants that may name a module, a file, or how the names of files end."""
    searches: bool = False
    """It imports by names that only running would show."""
    looks_beside: bool = False
    """It finds files by where it lies itself."""


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
        return Outline(frozenset(), mistake=Mistake(error.lineno or 1, error.offset or 1, error.msg))
    except (ValueError, RecursionError, MemoryError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError | MemoryError) else str(error)
        return Outline(frozenset(), mistake=Mistake(1, 1, reason))


def _outline(tree: ast.Module) -> Outline:
    names: set[str] = set()
    stars = False
    for node in _top_level(tree.body):
        if isinstance(node, ast.ImportFrom):
            stars = stars or any(alias.name == "*" for alias in node.names)
        names.update(_bound(node))
    imports = tuple(sorted(_imports(tree), key=lambda item: (item.line, item.column, item.module)))
    used = _used(tree)
    return Outline(
        frozenset(names),
        imports,
        stars or "__getattr__" in names,
        meaning=_meaning(tree, keep_docstrings="__doc__" in used),
        texts=frozenset(_texts(tree)),
        searches=_searches(tree),
        looks_beside=bool(used & _BESIDE) or any(_BESIDE & {*item.module.split("."), *item.names} for item in imports),
    )


_BESIDE = frozenset(
    {"__file__", "__path__", "__spec__", "__loader__", "getfile", "getsourcefile", "resources", "pkgutil"}
)
_IMPORTERS = frozenset({"import_module", "__import__", "find_spec", "run_module", "run_path"})
_NAMES_SOMETHING = re.compile(r"[\w*?.{}\[\]/-]{1,200}")


def _used(tree: ast.AST) -> frozenset[str]:
    """Names and attributes that are read."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return frozenset(found | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)})


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMES_SOMETHING.fullmatch(node.value):
            yield node.value


def _searches(tree: ast.AST) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        (isinstance(call.func, ast.Name) and call.func.id in _IMPORTERS)
        or (isinstance(call.func, ast.Attribute) and call.func.attr in _IMPORTERS)
        for call in calls
        if not (call.args and isinstance(call.args[0], ast.Constant) and not str(call.args[0].value).startswith("."))
    )


def _meaning(tree: ast.Module, *, keep_docstrings: bool) -> str:
    """A digest of the syntax tree in a form of our own: those of ``ast`` differ between versions of Python."""
    words: list[str] = []
    pending: list[object] = [tree]
    while pending:
        item = pending.pop()
        if isinstance(item, ast.AST):
            words.append(f"({type(item).__name__}")
            pending.append(_Word(")"))
            for name in reversed([name for name in item._fields if name not in _OF_FORM]):
                value = getattr(item, name, None)
                if name == "body" and isinstance(item, _DOCUMENTED) and not keep_docstrings:
                    value = _undocumented(value)
                if value is not None and value != []:
                    pending += [value, _Word(f"{name}=")]
        elif isinstance(item, list):
            words.append("[")
            pending += [_Word("]"), *reversed(item)]
        else:
            words.append(item if isinstance(item, _Word) else f"{type(item).__name__} {item!r}")
    return sha1("\n".join(words).encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()


class _Word(str):
    """Of the form itself, and no value that the file holds."""


_OF_FORM = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _undocumented(body: Any) -> Any:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest
    return body


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
