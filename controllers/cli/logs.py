"""mlopsctl logs: what runs, replicas and the controller wrote. Reads only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from controllers.cli.arguments import resource_ref
from controllers.cli.redaction import aside

CONTROLLER = "controller"


@click.command()
@click.argument("subject", metavar="KIND/NAME|controller")
@click.option("--tail", type=click.IntRange(0, 100_000), default=100, show_default=True, help="Lines of each process.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until interrupted.")
@click.pass_obj
def logs(options: dict[str, Any], subject: str, tail: int, follow: bool) -> None:
    """What the run of a resource, its replicas and router, or the controller wrote last."""
    import time

    from controllers.cli.session import width_and_colour
    from controllers.commands.logs import FOLLOWED, next_lines, shortened
    from framework.render.logs import log_text

    look = _look(options, subject, max(tail, FOLLOWED) if follow else tail)
    found, colour = look(), width_and_colour()[1]
    if not found:
        words = f"nothing has run for {subject} yet, or nothing of it is kept"
        if not follow:
            raise click.ClickException(f"{words}; mlopsctl why {subject} says more")
        aside(words)
    for number, log in enumerate(found):
        click.echo(("\n" if number else "") + log_text(shortened(log, tail), colour=colour), nl=False)
    if not follow:
        return
    last = (found[-1].source, found[-1].process) if found else None
    for log in next_lines(look, found, wait=lambda: time.sleep(1)):
        current = (log.source, log.process)
        click.echo(("" if current == last else "\n") + log_text(log, heading=current != last, colour=colour), nl=False)
        last = current


def _look(options: dict[str, Any], subject: str, lines: int) -> Callable[[], Sequence[Any]]:
    """How to read the logs of ``subject``.

    Raises:
        ClickException: nobody knows it.
    """
    from controllers.cli.session import project_of, settings_of
    from controllers.commands.logs import controller_log
    from controllers.host.background import Background

    if subject == CONTROLLER:
        file = Background(settings_of(options).folder).log
        return lambda: [controller_log(file, lines)]
    ref, project = resource_ref(subject), project_of(options)
    state, observer = project.ports.state, project.observers.get(ref.kind)
    known = state.load(ref) is not None or state.events(ref, limit=1) or ref in project.newest().desired
    if observer is None or not known:
        raise click.ClickException(f"{ref} is neither in git nor on record")
    return lambda: observer.logs(ref, project.ports, lines)
