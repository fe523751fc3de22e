"""mlopsctl version."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from framework import __version__

PARTS = ("ray", "polars", "deltalake", "whylogs", "pydantic", "sqlalchemy", "gitpython")


@click.command()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def version(output: str) -> None:
    """The versions of mlopsctl and of what it stands on."""
    found: dict[str, str | None] = {"mlopsctl": __version__, "python": platform.python_version()}
    for part in PARTS:
        try:
            found[part] = installed(part)
        except PackageNotFoundError:
            found[part] = None
    if output == "json":
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name:15} {value or 'not installed'}")
