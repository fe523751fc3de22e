"""mlopsctl forget: a record that cannot be read goes, so that the resource is looked at anew."""

from __future__ import annotations

import sys
from typing import Any

import click

from framework.api.credentials import redacted


@click.command()
@click.argument("resource", metavar="KIND/NAME")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def forget(options: dict[str, Any], resource: str, yes: bool, output: str) -> None:
    """Remove a damaged record. Nothing that runs is touched: the next pass looks at it anew, and takes it over.

    Only what status shows as Unknown, because its record cannot be read, can be forgotten.
    """
    from controllers.cli.arguments import operator
    from controllers.cli.session import emit, project_of
    from controllers.commands.forget import forget as remove
    from controllers.commands.forget import unreadable
    from framework.render.canonical import document

    project = project_of(options)
    ref, problem = unreadable(project, resource)
    if not yes:
        _confirm(f"Remove the record of {ref} ({problem})?")
    remove(project, ref, problem, operator())
    if output == "json":
        emit(document({"format": 1, "forgotten": ref, "problem": problem}))
    else:
        emit(f"The record of {ref} is removed. The controller looks at it anew, or: mlopsctl reconcile --once")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.ClickException("nothing was changed: nobody can be asked here; pass --yes to remove the record")
    if not click.confirm(redacted(question), err=True):
        raise click.ClickException("nothing was changed")
