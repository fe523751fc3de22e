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

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def ended(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """mlopsctl as a process; it has to end with ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", *arguments], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    return done


def mlopsctl(folder: Path, *arguments: str, code: int = 0) -> str:
    """What it printed on both channels."""
    done = ended(folder, *arguments, code=code)
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


class Parcels:
    """A new project on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "parcels"
        mlopsctl(folder, "init", str(self.folder), "--no-commit")
        local = self.folder / "mlops_specs" / "environments" / "local.yaml"
        rewrite(local, ("dashboardPort: 8265", "dashboardPort: 0"), ("servePort: 8000", "servePort: 0"))
        git(self.folder, "add", ".")
        git(self.folder, "commit", "--quiet", "--message", "first")
        self.runner = Runner(self.folder, folder / "runner")

    def mlopsctl(self, *arguments: str, code: int = 0) -> str:
        return mlopsctl(self.folder, *arguments, code=code)

    def ask(self) -> dict[str, Any]:
        """What the project's endpoint answers to the request of its README."""
        port = json.loads((self.folder / ".mlops" / "ray" / "daemon.json").read_text())["servePort"]
        request = urllib.request.Request(f"http://127.0.0.1:{port}/late", json.dumps(body("README")).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer: dict[str, Any] = json.load(reply)
        return answer


@pytest.fixture(scope="module")
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parcels]:
    """Reconciled by the step of its workflow; the tests go on from where it is. Whatever it starts ends with this
    process at the latest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_KEEPER", str(os.getpid()))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        made = Parcels(tmp_path_factory.mktemp("init"))
        try:
            done = made.runner.run(step("reconcile", "Reconcile"), ENVIRONMENT="local", timeout=240)
            assert done.returncode == 0, done.stderr
            yield made
        finally:
            print(made.mlopsctl("down"))
        assert "not running" in made.mlopsctl("down")


def test_a_new_project_trains_serves_and_answers(parcels: Parcels) -> None:
    runner = parcels.runner
    result = json.loads((runner.temp / "result.json").read_text())
    assert result["outcome"] == "Converged"
    assert len(result["resources"]["ready"]) == 5
    assert '"outcome": "Converged"' in runner.summary

    first = parcels.ask()
    assert 0 < first["predictions"][0] < 1
    assert first["model"].startswith("late-classifier@")

    done = runner.run(step("drift", "Plan against what runs"), ENVIRONMENT="local")
    assert (done.returncode, runner.outputs["drift"]) == (0, "false"), done.stderr + done.stdout

    job = "Running entrypoint for job local_train-late-classifier"
    assert job in parcels.mlopsctl("logs", "TrainingJob/late-classifier")
    written = parcels.mlopsctl("logs", "ModelDeployment/late")
    assert "late-router" in written
    assert f"{first['app']} (stable), replica" in written
    assert "Ray is kept and goes on serving" in parcels.mlopsctl("down", "--keep-ray")
    assert "Ray runs already" in parcels.mlopsctl("up", "--no-controller")
    assert parcels.ask() == first

    place = Path(json.loads((parcels.folder / ".mlops" / "ray" / "daemon.json").read_text())["temp"]).parent
    assert place.is_dir()
    parcels.mlopsctl("down")
    assert not place.exists()
    parcels.folder = parcels.folder.rename(parcels.folder.with_name("renamed"))
    again = parcels.mlopsctl("--quiet", "reconcile", "--once")
    assert "Converged" in again
    assert "SubmitRun" not in again
    assert parcels.ask() == first
    assert "Ray has no log of it any more" in parcels.mlopsctl("logs", "TrainingJob/late-classifier")


def test_a_used_column_goes_only_when_that_is_acknowledged_and_comes_back_without_training(parcels: Parcels) -> None:
    folder = parcels.folder
    specs = folder / "mlops_specs"
    view, job = specs / "features" / "deliveries.yaml", specs / "training" / "late-classifier.yaml"

    column = "    - {name: parcels, dtype: Int64}\n"
    rewrite(view, (column, ""), ("distance_km, parcels, rain_mm", "distance_km, rain_mm"))
    rewrite(job, ("distance_km, parcels, rain_mm", "distance_km, rain_mm"))
    git(folder, "commit", "--quiet", "--all", "--message", "parcels go")
    planned = parcels.mlopsctl("plan", code=1)
    assert "~ FeatureView/deliveries  Breaking" in planned
    assert "because TrainingJob/late-classifier changes" in planned
    refused = parcels.mlopsctl("--quiet", "reconcile", "--once", code=1)
    found = re.search(r'mlops/acknowledge-breaking: "(\w+)"', refused)
    assert found is not None, refused
    assert "SubmitRun" not in refused

    # The live model cannot be asked without the column, so the gate against it is lifted for this commit.
    rewrite(view, ("  name: deliveries\n", f"  name: deliveries\n  annotations: {{{found[0]}}}\n"))
    rewrite(job, ("      - {metric: auc, comparedTo: live, maxDrop: 0.01}\n", ""))
    git(folder, "commit", "--quiet", "--all", "--message", "meant so")
    parcels.mlopsctl("plan", "--out", ".mlops/plan.json", code=2)
    applied = parcels.mlopsctl("--quiet", "apply", ".mlops/plan.json")
    assert "Converged" in applied
    assert "2 SubmitRun" in applied
    assert "is stale" in parcels.mlopsctl("apply", ".mlops/plan.json", code=1)

    git(folder, "revert", "--no-edit", "HEAD", "HEAD~1")
    back = parcels.mlopsctl("--quiet", "reconcile", "--once")
    assert "Converged" in back
    assert "SubmitRun" not in back
    parcels.mlopsctl("plan")
    assert "The log is whole" in parcels.mlopsctl("audit", "verify")
