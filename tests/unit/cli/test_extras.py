"""What is missing is named in one message, with the extra that brings it, from where mlopsctl itself came."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from controllers.cli import main as entry
from framework import installed
from tests.controllers.test_cli import Project

PYPROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())


@pytest.fixture(autouse=True)
def _from_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "origin", lambda: None)


@pytest.mark.parametrize(("package", "extra"), sorted(installed.EXTRAS.items()))
def test_the_extra_really_brings_it(package: str, extra: str) -> None:
    named = {re.split(r"[\[><=]", one)[0] for one in PYPROJECT["project"]["optional-dependencies"][extra]}
    assert installed.DISTRIBUTIONS.get(package, (package,))[0] in named


def test_a_version_is_told_whichever_distribution_brings_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(distribution: str) -> str:
        if distribution != "xgboost":
            raise PackageNotFoundError(distribution)
        return "3.9.9"

    assert installed.version_of("pytest") == pytest.__version__
    monkeypatch.setattr("importlib.metadata.version", version)
    assert installed.version_of("xgboost") == "3.9.9"
    assert installed.version_of("polars") is None


def test_the_whole_is_what_the_extra_for_a_ray_here_holds() -> None:
    (whole,) = PYPROJECT["project"]["optional-dependencies"][installed.WHOLE]
    held = set(whole.partition("[")[2].rstrip("]").split(","))

    assert {installed.EXTRAS[package] for package in (*installed.missing(installed.WHOLE), "ray")} <= held
    assert held == {
        extra
        for extra in installed.EXTRAS.values()
        if extra not in {"mlflow", "onnx", "postgres", "redis", "s3", "sql", "torch"}
    }


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        (["deltalake"], "deltalake is not installed: pip install 'mlopsctl[data]'"),
        (
            ["ray", "polars", "deltalake"],
            "deltalake, polars and ray are not installed: pip install 'mlopsctl[embedded]'",
        ),
        (["psycopg"], "psycopg is not installed: pip install 'mlopsctl[postgres]'"),
        (["onnxmltools"], "onnxmltools is not installed: pip install 'mlopsctl[onnx]'"),
        (["torch", "onnx"], "onnx and torch are not installed: pip install 'mlopsctl[torch]'"),
        (["torch"], "torch is not installed: pip install 'mlopsctl[torch]'"),
        (["s3fs", "psycopg"], "psycopg and s3fs are not installed: pip install 'mlopsctl[postgres,s3]'"),
    ],
)
def test_what_is_missing_is_told_with_its_extra(packages: list[str], told: str) -> None:
    assert installed.advice(packages) == told


def run(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def fail(**options: object) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr(entry.cli, "main", fail)
    monkeypatch.setattr(sys, "argv", ["mlopsctl", "plan"])
    entry.main()


@pytest.mark.parametrize("module", ["deltalake", "deltalake.exceptions"])
def test_an_import_that_fails_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, module)
    assert left.value.code == 1
    assert capsys.readouterr().err == "error: deltalake is not installed: pip install 'mlopsctl[data]'\n"


def test_anything_else_that_is_missing_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError):
        run(monkeypatch, "framework.nothing")


PLAIN = """
import contextlib, io, json, sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from controllers.cli.main import main
told = {}
for command in COMMANDS:
    sys.argv = ["mlopsctl", *command.split()]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as left:
            told[command] = [left.code, out.getvalue(), err.getvalue()]
print(json.dumps(told))
"""
WITHOUT = ("validate", "plan --base HEAD", "status", "events", "history", "lineage", "audit verify", "down", "version")
WITH = {
    "plan": "deltalake, numpy, polars and pyarrow are not installed: pip install 'mlopsctl[data",
    "simulate": "deltalake, numpy, polars and pyarrow are not installed: pip install 'mlopsctl[data",
    "up": "are not installed: pip install 'mlopsctl[embedded",
    "reconcile --once": "are not installed: pip install 'mlopsctl[embedded",
}


@pytest.mark.slow
def test_a_plain_installation_says_what_it_lacks_and_does_the_rest(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    head = f"BLOCKED = {[*installed.EXTRAS]!r}\nCOMMANDS = {[*WITHOUT, *WITH]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", head + PLAIN], cwd=project.root, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)

    assert {command: told[command][0] for command in WITHOUT} == dict.fromkeys(WITHOUT, 0)
    for command, words in WITH.items():
        code, _, error = told[command]
        assert (code, words in error, "Traceback" in error) == (1, True, False), error
        assert len(error.strip().splitlines()) <= 2, error
    assert not project.daemon_runs


@pytest.mark.parametrize(
    ("direct", "found"),
    [
        (None, None),
        ({"url": "file:///src/mlopsctl", "dir_info": {"editable": True}}, "file:///src/mlopsctl"),
        ({"url": "https://example.com/mlopsctl-1.whl", "archive_info": {}}, "https://example.com/mlopsctl-1.whl"),
        ({"url": "https://example.com/m.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
         "git+https://example.com/m.git@abc"),
        ({"url": "https://user:word@example.com/m.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}, None),
        ("no json", None),
        ([], None),
    ],
)  # fmt: skip
def test_where_it_was_installed_from(monkeypatch: pytest.MonkeyPatch, direct: Any, found: str | None) -> None:
    monkeypatch.undo()
    text = direct if isinstance(direct, str) or direct is None else json.dumps(direct)

    class Found:
        def read_text(self, name: str) -> str | None:
            return text if name == "direct_url.json" else None

    monkeypatch.setattr("importlib.metadata.distribution", lambda name: Found())

    assert installed.origin() == found
    if found is not None:
        assert installed.requirement(found) == f"mlopsctl[embedded] @ {found}"
        assert installed.advice(["ray"]).endswith(f"pip install 'mlopsctl[ray] @ {found}'")
