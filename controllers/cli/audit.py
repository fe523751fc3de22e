"""mlopsctl audit: whether the log of what happened is what was logged. Reads only."""

from __future__ import annotations

import sys
from typing import Any

import click

from controllers.cli.options import Group

EXIT_BROKEN = 1


@click.group(cls=Group)
def audit() -> None:
    """The log of everything that happened, and whether it is whole."""


@audit.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def verify(options: dict[str, Any], output: str) -> None:
    """Check the hash chain of the log: that no event was changed, moved, removed or added. And that everything else
    that is kept can be read.

    Exit code 0: all of it is whole; 1: it is not, and each place is named.
    """
    from controllers.cli.session import emit, project_of
    from framework.render.audit import audit_json, audit_text

    project = project_of(options)
    state, environment = project.ports.state, project.settings.environment
    problems, seal, damage = state.verify_events(), state.seal(), state.damage()
    shown = audit_json if output == "json" else audit_text
    emit(shown(environment, seal, problems, damage))
    sys.exit(EXIT_BROKEN if problems or damage else 0)
