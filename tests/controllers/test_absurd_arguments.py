"""Whatever stands on the command line or in the environment: one clear message and an exit code, never a traceback."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from controllers.cli.main import COMMANDS, cli
from controllers.host.background import Background
from framework.api.errors import ConfigurationError
from framework.backends.ray.daemon import EmbeddedRay
from tests.controllers.test_cli import Project
from tests.controllers.test_history_cli import STARTED, Done, call, live

ALWAYS = ("", "9" * 30, "99999999d", "9999-12-31", "\udce9")
ABSURD = (
    " ", "-1", "0", "1e309", "nan", "0.0000001ms", "0001-01-01T00:00+14:00", "a/b/c", "/dev/null", "HEAD", "HEAD~99999",
    "ModelDeployment/delay", "FeatureView/" + "x" * 300, "@{-1}", "main:mlops_specs", "f" * 40, "--", "-", "a" * 5000,
    "{}", "\n", "%s%n", "💥", "\x1b[2J", "no/such/file.yaml",
)  # fmt: skip
"""None of them leads out of the project: some commands write where they are told to."""


def values(name: str) -> list[str]:
    """What is always tried, and a few of the others: not the same for every option."""
    return [*ALWAYS, *random.Random(name).sample(ABSURD, 3)]


VARIABLES = (
    "MLOPS_ENV", "MLOPS_KEEPER", "MLOPS_POLL", "MLOPS_BRANCH", "MLOPS_SOURCE", "MLOPS_SOURCE_FOLDER",
    "MLOPS_ALLOW_FORCE_PUSH", "MLOPS_ALLOWED_SIGNERS", "MLOPS_GIT_USERNAME", "MLOPS_GIT_TOKEN", "MLOPS_GIT_SSH_KEY",
    "MLOPS_GIT_AUTHOR", "MLOPS_WEBHOOK", "MLOPS_WEBHOOK_SECRET", "MLOPS_RAY_TOKEN", "COLUMNS", "LINES", "NO_COLOR",
    "TERM",
)  # fmt: skip
NEEDED = {
    "apply": ["plan.json"],
    "init": ["new"],
    "promote": ["--from", "local", "--to", "prod"],
    "reproduce": ["classifier"],
    "rollback": ["HEAD~1"],
    "train": ["--dry-run"],
    "why": ["FeatureView/departures"],
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("lived") / "project")
    live(project, STARTED)
    call(project, "plan", "--out", str(project.root / "plan.json"))
    return project


@pytest.fixture
def project(lived: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy in which nothing can be started."""
    shutil.copytree(lived.root, tmp_path / "project")
    found = Project.__new__(Project)
    found.root, found.specs = tmp_path / "project", tmp_path / "project" / "mlops_specs"

    def never(*arguments: object) -> Any:
        raise ConfigurationError("nothing is started here")

    monkeypatch.setattr(EmbeddedRay, "start", never)
    monkeypatch.setattr(Background, "start", never)
    monkeypatch.chdir(found.root)
    return found


def places() -> Iterator[tuple[str, click.Parameter]]:
    """(command, what takes a value): every option and argument of every command, and those before the command."""
    top = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        below = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for part, inner in below:
            for param in inner.params:
                if not (isinstance(param, click.Option) and (param.is_flag or param.count)):
                    yield f"{name} {part}".strip(), param
    for param in cli.params:
        if isinstance(param, click.Option) and not param.is_flag and not param.count:
            yield "", param


def told(done: Done) -> None:
    assert done.returncode in {0, 1, 2, 3, 4}, done
    assert "Traceback" not in done.stderr
    if done.returncode == 1:
        assert done.stderr.strip() or done.stdout.strip(), "an error without a word"


PLACES = list(places())


def test_there_is_something_to_try() -> None:
    assert len(PLACES) > 30


@pytest.mark.parametrize(("command", "param"), PLACES, ids=[f"{name} {param.name}" for name, param in PLACES])
def test_an_absurd_value_of_an_option_or_argument_is_told(
    project: Project, command: str, param: click.Parameter
) -> None:
    words = command.split()
    for value in values(f"{command} {param.name}"):
        needed = NEEDED.get(command, [])
        if isinstance(param, click.Argument):
            arguments = [*words, "--", value]
        elif not words:
            arguments = [f"{param.opts[0]}={value}", "status"]
        else:
            arguments = [*words, f"{param.opts[0]}={value}", *needed]
        told(call(project, *arguments))


@pytest.mark.parametrize("name", VARIABLES)
def test_an_absurd_variable_is_told(project: Project, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in values(name):
        monkeypatch.setenv(name, value)
        told(call(project, "status"))
