"""docs/git.md and the environment variables that are read say the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_variable_is_documented_and_every_documented_one_is_read() -> None:
    read = set(re.findall(r"\"(MLOPS_[A-Z_]+)\"", (ROOT / "controllers" / "host" / "operator.py").read_text()))
    rows = [line for line in (ROOT / "docs" / "git.md").read_text().splitlines() if line.startswith("| `MLOPS_")]
    documented = {name for row in rows for name in re.findall(r"`(MLOPS_[A-Z_]+)`", row.split("|")[1])}
    assert len(documented) >= 11
    assert documented == read - {"MLOPS_KEEPER"}
