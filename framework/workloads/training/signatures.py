"""Whether a function of the repository can be called as a run will: read, and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from framework.workloads.examining import Mistake


def look(root: str, calls: Mapping[str, tuple[str, Sequence[str]]]) -> Iterator[Mistake]:
    """``calls``: by the path of the spec an entrypoint and what it is called with; of those of which ``root`` has no
    file, or one that is no Python, others tell."""
    for path, (entrypoint, given) in calls.items():
        module, _, name = entrypoint.partition(":")
        for file in (f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"):
            function = _function(Path(root, file), name)
            if function is not None and not _fits(function, len(given)):
                told = f"{file}:{function.lineno} {name}({ast.unparse(function.args)}) cannot be called with"
                yield Mistake(path, f"{told} ({', '.join(given)})", files=(file,))


def _function(file: Path, name: str) -> ast.FunctionDef | None:
    """The function that a file ends up with under that name; None where a decorator may have made another of it."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return named[-1] if named and not named[-1].decorator_list else None


def _fits(function: ast.FunctionDef, given: int) -> bool:
    args = function.args
    known = len(args.posonlyargs) + len(args.args)
    enough = known >= given or args.vararg is not None
    return enough and known - len(args.defaults) <= given and all(one is not None for one in args.kw_defaults)
