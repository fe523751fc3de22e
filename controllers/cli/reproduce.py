"""mlopsctl reproduce: whether a version comes out the same when it is trained again."""

from __future__ import annotations

import signal
import sys
from datetime import timedelta
from typing import Any

import click

from controllers.cli.arguments import Duration, Text

EXIT_DIFFERS = 1


@click.command()
@click.argument("name", metavar="NAME[@VERSION]", type=Text())
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long the run may take.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Only the result.")
@click.pass_obj
def reproduce(options: dict[str, Any], name: str, timeout: timedelta, output: str, quiet: bool) -> None:
    """Train a version again, and say whether it comes out the same.

    Exit code 0: every metric is equal; 1: one is not, or something that it was trained with is gone.
    """
    import time

    from controllers.cli.daemon import start_ray
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.reproduction import reproduced, rerun_of
    from framework.render.reproduction import reproduction_json, reproduction_text

    project = project_of(options)
    again = rerun_of(project.ports, project.read, name, now())  # what is gone is told before anything is started
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the run is stopped, too
    with Progress(now, quiet=quiet) as progress:
        start_ray(project.cluster, progress)
        progress.say(f"trains {again.label} again, as run {again.run.name}")
        found = reproduced(again, project.ports, timeout, progress.say, time.monotonic, time.sleep)
    if output == "json":
        emit(reproduction_json(project.settings.environment, found))
    else:
        width, colour = width_and_colour()
        emit(reproduction_text(found, now(), width=width, colour=colour))
    sys.exit(0 if found.reproduced else EXIT_DIFFERS)
