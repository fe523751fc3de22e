"""mlopsctl lineage: what came from what. Reads only."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("name", required=False, metavar="[KIND/NAME|TRAINING@VERSION]")
@click.option("--output", type=click.Choice(["text", "json", "mermaid"]), default="text", show_default=True)
@click.pass_obj
def lineage(options: dict[str, Any], name: str | None, output: str) -> None:
    """What came from what: commit, sources, features, model, endpoint, monitor."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.lineage import lineage as whole
    from controllers.commands.lineage import lineage_of
    from framework.render.lineage import lineage_json, lineage_mermaid, lineage_text

    project = project_of(options)
    gathered = project.desired(), project.ports, project.observers
    found = lineage_of(name, *gathered) if name else whole(*gathered)
    if output == "json":
        emit(lineage_json(project.settings.environment, found))
    elif output == "mermaid":
        emit(lineage_mermaid(found))
    else:
        width, colour = width_and_colour()
        emit(lineage_text(found, width=width, colour=colour))
