"""The small examples as their README has them: from a commit to answers, on a real Ray."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_init import git, mlopsctl, rewrite
from tests.unit.scaffold.workflows import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


class Example:
    """A copy of an example in a repository of its own, on free ports."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "examples" / name, folder)
        (folder / ".gitignore").write_text(".mlops/\n__pycache__/\n")
        ports = "ray: {address: embedded, dashboardPort: 0, servePort: 0}"
        rewrite(folder / "mlops_specs/environments/local.yaml", ("ray: {address: embedded}", ports))
        git(folder, "init", "--quiet", "--initial-branch", "main")
        self.commit("first")

    def commit(self, message: str) -> None:
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message", message)

    def mlopsctl(self, *arguments: str, code: int = 0) -> str:
        return mlopsctl(self.folder, *arguments, code=code)

    def rows(self, entrypoint: str) -> list[dict[str, Any]]:
        module, _, function = entrypoint.partition(":")
        sys.path.insert(0, str(self.folder))
        try:
            found: list[dict[str, Any]] = getattr(importlib.import_module(module), function)().collect().to_dicts()
        finally:
            sys.path.remove(str(self.folder))
        return found

    def ask(self, route: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
        found = re.search(r"Endpoints: +(http://\S+)", self.mlopsctl("up"))
        assert found is not None
        body = json.dumps({"instances": rows}, default=str).encode()
        request = urllib.request.Request(f"{found[1]}{route}", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            read: dict[str, Any] = json.loads(answer.read())
        return read


@pytest.fixture
def example(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    monkeypatch.setenv("MLOPS_KEEPER", str(os.getpid()))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    made = Example(request.param, tmp_path / request.param)
    yield made
    print(made.mlopsctl("down"))
    assert "not running" in made.mlopsctl("down")


@pytest.mark.parametrize("example", ["digits"], indirect=True)
def test_digits_are_read(example: Example) -> None:
    example.mlopsctl("reconcile", "--once", "--wait", "--timeout", "4m")
    rows = example.rows("mail.data:digits")[:200]
    answer = example.ask("/digits", rows)
    assert answer["classes"] == list(range(10))
    right = sum(said == row["digit"] for said, row in zip(answer["predictions"], rows, strict=True))
    assert right >= 190
    assert all(abs(sum(each) - 1) < 1e-6 for each in answer["probabilities"])
    assert "confusion" in example.mlopsctl("models", "card", "digit-reader").lower()
    network = json.loads(example.mlopsctl("models", "show", "digit-network", "--output", "json"))
    assert network["artifact"]["format"] == "torch-safetensors"
    assert network["metrics"]["accuracy"]["test"] > 0.93
    assert {gate["passed"] for gate in network["gates"]} == {True}
    assert "digit-network" in example.mlopsctl("models", "diff", "digit-reader", "digit-network")


@pytest.mark.parametrize("example", ["diabetes"], indirect=True)
def test_numbers_and_intervals_are_predicted_watched_and_gated_by_how_sure_they_are(example: Example) -> None:
    example.mlopsctl("reconcile", "--once", "--wait", "--timeout", "4m")
    rows = example.rows("clinic.data:patients")
    numbers = example.ask("/progression", rows)["predictions"]
    errors = [said - row["progression"] for said, row in zip(numbers, rows, strict=True)]
    assert (sum(error**2 for error in errors) / len(errors)) ** 0.5 < 60
    spans = example.ask("/progression-interval", rows)
    assert spans["quantiles"] == [0.1, 0.5, 0.9]
    assert all(low <= middle <= high for low, middle, high in spans["predictions"])
    inside = sum(
        low <= row["progression"] <= high for (low, _, high), row in zip(spans["predictions"], rows, strict=True)
    )
    assert 0.65 < inside / len(rows) < 0.95

    rewrite(example.folder / "mlops_specs/training/progression.yaml", ("alpha: 1.0", "alpha: 100000.0"))
    example.commit("much worse")
    said = example.mlopsctl("reconcile", "--once", "--wait", "--timeout", "4m", code=1)
    assert "rmse against live" in said
    assert "sure by 0.9: at worst +" in said
    assert example.ask("/progression", rows[:1])["predictions"] == pytest.approx(numbers[:1])
