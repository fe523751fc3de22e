"""mlopsctl status, events, why: what is remembered, beside what git asks. Reads only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click

from controllers.cli.arguments import Since, resource_ref

OUTPUT = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--watch", is_flag=True, help="Show it again every two seconds until interrupted.")
@OUTPUT
@click.pass_obj
def status(options: dict[str, Any], resource: str | None, watch: bool, output: str) -> None:
    """What git asks, what runs, where they differ, and why."""
    import time

    from controllers.cli.session import emit, project_of

    project = project_of(options)
    while True:
        text = _status_text(project, resource, output)
        if watch:
            click.clear()
        emit(text)
        if not watch:
            return
        time.sleep(2)


def _status_text(project: Any, resource: str | None, output: str) -> str:
    from controllers.cli.session import now, width_and_colour
    from controllers.in_force import newest as revisions
    from framework.render.status import report, resource_json, resource_text, status_json, status_text

    state, moment = project.ports.state, now()
    newest, environment = project.newest(), project.settings.environment
    withheld = project.withheld(newest)
    recorded = state.recorded()
    found = report(
        environment, newest.desired, recorded.readable, revisions(state), moment, withheld, recorded.unreadable
    )
    width, colour = width_and_colour()
    if resource is None:
        return status_json(found) if output == "json" else status_text(found, width=width, colour=colour)
    ref = resource_ref(resource)
    row = next((item for item in found.rows if item.ref == ref), None)
    if row is None:
        raise click.ClickException(f"{ref} is neither in git nor on record")
    if output == "json":
        return resource_json(row)
    return resource_text(row, moment, width=width, colour=colour)


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="The newest so many.")
@click.option("--since", type=Since(), help="Only from a date or time (UTC) on, or from so long ago: 2h.")
@click.option("--reason", "reasons", multiple=True, help="Only events of this reason, such as Promoted; repeatable.")
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
    from controllers.history import next_events
    from framework.render.events import event_row, events_jsonl, events_text

    state = project_of(options).ports.state
    ref = resource_ref(resource) if resource else None
    start = now() - since if isinstance(since, timedelta) else since
    colour = width_and_colour()[1]
    found = state.events(ref, limit, reasons=reasons, since=start)
    if output == "text":
        emit(events_text(found, colour=colour))
    elif found:
        emit(events_jsonl(found))
    if follow:
        for event in next_events(state, ref, reasons, wait=lambda: time.sleep(1)):
            emit(events_jsonl([event]) if output == "json" else event_row(event, colour=colour))


@click.command()
@click.argument("resource", metavar="KIND/NAME")
@OUTPUT
@click.pass_obj
def why(options: dict[str, Any], resource: str, output: str) -> None:
    """The chain of reasons that blocks a resource."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from framework.render.why import why as explain
    from framework.render.why import why_json, why_text

    project = project_of(options)
    try:
        newest = project.newest()
        withheld = project.withheld(newest)
        recorded = project.ports.state.recorded()
        reason = explain(
            resource_ref(resource), newest.desired, recorded.readable, now(), withheld, recorded.unreadable
        )
    except LookupError as error:
        raise click.ClickException(str(error.args[0])) from None
    width, colour = width_and_colour()
    emit(why_json(reason) if output == "json" else why_text(reason, width=width, colour=colour))
