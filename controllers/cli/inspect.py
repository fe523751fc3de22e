"""mlopsctl status, events, why: what is remembered, beside what git asks. Reads only."""

from __future__ import annotations

from typing import Any

import click

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
    from framework.render.status import report, resource_json, resource_text, status_json, status_text

    state, moment = project.ports.state, now()
    found = report(project.settings.environment, project.desired(), state.records(), state.revisions(), moment)
    width, colour = width_and_colour()
    if resource is None:
        return status_json(found) if output == "json" else status_text(found, width=width, colour=colour)
    ref = _ref(resource)
    row = next((item for item in found.rows if item.ref == ref), None)
    if row is None:
        raise click.ClickException(f"{ref} is neither in git nor on record")
    if output == "json":
        return resource_json(row)
    return resource_text(row, moment, width=width, colour=colour)


@click.command()
@click.argument("resource", required=False, metavar="[KIND/NAME]")
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@OUTPUT
@click.pass_obj
def events(options: dict[str, Any], resource: str | None, limit: int, output: str) -> None:
    """What happened, oldest first. JSON is one event a line."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from framework.render.events import events_jsonl, events_text

    found = project_of(options).ports.state.events(_ref(resource) if resource else None, limit)
    emit(events_jsonl(found) if output == "json" else events_text(found, colour=width_and_colour()[1]))


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
        reason = explain(_ref(resource), project.desired(), project.ports.state.records(), now())
    except LookupError as error:
        raise click.ClickException(str(error.args[0])) from None
    width, colour = width_and_colour()
    emit(why_json(reason) if output == "json" else why_text(reason, width=width, colour=colour))


def _ref(text: str) -> Any:
    from framework.api.meta import Ref

    try:
        return Ref.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
