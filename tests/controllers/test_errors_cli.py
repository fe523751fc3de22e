"""How commands fail: in one form for people, as a document for programs, and without a word too many where nobody can
be told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from controllers.cli.errors import wants_json
from controllers.cli.main import COMMANDS, cli
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import PROD, STARTED, call, live
from tests.world import TRAINING


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("lived") / "project")
    project.commit(prod=PROD)
    live(project, STARTED)
    return project


def failed(project: Project, *arguments: str) -> dict[str, Any]:
    """The document of a command that fails; it is all of standard output, and people are told the same."""
    done = call(project, *arguments)
    assert done.returncode == 1, done
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["format"] == 1
    assert found["error"]["message"]
    assert done.stderr.strip()
    return found


# ------------------------------------------------------------------- for people


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("plan", "--frobnicate"),
        ("events", "--limit", "many"),
        ("why", "nothing"),
        ("why", "FeatureView/nothing"),
        ("rollback", "nowhere", "--yes"),
        ("rollback",),
    ],
)
def test_an_error_begins_with_the_same_word_whoever_found_it(lived: Project, arguments: tuple[str, ...]) -> None:
    done = call(lived, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")] != []
    assert "Error:" not in done.stderr


def test_a_wrong_command_line_shows_how_it_is_used(lived: Project) -> None:
    lines = call(lived, "plan", "--frobnicate").stderr.splitlines()
    assert lines[0].startswith("Usage: ")
    assert lines[1].endswith("plan --help' for help.")
    assert lines[-1].startswith("error: No such option")


def test_without_a_command_there_is_help(lived: Project) -> None:
    done = call(lived, "audit")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Usage: mlopsctl audit")
    assert "error:" not in done.stderr
    assert failed(lived, "--output", "json", "audit")["error"]["message"] == "a command is missing"


# ------------------------------------------------------------------- for programs


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_a_program_of_a_wrong_command_line(lived: Project, name: str) -> None:
    words = [name, "verify"] if name == "audit" else [name]
    assert "--" in failed(lived, *words, "--output", "json", "--frobnicate")["error"]["message"]
    assert failed(lived, "--output", "json", *words, "--frobnicate")["error"]["problems"] == []


def with_json() -> list[str]:
    top = click.Context(cli)
    found = []
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        options = {param.name: param for param in command.params}
        if "output" in options and "json" in getattr(options["output"].type, "choices", ()):
            found.append(name)
    return found


READ_A_COMMIT = [name for name in with_json() if name not in {"init", "validate", "version"}]
NEEDED = {
    "apply": ["plan.json"],
    "forget": ["ModelDeployment/delay", "--yes"],
    "preview": ["--base", "HEAD"],
    "promote": ["--from", "prdo", "--to", "prod"],
    "reproduce": ["classifier"],
    "rollback": ["HEAD~1", "--yes"],
    "simulate": ["--to", "HEAD"],
    "train": ["--dry-run"],
    "why": ["FeatureView/departures"],
}


@pytest.mark.parametrize("name", READ_A_COMMIT)
def test_every_command_tells_a_program_that_there_is_no_such_environment(lived: Project, name: str) -> None:
    (lived.root / "plan.json").write_text("{}")
    found = failed(lived, "--env", "prdo", name, "--output", "json", *NEEDED.get(name, []))["error"]
    told = [found["message"], *(problem["message"] for problem in found["problems"])]
    assert any("prdo" in message or "plan.json" in message or "prod" in message for message in told), told


def test_what_a_command_says_by_its_exit_code_is_said(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    assert call(project, "validate").returncode == 0
    assert call(project, "fmt", "--check").returncode == 1
    project.write(classifier=TRAINING.replace("rounds", "ruonds"))
    assert call(project, "validate").returncode == 1


def test_a_wrong_spec_is_told_with_its_places(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.commit(classifier=TRAINING.replace("rounds", "ruonds"))
    for command in (["plan"], ["plan", "--base", "HEAD"], ["simulate"], ["reconcile", "--once"]):
        (problem,) = failed(project, *command, "--output", "json")["error"]["problems"]
        assert (problem["file"], problem["line"], problem["suggestion"]) == (
            "mlops_specs/classifier.yaml",
            12,
            "rounds",
        )


def test_a_rollback_that_nobody_confirmed_shows_what_it_would_have_done(lived: Project) -> None:
    found = failed(lived, "rollback", "HEAD~1", "--output", "json")
    assert "--yes" in found["error"]["message"]
    assert found["done"] is None
    assert {item["ref"]: item["way"] for item in found["resources"]}["TrainingJob/classifier"] == "Returns"


@pytest.mark.parametrize(
    ("arguments", "json_is_wanted"),
    [
        ("status --output json", True),
        ("--output=json status", True),
        ("--output json status --output text", False),
        ("--output text status --output=json", True),
        ("validate --output sarif", False),
        ("schema --output-dir json", False),
        ("fmt -- --output json", False),
        ("status --output", False),
        ("", False),
    ],
)
def test_the_last_output_counts(arguments: str, json_is_wanted: bool) -> None:
    assert wants_json(arguments.split()) is json_is_wanted


# ------------------------------------------------------------------- nobody to tell


def shell(project: Project, command: str) -> subprocess.CompletedProcess[str]:
    line = f"{sys.executable} -m controllers.cli.main {command}"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["bash", "-c", line],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("command", ["--help", "version", "events", "status --output json", "validate"])
def test_a_full_disk_behind_standard_output_is_told_in_one_line(lived: Project, command: str) -> None:
    done = shell(lived, f"{command} >/dev/full")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if not line.startswith("note: ")] == [
        "error: standard output cannot be written: No space left on device"
    ]
    assert shell(lived, f"{command} >/dev/full 2>&1").returncode == 1


@pytest.mark.parametrize("command", ["version", "events"])
def test_a_closed_standard_output_is_told_and_a_closed_standard_error_is_no_error(lived: Project, command: str) -> None:
    done = shell(lived, f"{command} >&-")
    assert (done.returncode, done.stderr) == (
        1,
        "error: standard output cannot be written: Bad file descriptor\n",
    )
    done = shell(lived, f"{command} 2>&- <&-")
    assert (done.returncode, done.stdout != "") == (0, True)


def test_a_reader_who_goes_away_is_not_spoken_after(lived: Project) -> None:
    assert shell(lived, "schema | head -c 10 >/dev/null").stderr == ""
