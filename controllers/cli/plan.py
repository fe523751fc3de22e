"""mlopsctl plan."""

from __future__ import annotations

import sys
from typing import Any

import click

EXIT_CHANGES = 2


@click.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--unchanged", is_flag=True, help="List resources that need nothing, too.")
@click.pass_obj
def plan(options: dict[str, Any], output: str, unchanged: bool) -> None:
    """Show what reconciling would do now. Exit code 0: nothing; 2: changes; 1: an error."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from framework.planning.changes import Verb
    from framework.render.plan import plan_json, plan_text

    project = project_of(options)
    result = project.plan()
    if output == "json":
        emit(plan_json(result))
    else:
        width, colour = width_and_colour()
        emit(plan_text(result, width=width, colour=colour, unchanged=unchanged))
    sys.exit(EXIT_CHANGES if any(change.verb is not Verb.NOOP for change in result.changes) else 0)
