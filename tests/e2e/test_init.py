"""From nothing to an answer: a project of mlopsctl init, reconciled by the step of its own workflow on a real Ray."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_getting_started import body
from tests.unit.scaffold.workflows import ROOT, Runner, step


def mlopsctl(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new project on free ports. Whatever it starts ends with this process at the latest."""
    monkeypatch.setenv("MLOPS_KEEPER", str(os.getpid()))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    made = tmp_path / "parcels"
    mlopsctl(tmp_path, "init", str(made), "--no-commit")
    local = made / "mlops_specs" / "environments" / "local.yaml"
    text = (
        local.read_text().replace("dashboardPort: 8265", "dashboardPort: 0").replace("servePort: 8000", "servePort: 0")
    )
    local.write_text(text)
    for words in (["add", "."], ["commit", "--quiet", "--message", "first"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words], cwd=made, check=True)
    yield made
    print(mlopsctl(made, "down"))
    assert "not running" in mlopsctl(made, "down")


@pytest.mark.ray
@pytest.mark.timeout(170)
def test_a_new_project_trains_serves_and_answers(folder: Path, tmp_path: Path) -> None:
    runner = Runner(folder, tmp_path / "runner")
    done = runner.run(step("reconcile", "Reconcile"), ENVIRONMENT="local", timeout=150)
    assert done.returncode == 0, done.stderr
    result = json.loads((runner.temp / "result.json").read_text())
    assert result["outcome"] == "Converged"
    assert len(result["resources"]["ready"]) == 5
    assert '"outcome": "Converged"' in runner.summary

    port = json.loads((folder / ".mlops" / "ray" / "daemon.json").read_text())["servePort"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/late", json.dumps(body("README")).encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer = json.load(reply)
    assert 0 < answer["predictions"][0] < 1
    assert answer["model"].startswith("late-classifier@")

    done = runner.run(step("drift", "Plan against what runs"), ENVIRONMENT="local")
    assert (done.returncode, runner.outputs["drift"]) == (0, "false"), done.stderr + done.stdout
