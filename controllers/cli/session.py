"""From the command line's options to an opened project."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from controllers.commands.project import Project
from controllers.host.operator import settings_at
from controllers.settings import Settings


def now() -> datetime:
    return datetime.now(UTC)


def settings_of(options: dict[str, Any], **more: Any) -> Settings:
    """Settings for the project that the command was called on."""
    named = options.get("project")
    start = Path(named).resolve() if named else Path.cwd()
    return settings_at(start, options["environment"], os.environ, named=bool(named), **more)


def project_of(options: dict[str, Any], **more: Any) -> Project:
    """The project, opened to be read; a command that writes passes ``creates=True``."""
    from controllers.host.wiring import open_project  # the backends: not for what reads specs alone

    return open_project(settings_of(options, **{"creates": False, **more}), now)


def emit(text: str) -> None:
    """Results go to standard output; everything about the way there to standard error."""
    click.echo(text.rstrip("\n"))


def width_and_colour() -> tuple[int, bool]:
    """Columns of standard output, and whether colours are wanted there (``NO_COLOR`` honoured)."""
    from framework.render.terminal import wants_colour

    return shutil.get_terminal_size((110, 24)).columns, wants_colour(sys.stdout, os.environ)
