"""How a command that failed says so: to people on standard error, and on standard output to programs that asked for
JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from controllers.cli.redaction import aside
from framework.api.credentials import redacted
from framework.api.errors import MlopsError, Problem, SpecError

FORMAT = 1


class RefusedCommand(click.ClickException):
    """A refusal with something to show: ``document`` is what the command would have printed as JSON had it gone on, and
    ``problems`` are told one by one."""

    def __init__(self, message: str, problems: Sequence[str] = (), document: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.problems, self.document = tuple(problems), dict(document or {})

    def format_message(self) -> str:
        return "\n".join([self.message, *(f"  {problem}" for problem in self.problems)])


def tell(error: Exception, arguments: Sequence[str]) -> bool:
    """Say what went wrong, if it is something that a person can do something about; False for a fault of our own.

    Raises:
        OSError: there is nobody to tell.
    """
    told = _told(error)
    if told is None:
        return False
    lines, message, problems, document = told
    for line in lines:
        aside(line)
    if wants_json(arguments):
        from framework.render.canonical import line as json_line

        told_of = [
            {name: redacted(item) if isinstance(item, str) else item for name, item in problem.items()}
            for problem in problems
        ]
        click.echo(
            json_line({"format": FORMAT, **document, "error": {"message": redacted(message), "problems": told_of}})
        )
    return True


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether the last ``--output`` asks for it: parsing the others may be what failed."""
    wanted, before = "", ""
    for argument in arguments:
        if argument == "--":
            break
        if before == "--output":
            wanted = argument
        elif argument.startswith("--output="):
            wanted = argument.removeprefix("--output=")
        before = argument
    return wanted == "json"


_Told = tuple[Sequence[str], str, Sequence[Mapping[str, Any]], Mapping[str, Any]]


def _told(error: Exception) -> _Told | None:
    """(lines for people, message, problems, what else the document holds)."""
    match error:
        case SpecError(problems=problems):
            plural = "s" if len(problems) != 1 else ""
            summary = f"{len(problems)} problem{plural}; nothing was changed."
            return [*map(str, problems), summary], summary, [_problem(item) for item in problems], {}
        case RefusedCommand():
            listed = [{"message": problem} for problem in error.problems]
            return [f"error: {error.format_message()}"], error.message, listed, error.document
        case NoArgsIsHelpError():
            return [error.format_message()], "a command is missing", [], {}
        case click.UsageError():
            return [*_usage(error), f"error: {error.format_message()}"], error.format_message(), [], {}
        case click.ClickException():
            return [f"error: {error.format_message()}"], error.format_message(), [], {}
        case MlopsError():
            return [f"error: {error}"], str(error), [], {}
    return None


def _problem(problem: Problem) -> Mapping[str, Any]:
    return asdict(problem)


def _usage(error: click.UsageError) -> list[str]:
    context = error.ctx
    if context is None:
        return []
    hint = f"Try '{context.command_path} {context.help_option_names[-1]}' for help."
    return [context.get_usage(), hint, ""]
