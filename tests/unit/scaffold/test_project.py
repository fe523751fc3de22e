"""What a new project consists of."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import ClassVar

import jsonschema  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner

from controllers.cli.main import cli
from controllers.scaffold import SCHEMAS, WORKFLOWS, name_from, package_of, problem_with, project, template
from controllers.scaffold.deliveries import DELIVERIES, HEADER, csv_text
from framework.kinds import KINDS
from framework.specs.yaml.positions import parse

ROOT = Path(__file__).parents[3]
PROJECT = project("late-parcels", "1.2.3", KINDS)
SPECS = {path: text for path, text in PROJECT.items() if path.startswith("mlops_specs/")}


def test_it_has_everything_that_a_project_needs() -> None:
    folders = {str(PurePosixPath(path).parent) for path in SPECS}
    kinds = ("environments", "features", "training", "deployments", "monitoring")
    assert folders == {f"mlops_specs/{folder}" for folder in kinds}
    assert {"README.md", "requirements.txt", ".gitignore", ".editorconfig", "data/deliveries.csv"} <= PROJECT.keys()
    assert {f".github/workflows/{name}.yml" for name in WORKFLOWS} <= PROJECT.keys()
    assert {f"late_parcels/{name}.py" for name in ("__init__", "features", "serving")} <= PROJECT.keys()
    assert {f"{SCHEMAS}/{kind}.json" for kind in KINDS} <= PROJECT.keys()


def test_schemas_are_those_of_mlopsctl_schema(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["schema", "--output-dir", str(tmp_path)])
    assert done.exit_code == 0, done.output
    written = {f"{SCHEMAS}/{path.name}": path.read_text() for path in tmp_path.iterdir()}
    assert written == {path: text for path, text in PROJECT.items() if path.startswith(f"{SCHEMAS}/")}


def test_no_placeholder_is_left() -> None:
    left = {path: re.findall(r"__[A-Z]+__", text) for path, text in PROJECT.items()}
    assert {path: tokens for path, tokens in left.items() if tokens} == {}
    assert not any("dot_" in path or path.startswith("package/") for path in PROJECT)


def test_it_is_pinned_to_the_version_that_made_it() -> None:
    assert "mlopsctl[embedded]==1.2.3\n" in PROJECT["requirements.txt"]


@pytest.mark.parametrize("path", SPECS)
def test_the_first_line_of_each_spec_names_its_schema(path: str) -> None:
    first, _, rest = SPECS[path].partition("\n")
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found is not None
    target = str(PurePosixPath(path).parent / found[1])
    parts: list[str] = []
    for part in PurePosixPath(target).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    schema = json.loads(PROJECT["/".join(parts)])
    (document,) = parse(path, rest.encode()).documents
    assert schema["properties"]["kind"]["const"] == document.data["kind"]
    jsonschema.Draft202012Validator(schema).validate(document.data)


@pytest.mark.parametrize("path", SPECS)
def test_each_spec_teaches(path: str) -> None:
    assert len(re.findall(r"^ *# ", SPECS[path], flags=re.MULTILINE)) >= 3


@pytest.mark.parametrize("path", [path for path in PROJECT if path.endswith(".py")])
def test_code_is_python_that_says_what_it_is_for(path: str) -> None:
    assert ast.get_docstring(ast.parse(PROJECT[path]))


def test_the_same_project_has_the_same_bytes() -> None:
    assert project("late-parcels", "1.2.3", KINDS) == PROJECT


def test_the_data_can_be_learned_from() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text())))
    assert (len(rows), tuple(rows[0])) == (DELIVERIES, HEADER)
    assert len({row["delivery_id"] for row in rows}) == DELIVERIES
    assert [row["accepted"] for row in rows] == sorted(row["accepted"] for row in rows)
    late = [int(row["minutes_late"]) > 15 for row in rows]
    assert 0.2 < sum(late) / len(late) < 0.5
    wet = [flag for row, flag in zip(rows, late, strict=True) if float(row["rain_mm"]) > 3]
    dry = [flag for row, flag in zip(rows, late, strict=True) if float(row["rain_mm"]) == 0]
    assert sum(wet) / len(wet) > 1.3 * sum(dry) / len(dry)
    assert set(Counter(row["district"] for row in rows)) == {"centre", "harbour", "hills", "north", "south"}


def test_every_file_of_the_template_travels_with_the_package() -> None:
    """By the patterns of pyproject.toml, which is what a wheel is made from."""
    package_data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    home = ROOT / "controllers"
    packed = {found for pattern in package_data["controllers"] for found in home.glob(pattern)}
    on_disk = {path for path in (home / "scaffold" / "project").rglob("*") if path.is_file()}
    wanted = {path for path in on_disk if "__pycache__" not in path.parts}
    assert wanted <= packed
    listed = {home / "scaffold" / "project" / path for path in template()}
    assert listed == wanted
    assert Path(str(files("controllers.scaffold"))) == home / "scaffold"


@pytest.mark.slow
def test_a_wheel_makes_the_same_project(tmp_path: Path) -> None:
    if find_spec("setuptools") is None:
        pytest.skip("setuptools, which builds the wheel, is not installed")
    for name in ("controllers", "framework"):
        shutil.copytree(ROOT / name, tmp_path / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / "src")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(tmp_path / "src")], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    show = (
        "import json, controllers.scaffold as scaffold; from framework.kinds import KINDS;"
        "print(json.dumps([scaffold.__file__, scaffold.project('late-parcels', '1.2.3', KINDS)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", show], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    place, found = json.loads(done.stdout)
    assert Path(place).is_relative_to(tmp_path / "site")
    assert found == dict(PROJECT)


def test_its_specs_are_formatted(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["--project", str(written(tmp_path, SPECS)), "fmt", "--check"])
    assert done.exit_code == 0, done.output


def written(folder: Path, texts: Mapping[str, str]) -> Path:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.slow
def test_specs_of_ones_own_take_the_place_of_the_example_beside_its_environments(tmp_path: Path) -> None:
    """Under other names, and with an endpoint more: no environment says a word about those of the example."""

    def own(text: str) -> str:
        names = r"\b(deliveries|courier-delays|late-classifier|late-monitor|late)\b(?!-|\.csv)"
        return re.sub(names, r"our\1", text).replace("comparedTo: live", "comparedTo: live, deployment: ourlate")

    kept = {path: text for path, text in PROJECT.items() if path not in SPECS or "/environments/" in path}
    ours = {path: own(SPECS[path]) for path in SPECS.keys() - kept.keys()}
    another = re.sub(r"\bourlate\b(?!-)", "second", ours["mlops_specs/deployments/late.yaml"])
    folder = written(tmp_path, {**kept, **ours, "mlops_specs/deployments/second.yaml": another})
    done = CliRunner().invoke(cli, ["--project", str(folder), "validate", "--strict"])
    assert done.exit_code == 0, done.output


class Endpoint(BaseHTTPRequestHandler):
    """Answers like one, and remembers what it was asked."""

    asked: ClassVar[list[object]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.extend(body["instances"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"app": "ours-1"}')

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_the_traffic_may_be_rows_of_ones_own(tmp_path: Path) -> None:
    folder = written(tmp_path, {"tools/traffic.py": PROJECT["tools/traffic.py"]})
    rows = [{"machine": "a", "torque": 1.5}, {"machine": "b", "torque": 2.5}]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [sys.executable, "tools/traffic.py", "--rate", "1000", "--seconds", "0.004"]
    gone = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "name rows of your own with --rows FILE" in gone.stderr
    assert gone.returncode == 2
    with HTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        where = ["--url", f"http://127.0.0.1:{server.server_port}/ours", "--rows", "rows.jsonl"]
        done = subprocess.run([*command, *where], cwd=folder, capture_output=True, text=True, check=True)
        server.shutdown()
    assert done.stdout.split() == ["4", "ours-1"]
    assert sorted(Endpoint.asked, key=str) == sorted(rows * 2, key=str)


@pytest.mark.parametrize("name", ["late-parcels", "a", "model-7", "x" * 47])
def test_names_that_are_fine(name: str) -> None:
    assert problem_with(name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "lower-case"),
        ("Late", "lower-case"),
        ("late_parcels", "lower-case"),
        ("-late", "lower-case"),
        ("x" * 48, "at most 47"),
        ("7-seas", "cannot be imported"),
        ("class", "cannot be imported"),
        ("json", "would hide"),
        ("framework", "would hide"),
        ("click", "would hide"),
        ("data", "would hide"),
        ("mlops-specs", "would hide"),
    ],
)
def test_names_that_a_project_cannot_have(name: str, words: str) -> None:
    assert words in (problem_with(name) or "")


def test_names_from_folders() -> None:
    assert name_from("My Parcels (2)") == "my-parcels-2"
    assert name_from("...") == ""
    assert len(name_from("x-" * 40)) <= 47
    assert package_of("my-parcels-2") == "my_parcels_2"
