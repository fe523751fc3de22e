"""mlopsctl history: what was in force and what served when. Reads only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from controllers.cli.arguments import Count, Moment


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--at", type=Moment(), help="What was in force and served on that day or at that moment; UTC.")
@click.option("--limit", type=Count(1), default=20, show_default=True, help="The newest rows of a table.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def history(
    options: dict[str, Any], resource: str | None, at: tuple[datetime, datetime] | None, limit: int, output: str
) -> None:
    """Which commits were in force, and what served when."""
    from controllers.cli.arguments import resource_ref
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.history import report_of
    from framework.render.history import history_json, history_text

    if at is not None and at[0] > now():
        raise click.BadParameter("lies in the future", param_hint="'--at'")
    ref = resource_ref(resource) if resource else None
    project = project_of(options)
    report = report_of(project.settings.environment, project.ports, project.kinds, ref, at, limit)
    width, colour = width_and_colour()
    emit(history_json(report) if output == "json" else history_text(report, width=width, colour=colour))
