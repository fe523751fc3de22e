"""What events and conditions are called has one place, so that whoever reads the log misses nothing that is told."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from framework.planning.grammar import reasons

ROOT = Path(__file__).parents[3]
OWN = ROOT / "framework" / "planning" / "grammar" / "reasons.py"
NAMES = {name: value for name, value in vars(reasons).items() if name.isupper() and isinstance(value, str)}
ROLES = {name: value for name, value in vars(reasons).items() if isinstance(value, frozenset)}

# The position of the reason among the arguments of whatever tells, asks or writes one down.
TELLERS = {
    "NewEvent": 0, "Event": 3, "event": 1, "tell": 0, "_tell": 0, "_told": 0, "said": 0, "_failed": 2, "GaveUp": 0,
    "withdraw": 1, "_take_up": 1, "converged": 2, "waiting": 2, "acting": 2, "stalled": 2, "failed": 2,
    "transition": 99, "Reason": 0,
}  # fmt: skip


def made_up(tree: ast.AST) -> Iterator[str]:
    """Reasons that are written out where they are told or looked for."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if called in TELLERS:
            given = [*node.args[TELLERS[called] : TELLERS[called] + 1]]
            given += [item.value for item in node.keywords if item.arg == "reason"]
            yield from (item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str))


@pytest.mark.parametrize("room", ["framework/kinds", "framework/planning", "framework/rollout", "controllers"])
def test_nobody_tells_a_reason_that_is_not_one_of_them(room: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {reason}"
        for path in (ROOT / room).rglob("*.py")
        if path != OWN
        for reason in made_up(ast.parse(path.read_text()))
    }
    assert not found


def test_what_is_made_up_is_found() -> None:
    code = 'NewEvent("Lost", "it is gone"); self.outcome.converged(state, summary, "Fine"); transition(a, reason="Odd")'
    assert list(made_up(ast.parse(code))) == ["Lost", "Fine", "Odd"]


def test_each_has_one_name_and_a_role_is_of_those_that_are_told() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    assert ROLES
    for role, members in ROLES.items():
        assert members <= set(NAMES.values()), role
