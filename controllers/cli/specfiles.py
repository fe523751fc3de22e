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


def ensure_within_a_project(paths: Iterable[Path]) -> None:
    """Raises UsageError for a folder that lies in no project: below it may be a whole disk, and what is found there
    is nobody's spec. A project is a folder with specs or a repository, or where we are."""
    for path in paths:
        if path.is_dir() and not _within_a_project(path.resolve()):
            raise click.UsageError(f"{path} does not lie in a project, a folder with mlops_specs or a repository")


def _within_a_project(folder: Path) -> bool:
    above = (folder, *folder.parents)
    if any((one / "mlops_specs").is_dir() or (one / ".git").exists() for one in above):
        return True
    here = Path.cwd()
    return here in above and here != Path(here.anchor)
