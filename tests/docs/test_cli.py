"""docs/cli.md and the commands themselves say the same."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from controllers.cli.main import COMMANDS, cli

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
TOP = click.Context(cli, info_name="mlopsctl")


def commands() -> Iterator[tuple[str, click.Command]]:
    yield "mlopsctl", cli
    for name in COMMANDS:
        command = cli.get_command(TOP, name)
        assert command is not None
        yield f"mlopsctl {name}", command
        below = command.commands if isinstance(command, click.Group) else {}
        yield from ((f"mlopsctl {name} {part}", item) for part, item in below.items())


def sections() -> dict[str, str]:
    """Text by ``##`` heading."""
    found: dict[str, str] = {}
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        found[heading.strip()] = body
    return found


def section_of(name: str) -> tuple[str, str]:
    """(heading, text) of a command."""
    matching = [heading for heading in sections() if re.match(rf"{name}( [\[A-Z]|$)", heading)]
    assert len(matching) == 1, f"docs/cli.md has {len(matching)} sections on {name!r}"
    return matching[0], sections()[matching[0]]


def options(command: click.Command) -> set[str]:
    context = click.Context(command, parent=TOP)
    shown = (param for param in command.get_params(context) if isinstance(param, click.Option) and not param.hidden)
    return {name for option in shown for name in (*option.opts, *option.secondary_opts)}


ALL = pytest.mark.parametrize(("name", "command"), [pytest.param(*item, id=item[0]) for item in commands()])


def test_every_heading_is_a_command() -> None:
    spoken = {re.split(r" [\[A-Z]", heading)[0] for heading in sections()}
    assert spoken == {name for name, _ in commands()}


def test_every_command_says_what_it_does() -> None:
    assert [name for name, command in commands() if not (command.help or "").strip()] == []


def test_the_overview_lists_every_command_in_the_order_of_help() -> None:
    overview = PAGE.read_text().partition("\n## ")[0]
    assert re.findall(r"^\| \[([a-z]+)\]", overview, flags=re.MULTILINE) == list(COMMANDS)


@ALL
def test_every_option_is_documented_and_every_documented_option_exists(name: str, command: click.Command) -> None:
    _, text = section_of(name)
    documented = {
        word
        for row in re.findall(r"^\| (`-.*?) \|", text, flags=re.MULTILINE)
        for word in re.findall(r"(?<![\w-])(--?[a-z][a-z-]*)", row)
    }
    own = options(command) - ({"-h", "--help"} if name != "mlopsctl" else set())
    assert documented == own | ({"-h"} if name == "mlopsctl" else set())


@ALL
def test_every_argument_stands_in_the_heading(name: str, command: click.Command) -> None:
    context = click.Context(command, parent=TOP)
    arguments = [param.make_metavar(context) for param in command.params if isinstance(param, click.Argument)]
    heading, _ = section_of(name)
    assert heading == " ".join([name, *arguments])


@ALL
def test_every_choice_of_output_is_named(name: str, command: click.Command) -> None:
    _, text = section_of(name)
    for param in command.params:
        if isinstance(param.type, click.Choice):
            for choice in param.type.choices:
                assert f"`{param.opts[0]} {choice}`" in text


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["frobnicate"], 1), (["plan", "--frobnicate"], 1), (["validate", "no/such/file.yaml"], 1)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes_of_the_command_line_itself(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "controllers.cli.main", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(done.stderr) == bool(code)


def test_the_exit_codes_of_the_page_are_those_of_the_code() -> None:
    from controllers.cli import inspect, plan, reconcile, validate
    from controllers.cli.main import EXIT_ERROR

    _, text = section_of("mlopsctl")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    used = {EXIT_ERROR, plan.EXIT_CHANGES, reconcile.EXIT_NOT_CONVERGED, reconcile.EXIT_TIMEOUT, validate.EXIT_INVALID}
    assert documented == {0, 130, *used, *inspect.EXIT_CODES.values()}
