"""docs/getting-started.md and the README of a new project say what is true of the project that mlopsctl init makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from controllers.scaffold import project
from framework.kinds import KINDS

ROOT = Path(__file__).parents[2]
PROJECT = project("parcels", "1.2.3", KINDS)
PAGES = {
    "getting-started": (ROOT / "docs" / "getting-started.md").read_text(),
    "README": PROJECT["README.md"],
}
EACH = pytest.mark.parametrize("page", PAGES)


def commands(page: str) -> list[str]:
    """Indented lines, with those that go on in the next one; comments cut off."""
    text = re.sub(r"-d '\{.*?\}'", "-d BODY", PAGES[page], flags=re.DOTALL)
    lines = re.findall(r"^ {4}(\S.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return [re.sub(r"\s{2,}#.*", "", line).strip() for line in lines]


def body(page: str) -> dict[str, list[dict[str, object]]]:
    """What curl sends."""
    (found,) = re.findall(r"-d '(\{.*?\})'", PAGES[page], flags=re.DOTALL)
    sent: dict[str, list[dict[str, object]]] = json.loads(re.sub(r"\s*\n\s*", " ", found))
    return sent


def trainer(page: str) -> dict[str, object]:
    """The trainer that the reader is told to write."""
    (line,) = re.findall(r"^ *(lightgbm: \{.*\})$", PAGES[page], flags=re.MULTILINE)
    found: dict[str, object] = yaml.safe_load(line)
    return found


class Walk:
    """The commands of a page, as the reader would type them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        roles = [f"GIT_{role}_{part}" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")]
        identity = dict.fromkeys(roles, "t@example.com")
        mlopsctl = f'"{sys.executable}" -m controllers.cli.main'
        return subprocess.run(
            ["bash", "-c", re.sub(r"^mlopsctl\b", mlopsctl, command)], cwd=self.folder, capture_output=True, text=True,
            env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "PYTHONPATH": str(ROOT)}, check=False,
        )  # fmt: skip


@pytest.mark.slow
@EACH
def test_what_does_not_start_ray_works_as_written(page: str, tmp_path: Path) -> None:
    walk = Walk(tmp_path)
    assert walk.run("mlopsctl init parcels").returncode == 0
    walk.folder = tmp_path / "parcels"
    spec = walk.folder / "mlops_specs" / "training" / "late-classifier.yaml"
    tried = []
    for command in commands(page):
        if command.startswith("git commit"):
            written = yaml.safe_load(spec.read_text())
            written["spec"]["trainer"] = trainer(page)
            spec.write_text(yaml.safe_dump(written, sort_keys=False))
        if re.match(r"mlopsctl (validate|plan)$|git ", command):
            done = walk.run(command)
            tried.append(command)
            assert done.returncode == (2 if command == "mlopsctl plan" else 0), (command, done.stdout, done.stderr)
        if command == "mlopsctl plan" and "git commit" in " ".join(tried):
            base = walk.run("mlopsctl plan --base HEAD^1")
            assert re.search(r"TrainingJob/late-classifier +Retrain", base.stdout), base.stdout
            assert "FeatureView/" not in base.stdout
    assert {"mlopsctl validate", "mlopsctl plan", "git revert --no-edit HEAD"} <= set(tried)
    assert sum(command.startswith("git commit") for command in tried) == 1


@EACH
def test_commands_exist_with_their_options(page: str) -> None:
    import click

    from controllers.cli.main import COMMANDS, cli

    top = click.Context(cli)
    for command in commands(page):
        words = command.split()
        if words[0] != "mlopsctl":
            continue
        assert words[1] in COMMANDS, command
        found = cli.get_command(top, words[1])
        assert found is not None
        found.make_context(words[1], words[2:], parent=top, resilient_parsing=False)


@EACH
def test_the_request_has_the_fields_of_the_data(page: str) -> None:
    (instance,) = body(page)["instances"]
    header = set(PROJECT["data/deliveries.csv"].partition("\n")[0].split(","))
    assert set(instance) == header - {"minutes_late"} | {"mean_delay_24h"}


@EACH
def test_the_pages_of_the_project_that_they_name_exist(page: str) -> None:
    folders = "mlops_specs|tools|features|training|deployments|monitoring|environments"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", PAGES[page])
    assert named
    for path in named:
        assert path in PROJECT or f"mlops_specs/{path}" in PROJECT or any(one.startswith(path) for one in PROJECT), path


def test_the_table_lists_every_spec() -> None:
    listed = re.findall(r"^\| `([\w/-]+\.yaml)`", PAGES["getting-started"], flags=re.MULTILINE)
    assert {f"mlops_specs/{path}" for path in listed} == {path for path in PROJECT if path.startswith("mlops_specs/")}
