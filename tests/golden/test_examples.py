"""The plan of each small example."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from controllers.cli.main import cli

Golden = Callable[[str, str], None]
EXAMPLES = Path(__file__).parents[2] / "examples"
NOBODY = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.com", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip


def plan(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    for key, value in {**NOBODY, "XDG_CACHE_HOME": str(tmp_path / "cache"), "COLUMNS": "120"}.items():
        monkeypatch.setenv(key, value)
    folder = tmp_path / name
    specs = folder / "mlops_specs"
    shutil.copytree(EXAMPLES / name / "mlops_specs" / "environments", specs / "environments")

    def git(*words: str) -> None:
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)

    git("init", "--quiet", "--initial-branch", "main")
    git("add", ".")
    git("commit", "--quiet", "--message", "nothing yet")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(EXAMPLES / name, folder, dirs_exist_ok=True, ignore=ignored)
    git("add", ".")
    git("commit", "--quiet", "--message", "the example")

    done = CliRunner().invoke(cli, ["--project", str(folder), "plan", "--base", "HEAD~1", "--head", "HEAD"])
    assert done.exit_code == 2, done.output
    return re.sub(r"\b[0-9a-f]{7}\b", "0000000", done.stdout)  # a README is part of a commit


def test_diabetes(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden("example-diabetes-plan.txt", plan("diabetes", tmp_path, monkeypatch))


def test_digits(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden("example-digits-plan.txt", plan("digits", tmp_path, monkeypatch))


def test_pumps(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden("example-pumps-plan.txt", plan("pumps", tmp_path, monkeypatch))


def test_shop(golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden("example-shop-plan.txt", plan("shop", tmp_path, monkeypatch))
