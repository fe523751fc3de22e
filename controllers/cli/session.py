"""From the command line's options to an opened project."""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from controllers.project import Project
from controllers.settings import Settings, find_root
from controllers.wiring import open_project


def now() -> datetime:
    return datetime.now(UTC)


def settings_of(options: dict[str, Any], **more: Any) -> Settings:
    """Settings for the project that the command was called on."""
    start = Path(options["project"]).resolve() if options.get("project") else Path.cwd()
    keeper = os.environ.get("MLOPS_KEEPER")
    return Settings(
        root=find_root(start), environment=options["environment"], keeper=int(keeper) if keeper else None, **more
    )


def project_of(options: dict[str, Any], **more: Any) -> Project:
    return open_project(settings_of(options, **more), now)


def emit(text: str) -> None:
    """Results go to standard output; everything about the way there to standard error."""
    click.echo(text.rstrip("\n"))


def width_and_colour() -> tuple[int, bool]:
    """Columns of standard output, and whether colours are wanted there (``NO_COLOR`` honoured)."""
    from framework.render.terminal import wants_colour

    return shutil.get_terminal_size((110, 24)).columns, wants_colour(sys.stdout, os.environ)
