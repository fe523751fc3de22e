"""mlopsctl preview."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import timedelta
from typing import Any

import click

from controllers.cli.arguments import Duration
from controllers.cli.options import ensure_installed

EXIT_FAILED = 1
EXIT_TIMEOUT = 3


@click.command()
@click.option("--base", metavar="REV", required=True, help="What the branch goes back to, such as main.")
@click.option("--head", metavar="REV", help="The branch; default: the checked-out commit. Also: worktree.")
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="How long to wait.")
@click.option("--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Only the result.")
@click.pass_obj
def preview(options: dict[str, Any], base: str, head: str | None, timeout: timedelta, output: str, quiet: bool) -> None:
    """Train what a branch would change, and show what the new models are worth. Leaves what serves alone.

    Exit code 0: every gate is passed; 1: one is not, or something could not be built; 3: not done within --timeout.
    """
    ensure_installed("data")
    from controllers.cli.daemon import start_ray
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.preview import branch
    from controllers.commands.preview import preview as previewed
    from framework.planning.reports.preview import PreviewVerdict
    from framework.render.preview import preview_markdown, preview_text
    from framework.render.preview_document import preview_json

    project, stop = project_of(options, fresh=True), threading.Event()
    asked = branch(project, base, head or project.settings.revision)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Progress(now, quiet=quiet) as progress:
        report = previewed(
            project, asked, timeout=timeout, listen=progress.listen, stop=stop, pause=stop.wait,
            prepare=lambda: start_ray(project.cluster, progress),
        )  # fmt: skip
    width, colour = width_and_colour()
    if output == "text":
        emit(preview_text(report, width=width, colour=colour))
    else:
        emit(preview_json(report) if output == "json" else preview_markdown(report, now()))
    sys.exit({PreviewVerdict.FAILED: EXIT_FAILED, PreviewVerdict.UNFINISHED: EXIT_TIMEOUT}.get(report.verdict, 0))
