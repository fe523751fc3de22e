"""Options before the command, ``--output`` and ``--quiet``: handed down to every command that knows them.

They become defaults, so an option after the command wins; a command that has no such option refuses them rather than
print something else than was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.core import ParameterSource

from framework import installed
from framework.api.nearest import nearest

OUTPUTS = ("text", "json")


class _Formatter(click.HelpFormatter):
    """On a narrow terminal the first column of options leaves half of it to what they mean."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, max(self.width // 2 - col_spacing, 8)), col_spacing)


class _Context(click.Context):
    formatter_class = _Formatter


class Group(click.Group):
    """A group, the top one or one below, whose commands inherit what the top one's ``output`` and ``quiet`` say."""

    context_class = _Context

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            name, command, rest = super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{error.message}{f' Did you mean {close!r}?' if close else ''}", ctx) from None
        if command is not None:
            command.context_class = _Context
        if name is not None and command is not None and not ctx.resilient_parsing:
            inherited = self._inherited(ctx, name, command, set(rest) & set(ctx.help_option_names))
            ctx.default_map = {**(ctx.default_map or {}), name: inherited}
        return name, command, rest

    def _inherited(self, ctx: click.Context, name: str, command: click.Command, asks_help: set[str]) -> dict[str, Any]:
        """Defaults for ``command``. Raises UsageError where it cannot do what was asked."""
        asked = ctx.find_root().params
        output, quiet = asked.get("output"), asked.get("quiet")
        if isinstance(command, click.Group) or asks_help:
            return {}
        found: dict[str, Any] = {}
        if output is not None and output in _outputs(command):
            found["output"] = output
        elif output not in {None, "text"}:  # text is what everything prints anyway
            raise self._lacking(ctx, name, f"--output {output}", lambda other: output in _outputs(other))
        if quiet and _knows_quiet(command):
            found["quiet"] = True
        elif quiet:
            raise self._lacking(ctx, name, "--quiet", _knows_quiet)
        return found

    def _lacking(
        self, ctx: click.Context, name: str, option: str, has: Callable[[click.Command], bool]
    ) -> click.UsageError:
        commands = {other: self.get_command(ctx, other) for other in self.list_commands(ctx)}
        others = [other for other, command in commands.items() if command is not None and has(command)]
        known = f"; those that have it: {', '.join(others)}" if others else ""
        path = f"{ctx.command_path} {name}".removeprefix(ctx.find_root().command_path).strip()
        return click.UsageError(f"{path} has no {option}{known}", ctx)


def chosen_environment(context: click.Context) -> str | None:
    """The Environment that was asked for by name, None where the default stands in."""
    root = context.find_root()
    given = root.get_parameter_source("env") not in {None, ParameterSource.DEFAULT} or "MLOPS_ENV" in os.environ
    return str(root.params["env"]) if given else None


def ensure_installed(*extras: str) -> None:
    """Raises ClickException that names the packages of ``extras`` that are missing, and what brings them."""
    lacking = installed.missing(*extras)
    if lacking:
        raise click.ClickException(installed.advice(lacking))


def _outputs(command: click.Command) -> tuple[str, ...]:
    for param in command.params:
        if param.name == "output" and isinstance(param.type, click.Choice):
            return tuple(param.type.choices)
    return ()


def _knows_quiet(command: click.Command) -> bool:
    return any(param.name == "quiet" for param in command.params)
