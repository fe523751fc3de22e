"""mlopsctl reconcile."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import timedelta
from typing import Any, NoReturn

import click

from controllers.cli.arguments import Duration

EXIT_NOT_CONVERGED = 1
EXIT_TIMEOUT = 3


@click.command()
@click.option(
    "--once/--watch", default=True, help="One commit, then an exit code; or the controller that keeps running."
)
@click.option(
    "--wait/--no-wait", default=True, help="With --once: until everything has settled, or only until it is started."
)
@click.option("--timeout", type=Duration(), default="1h", show_default=True, help="With --wait: how long.")
@click.option("--allow-prune", is_flag=True, help="Let a commit remove more than half of the environment.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Only the result.")
@click.pass_obj
def reconcile(
    options: dict[str, Any], once: bool, wait: bool, timeout: timedelta, allow_prune: bool, output: str, quiet: bool
) -> None:
    """Close the difference between git and what runs.

    Exit code 0: as git asks; 1: something is stalled, or an error; 3: not settled within --timeout.
    """
    from controllers.cli.progress import Progress
    from controllers.cli.session import now, project_of
    from controllers.host.passes import serve

    project = project_of(options, allow_prune=allow_prune, fresh=True, starts=True, creates=True)
    project.ensure_startable()  # a project that cannot be read is told before anything is started
    if once:
        run_once(project, wait=wait, timeout=timeout, output=output, quiet=quiet)
    stop = _stopped_by(signal.SIGTERM, signal.SIGINT)
    with Progress(now, quiet=quiet) as progress:
        project.cluster.start()
        serve(project, stop, progress.listen)


def run_once(project: Any, *, wait: bool, timeout: timedelta, output: str, quiet: bool) -> NoReturn:
    """One pass over the project, or watching the controller that is at work on it; tells the result and exits."""
    from controllers.cli.arguments import operator
    from controllers.cli.progress import Progress
    from controllers.cli.session import emit, now
    from controllers.host.passes import follow
    from framework.planning.reports.convergence import Conclusion

    stop = _stopped_by(signal.SIGTERM)
    with Progress(now, quiet=quiet) as progress:
        leadership, result = project.leadership(), None
        if not leadership.acquire():
            progress.say("a controller is at work on this environment; following it")
            result = follow(
                project, wait=wait, timeout=timeout, stop=stop, leadership=leadership,
                permits=_permits(project.settings), actor=operator(),
            )  # fmt: skip
            if result is None:
                progress.say("that controller is gone; going on in its place")
        if result is None:
            result = _lead(project, leadership, progress, wait=wait, timeout=timeout, stop=stop)
    emit(result.json() if output == "json" else result.text())
    codes = {Conclusion.CONVERGED: 0, Conclusion.STALLED: EXIT_NOT_CONVERGED, Conclusion.HELD: EXIT_TIMEOUT}
    sys.exit(codes.get(result.word, EXIT_TIMEOUT if wait or not result.taken_up else 0))


def _permits(settings: Any) -> frozenset[Any]:
    """What the operator says with this command that a controller at work may have been started without."""
    import os

    from controllers.host.operator import FORCE_PUSH
    from controllers.revision.permits import Permit

    rewrite = FORCE_PUSH in os.environ and settings.allow_force_push
    allowed = {Permit.PRUNE: settings.allow_prune, Permit.REWRITE: rewrite}
    return frozenset(permit for permit, word in allowed.items() if word)


def _lead(
    project: Any, leadership: Any, progress: Any, *, wait: bool, timeout: timedelta, stop: threading.Event
) -> Any:
    """A pass of our own."""
    from controllers.cli.daemon import start_ray
    from controllers.host.passes import lead

    try:
        start_ray(project.cluster, progress)
        for name, value in project.cluster.links().items():
            progress.say(f"{name}: {value}")
        return lead(project, wait=wait, timeout=timeout, listen=progress.listen, leadership=leadership, stop=stop)
    finally:
        leadership.release()


def _stopped_by(*signals: signal.Signals) -> threading.Event:
    stop = threading.Event()
    for number in signals:
        signal.signal(number, lambda *_: stop.set())
    return stop
