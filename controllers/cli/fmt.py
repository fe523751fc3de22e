"""mlopsctl fmt: one form for all spec files, comments kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from controllers.cli.redaction import aside
from controllers.cli.specfiles import ensure_spec_files, ensure_within_a_project, spec_files

EXIT_WOULD_CHANGE = 1


class _File(NamedTuple):
    path: Path
    name: str
    """As it is told: relative to where we are, where it lies below."""
    before: bytes
    after: str


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where a file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
@click.option("--quiet", is_flag=True, help="Name no files; only say what is wrong.")
@click.pass_context
def fmt(context: click.Context, paths: tuple[Path, ...], check: bool, diff: bool, quiet: bool) -> None:
    """Write spec files in their canonical form; comments stay, and so does every value.

    Without PATHS the project's mlops_specs are formatted, with PATHS those files, and what *.yaml and *.yml lie below
    those folders. A file with mistakes is reported and left as it is. Exits with 1 when there was one.
    """
    from controllers.cli.validate import project_root
    from controllers.settings import Settings
    from framework.api.errors import SpecError
    from framework.specs.yaml.formatter import format_text

    if not paths:
        root = project_root((context.obj or {}).get("project"), ())
        paths = (root / Settings(root=root).specs,)
        if not paths[0].is_dir():
            raise click.UsageError(f"there is no folder {_told(paths[0])}; name the files to format")
    else:
        ensure_within_a_project(paths)
        ensure_spec_files(paths)
    changed: list[_File] = []
    count, broken = 0, False
    for path in _files(paths):
        count += 1
        before = _read(path)
        try:
            after = format_text(_told(path), before)
        except SpecError as error:
            broken = True
            for problem in error.problems:
                aside(str(problem))
            continue
        if after.encode() != before:
            changed.append(_File(path, _told(path), before, after))
    for file in changed:
        if diff:
            click.echo(_difference(file), nl=False)
        elif not quiet:
            click.echo(f"{'would format' if check else 'formatted'} {file.name}")
        if not (check or diff):
            _write(file)
    if not quiet:
        click.echo(_summary(len(changed), count, would=check or diff), err=diff)
    context.exit(EXIT_WOULD_CHANGE if broken or (check and changed) else 0)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """Every spec file once."""
    seen: set[Path] = set()
    for path in paths:
        for one in spec_files(path):
            if one.resolve() not in seen:
                seen.add(one.resolve())
                yield one


def _read(path: Path) -> bytes:
    """Of a file that is too large just enough to see that it is."""
    from framework.specs.yaml.positions import MAX_BYTES

    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _told(path: Path) -> str:
    from framework.api.printing import printable

    try:
        return printable(path.resolve().relative_to(Path.cwd()).as_posix())
    except ValueError:
        return printable(path.as_posix())


def _difference(file: _File) -> str:
    from difflib import unified_diff

    from framework.api.credentials import redacted_source

    before = file.before.decode("utf-8-sig").splitlines(keepends=True)
    after = file.after.splitlines(keepends=True)
    lines = map(redacted_source, unified_diff(before, after, file.name, file.name))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _write(file: _File) -> None:
    """Whole or not at all: a crash leaves the old file."""
    beside = file.path.with_name(f".{file.path.name}.formatting")
    beside.write_bytes(file.after.encode())
    beside.chmod(file.path.stat().st_mode)
    beside.replace(file.path)


def _summary(changed: int, count: int, *, would: bool) -> str:
    files = f"{count} file{'' if count == 1 else 's'}"
    if not changed:
        return f"{files}: nothing to format"
    return f"{changed} of {files} {'would be ' if would else ''}formatted"
