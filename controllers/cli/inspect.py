"""mlopsctl status, events, why: what is remembered, beside what git asks. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from controllers.cli.arguments import Count, Since, Text, before, resource_ref

EXIT_CODES = {"settled": 0, "unsettled": 3, "troubled": 4}
"""Of ``status --exit-code``, by what an environment comes to."""

OUTPUT = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--watch", is_flag=True, help="Show it again every two seconds until interrupted.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 where not all is Synced, with 4 where something is wrong.")
@OUTPUT
@click.pass_obj
def status(options: dict[str, Any], resource: str | None, watch: bool, exit_code: bool, output: str) -> None:
    """What git asks, what runs, where they differ, and why.

    Exit code 0; with --exit-code 0 where all is Synced, 3 where work goes on or waits, 4 where something is stalled or
    refused, or nobody can tell.
    """
    import sys
    import time

    from controllers.cli.session import emit, project_of

    if watch and exit_code:
        raise click.UsageError("--watch goes on until it is interrupted; --exit-code is for one look")
    project, ref = project_of(options), resource_ref(resource) if resource else None
    while True:
        text, overall = _status(project, ref, output)
        if watch:
            click.clear()
        emit(text)
        if not watch:
            break
        time.sleep(2)
    if exit_code:
        sys.exit(EXIT_CODES[overall.value])


def _status(project: Any, ref: Any, output: str) -> tuple[str, Any]:
    """What to show, and what it comes to."""
    from controllers.cli.session import width_and_colour
    from controllers.commands.situation import situation
    from framework.planning.reports.overview import overall
    from framework.render.status import resource_json, resource_text, status_json, status_text

    now = situation(project)
    found, (width, colour) = now.report(), width_and_colour()
    if ref is None:
        text = status_json(found) if output == "json" else status_text(found, width=width, colour=colour)
        return text, overall(found.rows, found.asked)
    row = next((item for item in found.rows if item.ref == ref), None)
    if row is None:
        raise click.ClickException(f"{ref} is neither in git nor on record")
    row = now.checked(row, project)
    text = resource_json(row) if output == "json" else resource_text(row, now.now, width=width, colour=colour)
    return text, overall([row], None)


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--limit", type=Count(), default=50, show_default=True, help="The newest so many.")
@click.option("--since", type=Since(), help="Only from a date or time (UTC) on, or from so long ago: 2h.")
@click.option(
    "--reason", "reasons", multiple=True, type=Text(), help="Only events of this reason, such as Promoted; repeatable."
)
@click.option("--follow", is_flag=True, help="Go on with what happens from now on, until interrupted.")
@OUTPUT
@click.pass_obj
def events(
    options: dict[str, Any],
    resource: str | None,
    limit: int,
    since: datetime | timedelta | None,
    reasons: tuple[str, ...],
    follow: bool,
    output: str,
) -> None:
    """What happened, oldest first. JSON is one event a line."""
    import time

    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.history import newest_events, next_events
    from framework.render.events import event_row, events_jsonl, events_text

    state = project_of(options).ports.state
    ref = resource_ref(resource) if resource else None
    start = before(now(), since)
    width, colour = width_and_colour()
    for page in newest_events(state, ref, limit, reasons, start):
        if output == "text":
            emit(events_text(page, width=width, colour=colour))
        elif page:
            emit(events_jsonl(page))
    if follow:
        for event in next_events(state, ref, reasons, wait=lambda: time.sleep(1)):
            emit(events_jsonl([event]) if output == "json" else event_row(event, width=width, colour=colour))


@click.command()
@click.argument("resource", metavar="KIND/NAME")
@OUTPUT
@click.pass_obj
def why(options: dict[str, Any], resource: str, output: str) -> None:
    """The chain of reasons that blocks a resource."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.situation import situation
    from framework.render.why import why_json, why_text

    ref = resource_ref(resource)
    try:
        reason = situation(project_of(options)).why(ref)
    except LookupError as error:
        raise click.ClickException(str(error.args[0])) from None
    width, colour = width_and_colour()
    emit(why_json(reason) if output == "json" else why_text(reason, width=width, colour=colour))
