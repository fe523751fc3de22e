"""make test looks for tests where they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_starts_ray_lies_where_make_test_looks_for_it() -> None:
    """To collect all tests for the few that start Ray would take a third of a minute."""
    (found,) = re.findall(r"pytest -q -m ray (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    folders = [ROOT / name for name in found.split()]
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if re.search(r"\bmark\.ray\b", path.read_text())]
    assert marked
    assert [path for path in marked if not any(path.is_relative_to(folder) for folder in folders)] == []
