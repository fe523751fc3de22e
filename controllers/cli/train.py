"""mlopsctl train: what a commit would train. Reads only: what trains is a commit."""

from __future__ import annotations

from typing import Any

import click

from controllers.cli.arguments import Text

_A_COMMIT_TRAINS = (
    "a commit trains: commit the spec, and mlopsctl reconcile trains what is not there yet; "
    "with --dry-run this command says what that would be"
)


@click.command()
@click.argument("name", required=False, metavar="[NAME]", type=Text())
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and why. Nothing else is done here.")
@click.option("--head", metavar="REV", default=None, type=Text(), help="The commit; default: the checked-out one.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def train(options: dict[str, Any], name: str | None, dry_run: bool, head: str | None, output: str) -> None:
    """What a commit would train, and what exists already."""
    if not dry_run:
        raise click.UsageError(_A_COMMIT_TRAINS)
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.training import outlooks
    from framework.render.training import outlooks_json, outlooks_text

    project = project_of(options)
    loaded = project.read(project.ports.source.resolve(head or project.settings.revision))
    found, (width, colour) = outlooks(loaded, project.ports, name), width_and_colour()
    if output == "json":
        emit(outlooks_json(project.settings.environment, loaded.commit, found))
    else:
        emit(outlooks_text(loaded.commit, found, now(), width=width, colour=colour))
