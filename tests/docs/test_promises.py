"""docs/promises.md: every promise names tests, and every named test exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
NAMED = [
    (number, path, name) for number, _, tests in ROWS for path, name in re.findall(r"`([\w/]+\.py)::(\w+)`", tests)
]


@cache
def defined(path: str) -> set[str]:
    return {node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)}


def test_the_promises_are_numbered_without_a_gap_and_each_has_a_test() -> None:
    numbers = [int(number) for number, _, _ in ROWS]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 12
    assert {int(number) for number, _, _ in NAMED} == set(numbers)


def test_every_named_test_exists() -> None:
    assert [f"{number}: {path}::{name}" for number, path, name in NAMED if name not in defined(path)] == []


def test_every_test_of_a_promise_is_named() -> None:
    named = {name for _, _, name in NAMED}
    for path in sorted((ROOT / "tests" / "controllers").glob("test_promises*.py")):
        tests = {name for name in defined(str(path.relative_to(ROOT))) if name.startswith("test_")}
        assert tests <= named, path.name
