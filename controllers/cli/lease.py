"""mlopsctl lease: who may change the environment, and a person's word that whoever held it is dead."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.redaction import aside


@click.command()
@click.option("--break", "breaks", is_flag=True, help="Take it from a holder that you know to be dead.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def lease(options: dict[str, Any], breaks: bool, yes: bool, output: str) -> None:
    """Who holds the right to change the environment, and whether it lives.

    Nothing has to be broken for long: a lease without a sign of life is taken over by whoever waits for it.
    """
    from controllers.cli.arguments import operator
    from controllers.cli.session import emit, now, project_of
    from controllers.runtime.leadership import break_lease
    from framework.render.lease import broken_text, lease_json, lease_text

    project = project_of(options)
    state, environment = project.ports.state, project.settings.environment
    found = state.lease()
    holder = _holder(found)
    if breaks and found is not None:
        if not yes and not _confirmed(lease_text(environment, found, holder)):
            raise click.ClickException("nothing was changed; pass --yes to break it")
        if not break_lease(state, found, operator(), now()):
            raise click.ClickException(f"nothing was changed: {found.holder} has shown a sign of life just now")
    if output == "json":
        emit(lease_json(environment, found, holder, broken=breaks and found is not None))
    else:
        emit(broken_text(found, holder) if breaks and found is not None else lease_text(environment, found, holder))


def _holder(found: Any) -> Any:
    from framework.process import dead, machine
    from framework.render.lease import Holder

    if found is not None and dead(found.note):
        return Holder.DEAD
    here = found is not None and found.note.get("machine") not in {None, ""} and found.note["machine"] == machine()
    return Holder.ALIVE if here else Holder.ELSEWHERE


def _confirmed(shown: str) -> bool:
    aside(shown)
    return sys.stdin.isatty() and click.confirm("Break it?", err=True)
