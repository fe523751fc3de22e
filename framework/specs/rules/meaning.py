"""What a Python file does, whatever it looks like, and what it may read beside itself. Read without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

_BESIDE = frozenset(
    {"__file__", "__path__", "__spec__", "__loader__", "getfile", "getsourcefile", "resources", "pkgutil"}
)
_IMPORTERS = frozenset({"import_module", "__import__", "find_spec", "run_module", "run_path"})
_READERS = re.compile(r"open|(read|scan)_\w+")
_NAMES_SOMETHING = re.compile(r"[\w*?.{}\[\]/-]{1,200}")


@dataclass(frozen=True)
class Meaning:
    """``digest``: 40 hex characters, equal for files that differ in comments, docstrings and layout alone. ``texts``:
    string constants that may name a module, a file, or how the names of files end. ``searches``: it imports by names
    that only running would show. ``looks_beside``: it finds files by where it lies, or by such names."""

    digest: str
    texts: frozenset[str]
    searches: bool
    looks_beside: bool


def meaning_of(tree: ast.Module) -> Meaning:
    nodes = list(ast.walk(tree))
    used = frozenset(_used(nodes))
    return Meaning(
        digest=_digest(tree, keep_docstrings="__doc__" in used),
        texts=frozenset(_texts(nodes)),
        searches=any(_called(call) in _IMPORTERS and not _says_what(call) for call in _calls(nodes)),
        looks_beside=bool(used & _BESIDE)
        or any(_READERS.fullmatch(_called(call)) and not _says_what(call) for call in _calls(nodes)),
    )


def _used(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names that are read, of attributes and in imports, too."""
    for node in nodes:
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name
            case ast.Import(names=aliases):
                yield from (part for alias in aliases for part in alias.name.split("."))
            case ast.ImportFrom(module=module, names=aliases):
                yield from (module or "").split(".")
                yield from (alias.name for alias in aliases)


def _texts(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMES_SOMETHING.fullmatch(node.value):
            yield node.value


def _calls(nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
    yield from (node for node in nodes if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _says_what(call: ast.Call) -> bool:
    """Whether what is read stands there. A name that begins with a dot depends on who asks."""
    match call.args:
        case [ast.Constant(value=str(text)), *_]:
            return not text.startswith(".")
    return False


def _digest(tree: ast.Module, *, keep_docstrings: bool) -> str:
    """Of the syntax tree in a form of our own: those of ``ast`` differ between versions of Python."""
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
