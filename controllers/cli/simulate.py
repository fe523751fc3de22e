"""mlopsctl simulate: what would be done, in which order and when, from one commit to another."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.options import ensure_installed


@click.command()
@click.option("--from", "start", metavar="REV", help="Begin as if this commit were in force; default: what runs now.")
@click.option("--to", "end", metavar="REV", help="Where to go; default: the newest commit.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def simulate(options: dict[str, Any], start: str | None, end: str | None, output: str) -> None:
    """Show every action that would be executed from one commit to another, stage by stage.

    The real loop runs on a copy of what is recorded and live, in memory, with time that passes at once. Nothing of it
    leaves the process.
    """
    from controllers.cli.session import emit, project_of, width_and_colour
    from framework.render.steps import steps_json, steps_text

    ensure_installed("data")
    found = project_of(options).simulate(start, end)
    if output == "json":
        emit(steps_json(*found))
        return
    width, colour = width_and_colour()
    emit("\n".join(steps_text(item, width=width, colour=colour) for item in found))
