"""mlopsctl init: a project that runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

_SHOWN = 5


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", help="The project's name, also that of its Python package; default: from DIR.")
@click.option(
    "--source",
    metavar="SOURCE",
    help="What requirements.txt installs mlopsctl from: a version, a git URL, a wheel. Default: as this one was.",
)
@click.option("--force", is_flag=True, help="Into a folder that is not empty. Files that exist are kept as they are.")
@click.option("--no-commit", is_flag=True, help="Write the files, but commit nothing.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--quiet", is_flag=True, help="Say nothing when all went well.")
def init(
    folder: Path, name: str | None, source: str | None, force: bool, no_commit: bool, output: str, quiet: bool
) -> None:
    """Make a project that runs in DIR: specs, code, a little data, CI workflows, and a first commit.

    A repository is initialised unless DIR lies in one already; to one that has commits, nothing is committed.
    """
    import json

    from controllers.scaffold import project
    from framework.kinds import KINDS

    folder = folder.resolve()
    name = _name(folder, name)
    files = project(name, _source(source), KINDS)
    kept = _kept(folder, files, force)
    _write(folder, {path: text for path, text in files.items() if path not in kept})
    made = _committed(folder, [path for path in files if path not in kept], no_commit)
    if output == "json":
        found = {"format": 1, "name": name, "folder": str(folder), "files": list(files), "kept": kept, **made}
        click.echo(json.dumps(found, indent=2))
    elif not quiet:
        click.echo(_story(name, folder, len(files), kept, made))


def _source(given: str | None) -> str:
    """The version or the address that requirements.txt names. Raises BadParameter for what pip would not take, and for
    what nobody should read."""
    from framework import __version__, installed
    from framework.api.credentials import credential_in

    if given is None:
        return installed.origin() or __version__
    if Path(given).exists():
        return Path(given).resolve().as_uri()
    version = re.fullmatch(r"\d+(\.\d+)*([a-z]+\d+)?", given)
    if version is None and (not given.isprintable() or " " in given or "://" not in given):
        raise click.BadParameter(f"{given!r} is no version, no URL and no file", param_hint="--source")
    if credential_in(given) is not None:
        raise click.BadParameter("the address has credentials in it, and would be committed", param_hint="--source")
    return given


def _name(folder: Path, given: str | None) -> str:
    from controllers.scaffold import name_from, problem_with

    name = given if given is not None else name_from(folder.name)
    problem = problem_with(name)
    if problem is None:
        return name
    if given is None:
        raise click.UsageError(f"the name {name!r}, made from {folder.name!r}, {problem}; give one with --name")
    raise click.BadParameter(f"{name!r} {problem}", param_hint="--name")


def _kept(folder: Path, files: Mapping[str, str], force: bool) -> list[str]:
    """Files that exist already. Raises ClickException where DIR is not ours to fill."""
    if not folder.exists():
        return []
    there = sorted(item.name for item in folder.iterdir() if item.name != ".git")
    if there and not force:
        shown = ", ".join(there[:_SHOWN]) + (f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else "")
        raise click.ClickException(
            f"{folder} is not empty: it holds {shown}. Choose another folder, or write beside what is there with"
            " --force, which overwrites nothing"
        )
    for path in files:
        place = folder / path
        if not place.parent.resolve().is_relative_to(folder):
            raise click.ClickException(f"{place.parent} leads out of {folder}; nothing was written")
        if place.parent.exists() and not place.parent.is_dir():
            raise click.ClickException(f"{place.parent} is a file and would have to be a folder; nothing was written")
    return [path for path in files if (folder / path).exists() or (folder / path).is_symlink()]


def _write(folder: Path, files: Mapping[str, str]) -> None:
    try:
        for path, text in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename}: {error.strerror}") from None


def _committed(folder: Path, written: list[str], no_commit: bool) -> dict[str, Any]:
    """What became of the repository: its folder, the commit or None, and a note for the reader or None."""
    from controllers.scaffold import repository

    top = repository.top_of(folder)
    if top is None:
        repository.create(folder)
        top = folder
    note = None
    if top != folder:
        note = f"GitHub runs workflows of the repository's top folder only: move {folder / '.github'} to {top}"
    if no_commit or not written or repository.has_commits(top):
        return {"repository": str(top), "commit": None, "note": note}
    commit, known = repository.commit(folder, written, "A project that runs, made by mlopsctl init")
    if not known:
        note = "git does not know your name; before you commit: git config user.name ... and user.email ..."
    return {"repository": str(top), "commit": commit, "note": note}


def _story(name: str, folder: Path, files: int, kept: list[str], made: Mapping[str, Any]) -> str:
    lines = [f"{name}: {files - len(kept)} files in {folder}"]
    if kept:
        lines.append(f"kept as they were: {', '.join(kept)}")
        if ".gitignore" in kept:
            lines.append("your .gitignore was kept: it should ignore .mlops/, where mlopsctl keeps its state")
    lines.append(f"first commit: {made['commit'][:10]}" if made["commit"] else "nothing is committed yet")
    if made["note"]:
        lines.append(f"note: {made['note']}")
    steps = [
        f"cd {folder}",
        *([] if made["commit"] else ["git add . && git commit"]),
        "mlopsctl validate",
        "mlopsctl up",
    ]
    return "\n".join([*lines, "", "Next:", *(f"  {step}" for step in steps), "", "README.md goes on from there."])
