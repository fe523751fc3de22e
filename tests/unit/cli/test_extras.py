"""A package that an extra would bring is named together with the extra."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from controllers.cli import main as entry

PYPROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


@pytest.mark.parametrize(("package", "extra"), sorted(entry.EXTRAS.items()))
def test_the_extra_really_brings_it(package: str, extra: str) -> None:
    named = {re.split(r"[\[><=]", one)[0] for one in PYPROJECT["project"]["optional-dependencies"][extra]}
    assert DISTRIBUTIONS.get(package, package) in named


def run(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def fail(**options: object) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(entry.cli, "main", fail)
    monkeypatch.setattr(sys, "argv", ["mlopsctl", "plan"])
    entry.main()


def test_what_is_missing_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, "deltalake")
    assert left.value.code == 1
    assert capsys.readouterr().err == "error: deltalake is not installed: pip install 'mlopsctl[data]'\n"


def test_anything_else_that_is_missing_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError):
        run(monkeypatch, "framework.nothing")
