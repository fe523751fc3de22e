"""mlopsctl models: which versions there are, what is known of one, and what a person takes along. Reads only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from controllers.cli.arguments import Text
from controllers.cli.options import Group

_OUTPUT = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
_NAME = click.argument("name", metavar="NAME[@VERSION]", type=Text())


@click.group(cls=Group)
def models() -> None:
    """Model versions: which there are, how good they are, and what they were made of."""


@models.command("list")
@click.argument("training", required=False, metavar="[TRAINING]", type=Text())
@_OUTPUT
@click.pass_obj
def list_(options: dict[str, Any], training: str | None, output: str) -> None:
    """The versions of one training job, or of all, newest first."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.models import listed
    from framework.render.models import models_json, models_text

    project = project_of(options)
    rows, (width, colour) = listed(project.ports, training), width_and_colour()
    environment = project.settings.environment
    emit(models_json(environment, rows) if output == "json" else models_text(rows, now(), width=width, colour=colour))


@models.command()
@_NAME
@_OUTPUT
@click.pass_obj
def show(options: dict[str, Any], name: str, output: str) -> None:
    """What is known of one version: metrics, gates, data, code, where it serves."""
    from controllers.cli.session import emit, now, project_of, width_and_colour
    from controllers.commands.models import report_of
    from framework.render.models import model_json, model_text

    project = project_of(options)
    found, (width, colour) = report_of(project.ports, name), width_and_colour()
    environment = project.settings.environment
    emit(model_json(environment, found) if output == "json" else model_text(found, now(), width=width, colour=colour))


@models.command()
@click.argument("before", metavar="A[@VERSION]", type=Text())
@click.argument("after", metavar="B[@VERSION]", type=Text())
@_OUTPUT
@click.pass_obj
def diff(options: dict[str, Any], before: str, after: str, output: str) -> None:
    """In what the second version differs from the first, and whether it is better."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.models import comparison
    from framework.render.models import comparison_json, comparison_text

    found, (width, colour) = comparison(project_of(options).ports, before, after), width_and_colour()
    emit(comparison_json(found) if output == "json" else comparison_text(found, width=width, colour=colour))


@models.command()
@_NAME
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as a page to this file instead."
)
@_OUTPUT
@click.pass_obj
def card(options: dict[str, Any], name: str, html: Path | None, output: str) -> None:
    """The model card of one version, as Markdown or as a page."""
    from controllers.cli.session import emit, project_of
    from controllers.commands.models import card_of, put, report_of
    from framework.render.models import card_json
    from framework.workloads.training.card import card_html, card_markdown, plain

    found = report_of(project_of(options).ports, name)
    made = card_of(found)
    if html is not None:
        put({html: card_html(made).encode()})
    if output == "json":
        emit(card_json(found.row.label, plain(made), str(html) if html is not None else None))
    else:
        emit(card_markdown(made) if html is None else f"The card of {found.row.label} is in {html}.")


@models.command()
@_NAME
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@_OUTPUT
@click.pass_obj
def download(options: dict[str, Any], name: str, folder: Path, output: str) -> None:
    """Take a version along: the model file, its signature and its card."""
    from controllers.cli.session import emit, project_of, width_and_colour
    from controllers.commands.models import download as fetched
    from framework.render.models import download_json, download_text

    got = fetched(project_of(options).ports, name, folder)
    told = (got.model, str(got.folder), got.artifact, got.written, got.kept)
    width, _ = width_and_colour()
    emit(download_json(*told) if output == "json" else download_text(*told, width=width))
