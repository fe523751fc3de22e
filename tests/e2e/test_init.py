"""From nothing to an answer: a project of mlopsctl init, reconciled by the step of its own workflow on a real Ray."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_getting_started import body
from tests.unit.scaffold.workflows import ROOT, Runner, step


def mlopsctl(folder: Path, *arguments: str, code: int = 0) -> str:
    """What it printed on both channels; it has to end with ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words], cwd=folder, check=True,
        capture_output=True,
    )  # fmt: skip


def rewrite(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new project on free ports. Whatever it starts ends with this process at the latest."""
    monkeypatch.setenv("MLOPS_KEEPER", str(os.getpid()))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    made = tmp_path / "parcels"
    mlopsctl(tmp_path, "init", str(made), "--no-commit")
    local = made / "mlops_specs" / "environments" / "local.yaml"
    rewrite(local, ("dashboardPort: 8265", "dashboardPort: 0"), ("servePort: 8000", "servePort: 0"))
    git(made, "add", ".")
    git(made, "commit", "--quiet", "--message", "first")
    yield made
    print(mlopsctl(made, "down"))
    assert "not running" in mlopsctl(made, "down")


@pytest.mark.ray
@pytest.mark.timeout(280)
def test_a_new_project_trains_serves_and_answers(folder: Path, tmp_path: Path) -> None:
    runner = Runner(folder, tmp_path / "runner")
    done = runner.run(step("reconcile", "Reconcile"), ENVIRONMENT="local", timeout=150)
    assert done.returncode == 0, done.stderr
    result = json.loads((runner.temp / "result.json").read_text())
    assert result["outcome"] == "Converged"
    assert len(result["resources"]["ready"]) == 5
    assert '"outcome": "Converged"' in runner.summary

    first = ask(folder)
    assert 0 < first["predictions"][0] < 1
    assert first["model"].startswith("late-classifier@")

    done = runner.run(step("drift", "Plan against what runs"), ENVIRONMENT="local")
    assert (done.returncode, runner.outputs["drift"]) == (0, "false"), done.stderr + done.stdout

    assert "Running entrypoint for job local_train-late-classifier" in mlopsctl(
        folder, "logs", "TrainingJob/late-classifier"
    )
    written = mlopsctl(folder, "logs", "ModelDeployment/late")
    assert "late-router" in written
    assert f"{first['app']} (stable), replica" in written
    assert "Ray is kept and goes on serving" in mlopsctl(folder, "down", "--keep-ray")
    assert "Ray runs already" in mlopsctl(folder, "up", "--no-controller")
    assert ask(folder) == first

    place = Path(json.loads((folder / ".mlops" / "ray" / "daemon.json").read_text())["temp"]).parent
    assert place.is_dir()
    mlopsctl(folder, "down")
    assert not place.exists()
    moved = folder.rename(folder.with_name("renamed"))
    try:
        again = mlopsctl(moved, "--quiet", "reconcile", "--once")
        assert "Converged" in again
        assert "SubmitRun" not in again
        assert ask(moved) == first
        assert "Ray has no log of it any more" in mlopsctl(moved, "logs", "TrainingJob/late-classifier")
    finally:
        mlopsctl(moved, "down")
        moved.rename(folder)


def ask(folder: Path) -> dict[str, Any]:
    """What the project's endpoint answers to the request of its README."""
    port = json.loads((folder / ".mlops" / "ray" / "daemon.json").read_text())["servePort"]
    request = urllib.request.Request(f"http://127.0.0.1:{port}/late", json.dumps(body("README")).encode())
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer


@pytest.mark.ray
@pytest.mark.timeout(200)
def test_a_used_column_goes_only_when_that_is_acknowledged_and_comes_back_without_training(folder: Path) -> None:
    specs = folder / "mlops_specs"
    view, job = specs / "features" / "deliveries.yaml", specs / "training" / "late-classifier.yaml"
    mlopsctl(folder, "--quiet", "reconcile", "--once")

    column = "    - {name: parcels, dtype: Int64}\n"
    rewrite(view, (column, ""), ("distance_km, parcels, rain_mm", "distance_km, rain_mm"))
    rewrite(job, ("distance_km, parcels, rain_mm", "distance_km, rain_mm"))
    git(folder, "commit", "--quiet", "--all", "--message", "parcels go")
    planned = mlopsctl(folder, "plan", code=1)
    assert "~ FeatureView/deliveries  Breaking" in planned
    assert "because TrainingJob/late-classifier changes" in planned
    refused = mlopsctl(folder, "--quiet", "reconcile", "--once", code=1)
    found = re.search(r'mlops/acknowledge-breaking: "(\w+)"', refused)
    assert found is not None, refused
    assert "SubmitRun" not in refused

    # The live model cannot be asked without the column, so the gate against it is lifted for this commit.
    rewrite(view, ("  name: deliveries\n", f"  name: deliveries\n  annotations: {{{found[0]}}}\n"))
    rewrite(job, ("      - {metric: auc, comparedTo: live, maxDrop: 0.01}\n", ""))
    git(folder, "commit", "--quiet", "--all", "--message", "meant so")
    mlopsctl(folder, "plan", "--out", ".mlops/plan.json", code=2)
    applied = mlopsctl(folder, "--quiet", "apply", ".mlops/plan.json")
    assert "Converged" in applied
    assert "2 SubmitRun" in applied
    assert "is stale" in mlopsctl(folder, "apply", ".mlops/plan.json", code=1)

    git(folder, "revert", "--no-edit", "HEAD", "HEAD~1")
    back = mlopsctl(folder, "--quiet", "reconcile", "--once")
    assert "Converged" in back
    assert "SubmitRun" not in back
    mlopsctl(folder, "plan")
    assert "The log is whole" in mlopsctl(folder, "audit", "verify")
