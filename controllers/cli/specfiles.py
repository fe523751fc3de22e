"""The spec files that paths of a command line name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click


def spec_files(path: Path) -> list[Path]:
    """The file that ``path`` is, or the spec files below it. Symlinks and hidden names are left out, as reading specs
    leaves them out."""
    from framework.specs.loader import is_spec

    if not path.is_dir():
        return [path.resolve() if path.is_symlink() else path]
    below = (one for one in path.rglob("*") if is_spec(one.relative_to(path).as_posix()))
    return sorted(one for one in below if one.is_file() and not one.is_symlink())


def ensure_spec_files(paths: Iterable[Path]) -> None:
    """Raises UsageError for a path that names no spec file: who named it meant one."""
    from framework.specs.loader import is_spec

    for path in paths:
        if not path.is_dir() and not is_spec(path.name):
            raise click.UsageError(f"{path} is no spec file: those end in .yaml or .yml")
        if not spec_files(path):
            raise click.UsageError(f"there are no spec files (*.yaml, *.yml) below {path}")
