"""mlopsctl features: which views there are, what is known of one, and where its rows come from and go. Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from controllers.cli.arguments import Text
from controllers.cli.options import Group

_OUTPUT = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
_VIEW = click.argument("view", metavar="VIEW", type=Text())
_VERSION = click.option(
    "--version", metavar="V", type=Text(), help="A version's number, or the start of its build; default: as published."
)
_FILE = click.Path(dir_okay=False, path_type=Path)
EXIT_FAILED = 1


@click.group(cls=Group)
def features() -> None:
    """Feature views: which there are, what is in them, and in what their versions differ."""


@features.command("list")
@_OUTPUT
@click.pass_obj
def list_(options: dict[str, Any], output: str) -> None:
    """The views of the environment: version, rows, freshness, and what reads them."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.features import FeatureViews
    from framework.render.features import views_json, views_text

    project = project_of(options)
    rows, (width, colour) = FeatureViews(project.ports, project.desired()).listed(), width_and_colour()
    environment = project.settings.environment
    if output == "json":
        emit(views_json(environment, rows, now()))
    else:
        emit(views_text(rows, now(), width=width, colour=colour))


@features.command()
@_VIEW
@_VERSION
@click.option("--html", type=_FILE, help="Write it as a page to this file instead.")
@_OUTPUT
@click.pass_obj
def show(options: dict[str, Any], view: str, version: str | None, html: Path | None, output: str) -> None:
    """What is known of a view: columns, sources, expectations, values, versions, readers."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.features import FeatureViews, written
    from framework.cards.page import card_html
    from framework.render.feature_cards import view_card
    from framework.render.features import view_json, view_text

    project = project_of(options)
    views, (width, colour) = FeatureViews(project.ports, project.desired()), width_and_colour()
    found, environment = views.report(view, version), project.settings.environment
    if html is not None:
        written({html: card_html(view_card(found, views.movement(found.versions), now()))})
    if output == "json":
        emit(view_json(environment, found, now()))
    elif html is None:
        emit(view_text(found, now(), width=width, colour=colour))
    else:
        emit(f"The page of {view} is in {html}.")


@features.command()
@_VIEW
@_OUTPUT
@click.pass_obj
def history(options: dict[str, Any], view: str, output: str) -> None:
    """The versions of a view, newest first: when, why, how many rows, how long, what was expected."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.features import FeatureViews
    from framework.render.features import history_json, history_text

    project = project_of(options)
    found, (width, colour) = FeatureViews(project.ports, project.desired()).versions(view), width_and_colour()
    if output == "json":
        emit(history_json(project.settings.environment, view, found))
    else:
        emit(history_text(view, found, now(), width=width, colour=colour))


@features.command()
@_VIEW
@click.argument("before", metavar="V1", type=Text())
@click.argument("after", metavar="V2", type=Text())
@_OUTPUT
@click.pass_obj
def diff(options: dict[str, Any], view: str, before: str, after: str, output: str) -> None:
    """In what the rows of the second version differ from those of the first."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.features import FeatureViews
    from framework.render.feature_tables import difference_json, difference_text

    project, (width, colour) = project_of(options), width_and_colour()
    found = FeatureViews(project.ports, project.desired()).difference(view, before, after)
    emit(difference_json(found) if output == "json" else difference_text(found, width=width, colour=colour))


@features.command()
@_VIEW
@_VERSION
@click.option("--out", type=_FILE, help="Also write the whylogs profile to this file.")
@_OUTPUT
@click.pass_obj
def profile(options: dict[str, Any], view: str, version: str | None, out: Path | None, output: str) -> None:
    """The profile of a version: counts, missing and distinct values, quantiles, frequent values."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.features import FeatureViews, profile_bytes, profiled
    from controllers.commands.models import put
    from framework.render.feature_tables import profile_json, profile_text

    project, (width, colour) = project_of(options), width_and_colour()
    asked = FeatureViews(project.ports, project.desired()).version(view, version)
    found = profiled(asked)
    if out is not None:
        put({out: profile_bytes(asked)})
    if output == "json":
        emit(profile_json(view, found, str(out) if out is not None else None))
        return
    emit(profile_text(view, found, width=width, colour=colour))
    if out is not None:
        emit(f"The profile is in {out}: whylogs.read({str(out)!r}) opens it.")


@features.command()
@_VIEW
@click.option(
    "--head", metavar="REV", help="The commit whose spec is gone through. Default: what is followed. Also: worktree."
)
@_OUTPUT
@click.pass_context
def debug(context: click.Context, view: str, head: str | None, output: str) -> None:
    """Go through a view's computation here, step by step, and publish nothing."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.features import FeatureViews
    from controllers.host.offline import snapshot_at
    from framework.render.feature_tables import steps_json, steps_text

    project, (width, colour) = project_of(context.obj), width_and_colour()
    asked = project.desired() if head is None else snapshot_at(project.settings, head).desired
    found = FeatureViews(project.ports, asked).debugged(view, str(project.settings.root))
    emit(steps_json(view, found) if output == "json" else steps_text(view, found, width=width, colour=colour))
    if found.trouble:
        context.exit(EXIT_FAILED)


@features.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The folder; it is made.")
@_OUTPUT
@click.pass_obj
def catalogue(options: dict[str, Any], out: Path, output: str) -> None:
    """A page of all views that can be searched, and a page of each, in a folder."""
    from controllers.cli.session import emit, now, project_of
    from controllers.commands.features import FeatureViews, written
    from framework.cards.page import card_html
    from framework.render.catalogue import PAGE, catalogue_html, catalogue_json, catalogue_text, page_of
    from framework.render.feature_cards import view_card

    project, moment = project_of(options), now()
    views, environment = FeatureViews(project.ports, project.desired()), project.settings.environment
    rows = views.listed()
    written({out / PAGE: catalogue_html(environment, rows, moment)})
    for row in rows:
        report = views.report(row.name)
        card = view_card(report, views.movement(report.versions), moment, PAGE)
        written({out / page_of(row.name): card_html(card)})
    files = [PAGE, *(page_of(row.name) for row in rows)]
    emit(catalogue_json(str(out), files) if output == "json" else catalogue_text(str(out), files))
