"""What import-linter cannot see: clocks and files without an import, size, modules that do not say what they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("api", "drift", "kinds", "planning", "rollout", "ports", "probability.py")
MAX_LINES = 600

_CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
_EFFECTS = {"open", "print", "input", "exec", "eval", "compile", "__import__", "breakpoint"}


def modules(*places: Path) -> list[Path]:
    return sorted(path for place in places for path in ([place] if place.is_file() else place.rglob("*.py")))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


ALL = modules(ROOT / "framework", ROOT / "controllers")
ROOMS = modules(*(ROOT / "framework" / room for room in PURE))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def impure(tree: ast.AST) -> Iterator[str]:
    """Calls that ask the clock or touch the world, as ``line: call``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Attribute(attr=attribute, value=ast.Name(id="datetime" | "date")) if attribute in _CLOCKS:
                yield f"{node.lineno}: {attribute}"
            case ast.Attribute(attr=attribute, value=ast.Attribute(attr="datetime" | "date")) if attribute in _CLOCKS:
                yield f"{node.lineno}: {attribute}"
            case ast.Name(id=name) if name in _EFFECTS:
                yield f"{node.lineno}: {name}"


def type_checking(tree: ast.AST) -> list[int]:
    """Lines that speak of TYPE_CHECKING."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "TYPE_CHECKING")
        or (isinstance(node, ast.Attribute) and node.attr == "TYPE_CHECKING")
    ]


def test_there_are_pure_rooms_to_look_at() -> None:
    assert {path.relative_to(ROOT / "framework").parts[0] for path in ROOMS} == set(PURE)


def test_pure_rooms_ask_no_clock_and_touch_nothing() -> None:
    asked = {name_of(path): list(impure(tree(path))) for path in ROOMS}
    assert {name: calls for name, calls in asked.items() if calls} == {}


def test_no_cycle_is_hidden_behind_type_checking() -> None:
    spoken = {name_of(path): type_checking(tree(path)) for path in ALL}
    assert {name: lines for name, lines in spoken.items() if lines} == {}


def test_modules_stay_small() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in ALL}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [name_of(path) for path in ALL if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "x = date.today()",
        "with open('x') as y: pass",
        "print('x')",
    ],
)
def test_what_is_impure_would_be_noticed(code: str) -> None:
    assert len(list(impure(ast.parse(code)))) == 1


def test_what_only_sounds_impure_is_left_alone() -> None:
    assert list(impure(ast.parse("now = status.now\nwindow.open()\ntimedelta(days=1)"))) == []


def test_type_checking_would_be_noticed() -> None:
    assert type_checking(ast.parse("import typing\nif typing.TYPE_CHECKING:\n    import ray")) == [2]
