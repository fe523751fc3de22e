"""Options before the command hold for every command that knows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from controllers.cli.main import COMMANDS, cli
from controllers.cli.options import Group


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_output_before_the_command_is_that_of_the_command() -> None:
    assert json.loads(run("--output", "json", "version").output) == json.loads(
        run("version", "--output", "json").output
    )


def test_the_option_of_the_command_wins() -> None:
    assert run("--output", "json", "version", "--output", "text").output == run("version").output


def test_text_is_what_every_command_prints_anyway() -> None:
    assert run("--output", "text", "schema", "TrainingJob").exit_code == 0


def test_a_command_without_that_output_says_so() -> None:
    done = run("--output", "json", "down")
    assert done.exit_code == 2
    assert ": down has no --output json" in done.output
    assert re.search(r"those that have it: .*\bstatus\b", done.output.replace("\n", " "))


def test_quiet_before_the_command(tmp_path: Path) -> None:
    specs = tmp_path / "mlops_specs"
    specs.mkdir()
    (specs / "local.yaml").write_text(
        "apiVersion: mlops/v1alpha1\nkind: Environment\nmetadata: {name: local}\nspec: {}\n"
    )
    assert run("--project", str(tmp_path), "validate").output != ""
    done = run("--quiet", "--project", str(tmp_path), "validate")
    assert (done.exit_code, done.output) == (0, "")


def test_a_command_that_cannot_be_quiet_says_so() -> None:
    done = run("--quiet", "version")
    assert done.exit_code == 2
    assert ": version has no --quiet" in done.output


def test_help_of_any_command_is_shown_whatever_was_asked_before() -> None:
    for name in COMMANDS:
        assert run("--output", "json", "--quiet", name, "--help").exit_code == 0, name


def test_groups_hand_them_down() -> None:
    @click.group(cls=Group)
    @click.option("--output", type=click.Choice(["text", "json"]))
    @click.option("--quiet", is_flag=True)
    def top(output: str | None, quiet: bool) -> None: ...

    @top.group(cls=Group)
    def inner() -> None: ...

    @inner.command()
    @click.option("--output", type=click.Choice(["text", "json"]), default="text")
    def knows(output: str) -> None:
        click.echo(output)

    @inner.command()
    def ignores() -> None: ...

    invoke = CliRunner().invoke
    assert invoke(top, ["--output", "json", "inner", "knows"]).output == "json\n"
    assert invoke(top, ["inner", "knows"]).output == "text\n"
    assert ": inner ignores has no --output json" in invoke(top, ["--output", "json", "inner", "ignores"]).output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_output_of_a_command_is_text_or_json_at_least(name: str) -> None:
    """What is asked for before the command must mean the same after it."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    for option in command.params:
        if option.name == "output" and isinstance(option.type, click.Choice):
            assert {"text", "json"} <= set(option.type.choices)
            assert option.default == "text"
        if option.name == "quiet":
            assert isinstance(option, click.Option)
            assert option.is_flag


def names() -> list[str]:
    """Of every command, those of groups included; the empty one is mlopsctl itself."""
    top, found = click.Context(cli), [""]
    for name in COMMANDS:
        command = cli.get_command(top, name)
        found += [name, *(f"{name} {part}" for part in getattr(command, "commands", ()))]
    return found


@pytest.mark.parametrize("width", [40, 80, 110])
@pytest.mark.parametrize("name", names())
def test_no_line_of_help_is_longer_than_the_terminal(name: str, width: int) -> None:
    done = CliRunner().invoke(cli, [*name.split(), "--help"], prog_name="mlopsctl", terminal_width=width)
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if len(line.rstrip()) > width] == []
